"""The dialects of OpenAI's wire: how each house words its refusals, its headers and its usage.

Sources: platform.openai.com/docs/guides/error-codes and public issues that quote the bodies: openai
codex#88 ("Limit 200000, Used 162960, Requested 42288. Please try again in 1.574s"); Groq HomeMind#29,
ha-groq-cloud-api#27 (429 and 413); Mistral cline#9085, raycast/extensions#31107 (rate_limited, 1300),
continue#6185 (service tier); DeepSeek jobfetcher#42 (concurrency), api-docs.deepseek.com
(quick_start/error_codes, guides/kv_cache); vLLM's `ErrorResponse` (docs.vllm.ai,
serving/openai_compatible_server).
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from penstock.simulator._answers import Answer
from penstock.simulator._headers import go_duration
from penstock.simulator.facts import Refusal, Refused

_UNITS: Final = {
    Refusal.REQUESTS: ("requests", "requests per min (RPM)"),
    Refusal.TOKENS: ("tokens", "tokens per min (TPM)"),
    Refusal.INPUT_TOKENS: ("tokens", "input tokens per min (TPM)"),
    Refusal.OUTPUT_TOKENS: ("tokens", "output tokens per min (TPM)"),
    Refusal.TOO_LARGE: ("tokens", "tokens per min (TPM)"),
}
_OVERLOADED: Final = (
    "The engine is currently overloaded, please try again later.",
    "service_unavailable_error",
    "server_is_overloaded",
)
_FAILURES: Final[Mapping[int, tuple[str, str, str | None]]] = {
    400: ("Invalid value for one of the parameters.", "invalid_request_error", "invalid_value"),
    401: ("Incorrect API key provided: sk-simulated.", "invalid_request_error", "invalid_api_key"),
    403: ("You are not allowed to sample from this model.", "invalid_request_error", None),
    404: (
        "The model does not exist or you do not have access to it.",
        "invalid_request_error",
        "model_not_found",
    ),
    429: ("Rate limit reached for requests. Please try again later.", "requests", "rate_limit_exceeded"),
    500: (
        "The server had an error while processing your request. Sorry about that! You can retry your "
        "request, or contact us through our help center at help.openai.com if the error persists.",
        "server_error",
        None,
    ),
    503: _OVERLOADED,
    529: _OVERLOADED,
}
_EXHAUSTED: Final = (
    "You exceeded your current quota, please check your plan and billing details. For more information on "
    "this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
)
_LINK: Final = "Visit https://platform.openai.com/account/rate-limits to learn more."
_FAILED: Final = frozenset({Refusal.OVERLOADED, Refusal.OUTAGE})

Words = tuple[int, dict[str, Any]]
"""Status and error document."""


class Dialect:
    """OpenAI's own, from which the others differ.

    `always_usage`: streams end with usage whether or not it was asked for.
    """

    always_usage: ClassVar[bool] = False

    def refusal(self, refused: Refused, model: str) -> Words:
        """Word a refusal."""
        status, error = self._error(refused, model)
        return status, {"error": error}

    def bad_request(self, message: str) -> dict[str, Any]:
        """Word a 400."""
        return {"error": _error(message, "invalid_request_error", None)}

    def headers(self, request_id: str, answer: Answer | None) -> dict[str, str]:
        """Give what comes with every answer."""
        return {
            "x-request-id": request_id,
            "openai-version": "2020-10-01",
            "openai-organization": "org-simulated",
        }

    def usage(self, answer: Answer) -> dict[str, Any]:
        """Count an answer's tokens, cached ones inside the prompt's."""
        return {
            "prompt_tokens": answer.input_tokens,
            "completion_tokens": answer.output_tokens,
            "total_tokens": answer.input_tokens + answer.output_tokens,
            "prompt_tokens_details": {"cached_tokens": answer.cached_tokens, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }

    def _error(self, refused: Refused, model: str) -> Words:
        status, kind = refused.status, refused.kind
        if kind is Refusal.TOO_LARGE:
            message = (
                f"Request too large for {model} in organization org-simulated on tokens per min (TPM): "
                f"Limit {refused.limit:.0f}, Requested {refused.requested:.0f}. The input or output tokens "
                f"must be reduced in order to run successfully. {_LINK}"
            )
            return status, _error(message, "tokens", "rate_limit_exceeded")
        if kind is Refusal.CONCURRENCY:
            message = (
                f"Too many concurrent requests for {model}: limit {refused.limit:.0f}. Please retry later."
            )
            return status, _error(message, "requests", "concurrency_limit_exceeded")
        if kind is Refusal.SLOPE:
            message = (
                "Slow down: your request rate grew too quickly. Ramp up gradually and keep it consistent."
            )
            return status, _error(message, "requests", "slow_down")
        if kind is Refusal.EXHAUSTED:
            return status, _error(_EXHAUSTED, "insufficient_quota", "insufficient_quota")
        if kind in _FAILED:
            return status, _error(*_FAILURES.get(status, _FAILURES[500]))
        type, unit = _UNITS[kind]
        wait = f" Please try again in {go_duration(refused.retry_after)}." if refused.retry_after else ""
        message = (
            f"Rate limit reached for {model} in organization org-simulated on {unit}: "
            f"Limit {refused.limit:.0f}, Used {max(0.0, refused.used):.0f}, "
            f"Requested {refused.requested:.0f}.{wait} {_LINK}"
        )
        return status, _error(message, type, "rate_limit_exceeded")


class Azure(Dialect):
    """Azure OpenAI."""

    def refusal(self, refused: Refused, model: str) -> Words:
        if refused.kind in (*_FAILED, Refusal.CONCURRENCY, Refusal.SLOPE):
            return super().refusal(refused, model)
        what = "call" if refused.kind is Refusal.REQUESTS else "token"
        wait = f" Please retry after {math.ceil(refused.retry_after)} seconds." if refused.retry_after else ""
        message = (
            "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have "
            f"exceeded {what} rate limit of your current OpenAI S0 pricing tier.{wait} Please contact Azure "
            "support service if you would like to further increase the default rate limit."
        )
        return refused.status, {"error": {"code": str(refused.status), "message": message}}


class Groq(Dialect):
    """Groq, which answers 413 to a call larger than its minute, and counts tokens by the day too."""

    _UPGRADE: ClassVar[str] = (
        "Need more tokens? Upgrade to Dev Tier today at https://console.groq.com/settings/billing"
    )

    def headers(self, request_id: str, answer: Answer | None) -> dict[str, str]:
        return {"x-request-id": request_id, "x-groq-region": "us-east-1"}

    def _error(self, refused: Refused, model: str) -> Words:
        kind = refused.kind
        if kind in _FAILED:
            status, error = super()._error(refused, model)
            return status, {"message": error["message"], "type": "internal_server_error"}
        where = f"model `{model}` in organization `org_simulated` service tier `on_demand`"
        type, unit = _UNITS.get(kind, ("requests", "requests per minute (RPM)"))
        unit = unit.replace("per min ", "per minute ")
        if kind is Refusal.EXHAUSTED:
            type, unit = "tokens", "tokens per day (TPD)"
        if kind is Refusal.TOO_LARGE:
            message = (
                f"Request too large for {where} on {unit}: Limit {refused.limit:.0f}, Requested "
                f"{refused.requested:.0f}, please reduce your message size and try again. {self._UPGRADE}"
            )
        else:
            wait = f" Please try again in {go_duration(refused.retry_after)}." if refused.retry_after else ""
            message = (
                f"Rate limit reached for {where} on {unit}: Limit {refused.limit:.0f}, Used "
                f"{max(0.0, refused.used):.0f}, Requested {refused.requested:.0f}.{wait} {self._UPGRADE}"
            )
        return refused.status, {"message": message, "type": type, "code": "rate_limit_exceeded"}


class Mistral(Dialect):
    """Mistral: flat documents, a number for a code, and never a time to wait."""

    always_usage = True

    def refusal(self, refused: Refused, model: str) -> Words:
        status = refused.status
        if refused.kind is Refusal.EXHAUSTED:
            return status, {
                "message": "Inactive subscription or usage limit reached",
                "request_id": "simulated",
            }
        if refused.kind is Refusal.OVERLOADED:
            told = self._flat(
                "Service tier capacity exceeded for this model.", "invalid_request_error", status
            )
        elif refused.kind is Refusal.OUTAGE and status != 429:
            told = self._flat("Service unavailable.", "internal_server_error", status)
        else:
            told = {**self._flat("Rate limit exceeded", "rate_limited", status), "code": "1300"}
        return status, told

    def bad_request(self, message: str) -> dict[str, Any]:
        return self._flat(message, "invalid_request_error", 400)

    def headers(self, request_id: str, answer: Answer | None) -> dict[str, str]:
        return {"mistral-correlation-id": request_id, "x-kong-request-id": request_id}

    def _flat(self, message: str, type: str, status: int) -> dict[str, Any]:
        return {"object": "error", **_error(message, type, None), "raw_status_code": status}


class DeepSeek(Dialect):
    """DeepSeek: a cap on live calls, and 402 when the balance is gone."""

    always_usage = True

    def headers(self, request_id: str, answer: Answer | None) -> dict[str, str]:
        return {"x-ds-trace-id": request_id}

    def usage(self, answer: Answer) -> dict[str, Any]:
        missed = answer.input_tokens - answer.cached_tokens
        told = {"prompt_cache_hit_tokens": answer.cached_tokens, "prompt_cache_miss_tokens": missed}
        return {**super().usage(answer), **told}

    def _error(self, refused: Refused, model: str) -> Words:
        if refused.kind is Refusal.EXHAUSTED:
            return 402, _error("Insufficient Balance", "unknown_error", "invalid_request_error")
        if refused.kind is Refusal.CONCURRENCY:
            message = (
                f"Your current concurrency is {refused.limit + 1:.0f}, which exceeds your concurrency limit "
                f"of {refused.limit:.0f}."
            )
            return refused.status, _error(message, "rate_limit_error", "rate_limit_error")
        return super()._error(refused, model)


class Vllm(Dialect):
    """vLLM: no quota of its own; what stands before it may refuse, and its engine may die."""

    _TYPES: ClassVar[Mapping[int, str]] = {
        400: "BadRequestError",
        404: "NotFoundError",
        429: "RateLimitError",
        503: "ServiceUnavailableError",
    }

    def headers(self, request_id: str, answer: Answer | None) -> dict[str, str]:
        return {"server": "uvicorn"}

    def bad_request(self, message: str) -> dict[str, Any]:
        return {"error": {"message": message, "type": "BadRequestError", "param": None, "code": 400}}

    def _error(self, refused: Refused, model: str) -> Words:
        status, error = super()._error(refused, model)
        if refused.kind in _FAILED and status >= 500:
            error["message"] = "EngineCore encountered an issue. See stack trace (above) for the root cause."
        return status, {**error, "type": self._TYPES.get(status, "InternalServerError"), "code": status}


def _error(message: str, type: str, code: str | None) -> dict[str, Any]:
    return {"message": message, "type": type, "param": None, "code": code}


DIALECTS: Final[Mapping[str, Dialect]] = {
    "openai": Dialect(),
    "azure": Azure(),
    "groq": Groq(),
    "mistral": Mistral(),
    "deepseek": DeepSeek(),
    "vllm": Vllm(),
}
