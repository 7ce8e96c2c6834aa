"""Pools that behave as a provider does, when only its name and limits are given."""

import dataclasses
from collections.abc import Mapping
from typing import Final

from penstock.errors import UsageError
from penstock.simulator.scenario import Pool

PROFILES: Final[Mapping[str, Pool]] = {
    # platform.openai.com/docs/guides/rate-limits: failed requests count against the limit.
    "openai": Pool(name="openai", headers="openai", charge_rejected=True),
    # docs.anthropic.com/en/api/rate-limits: output metered as produced, cache reads free.
    "anthropic": Pool(
        name="anthropic", headers="anthropic", token_accounting="actual", cached_input_counts=False  # noqa: S106
    ),
    # Azure OpenAI: requests per minute are enforced in slices of one or ten seconds.
    "azure": Pool(name="azure", headers="azure", algorithm="sliced", slice_seconds=10.0, retry_after="ms"),
    # console.groq.com/docs/rate-limits: cached tokens do not count.
    "groq": Pool(name="groq", headers="groq", retry_after="float", cached_input_counts=False),
    # api-docs.deepseek.com: concurrency only, no quota headers, no Retry-After.
    "deepseek": Pool(
        name="deepseek", wire="deepseek", headers="none", retry_after="none", requests_per_minute=0.0,
        concurrency=500,
    ),
    # docs.mistral.ai/deployment/laplateforme/tier: so many a second, whatever a minute would hold.
    "mistral": Pool(name="mistral", headers="mistral", retry_after="none", bucket_seconds=1.0),
    # ai.google.dev/gemini-api/docs/rate-limits: the wait stands in the body alone; only input is counted.
    "gemini": Pool(name="gemini", wire="gemini", headers="none", retry_after="body"),
    # docs.aws.amazon.com/bedrock/latest/userguide/quotas-token-burndown.html: max_tokens is taken first.
    "bedrock": Pool(name="bedrock", wire="bedrock", headers="none", retry_after="none"),
    # docs.cohere.com/docs/rate-limits: calls a minute, by key and endpoint.
    "cohere": Pool(name="cohere", headers="cohere", retry_after="none", algorithm="fixed_window"),
    # docs.vllm.ai: no quota, a queue; what does not fit waits.
    "vllm": Pool(name="vllm", wire="vllm", headers="none", retry_after="none", requests_per_minute=0.0),
    # github.com/ollama/ollama docs/faq: OLLAMA_MAX_QUEUE, 512 requests, and then 503.
    "ollama": Pool(
        name="ollama", wire="ollama", headers="none", retry_after="none", requests_per_minute=0.0,
        concurrency=512,
    ),
}  # fmt: skip


def profile(
    name: str, *, rpm: float | None = None, tpm: float | None = None, concurrency: float | None = None
) -> Pool:
    """Make the pool of a provider, with limits of one's own; 0 is no limit.

    `tpm` limits input and output together; for Anthropic and Gemini, which limit them apart, it limits
    input.

    Raises:
        UsageError: on a name that is no profile.
    """
    pool = PROFILES.get(name)
    if pool is None:
        raise UsageError(f"unknown profile {name!r}; choose from {', '.join(PROFILES)}")
    limits: dict[str, float] = {}
    if rpm is not None:
        limits["requests_per_minute"] = rpm
    if tpm is not None:
        limits["input_tokens_per_minute" if name in ("anthropic", "gemini") else "tokens_per_minute"] = tpm
    if concurrency is not None:
        limits["concurrency"] = concurrency
    return dataclasses.replace(pool, **limits)  # type: ignore[arg-type]
