"""What real SDKs raise on the simulator's real answers."""

from collections.abc import Iterator

import anthropic
import openai
import pytest

from penstock.classifiers import SideEffects, SpanKind, Verdict, verdict_of_exception
from penstock.simulator import PROFILES, Config, Refusal, Simulator, profile, serve

POOLS = tuple(PROFILES)
# What each refusal is, by what the provider says: DeepSeek has no windows, and 503 when it is full.
EXPECTED = {
    Refusal.REQUESTS: ("rate_limit", True),
    Refusal.TOKENS: ("rate_limit", True),
    Refusal.CONCURRENCY: ("rate_limit", True),
    Refusal.TOO_LARGE: ("rate_limit", False),
    Refusal.OVERLOADED: ("overloaded", True),
    Refusal.EXHAUSTED: ("quota", False),
}
# Anthropic and Azure word a request that can never fit like any other of their window; Azure has no
# 429 about money.
WORDED_ALIKE = {("anthropic", Refusal.TOO_LARGE), ("azure", Refusal.TOO_LARGE), ("azure", Refusal.EXHAUSTED)}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with serve(Config(pools=tuple(profile(name) for name in POOLS))) as running:
        yield running


def _ask(pool: str, url: str) -> None:
    messages = [{"role": "user", "content": "hi"}]
    if pool == "anthropic":
        with anthropic.Anthropic(api_key="k", base_url=url, max_retries=0, timeout=5) as claude:
            claude.messages.create(model="claude", max_tokens=5, messages=messages)  # type: ignore[arg-type]
        return
    client = (
        openai.AzureOpenAI(api_key="k", azure_endpoint=url, api_version="v", max_retries=0, timeout=5)
        if pool == "azure"
        else openai.OpenAI(api_key="k", base_url=f"{url}/v1", max_retries=0, timeout=5)
    )
    with client:
        client.chat.completions.create(model="m", messages=messages)  # type: ignore[arg-type]


def _caught(simulator: Simulator, pool: str) -> BaseException:
    with pytest.raises((openai.OpenAIError, anthropic.AnthropicError)) as caught:
        _ask(pool, f"{simulator.url}/{pool}")
    return caught.value


def _verdict(simulator: Simulator, pool: str) -> Verdict:
    return verdict_of_exception(_caught(simulator, pool), provider=pool, span_kind=SpanKind.LLM)


@pytest.mark.parametrize("refusal", EXPECTED)
@pytest.mark.parametrize("pool", POOLS)
def test_a_refusal_is_what_the_quota_model_meant(simulator: Simulator, pool: str, refusal: Refusal) -> None:
    status = 529 if pool == "anthropic" else 503
    simulator.script({"status": status if refusal is Refusal.OVERLOADED else 429, "kind": refusal.value})
    verdict = _verdict(simulator, pool)
    expected = EXPECTED[Refusal.TOKENS if (pool, refusal) in WORDED_ALIKE else refusal]
    assert (verdict.error_class.value, verdict.retryable) == expected, verdict
    assert verdict.side_effects is SideEffects.NONE


@pytest.mark.parametrize("pool", POOLS)
def test_a_500_is_the_servers(simulator: Simulator, pool: str) -> None:
    simulator.script({"status": 500})
    assert _verdict(simulator, pool).error_class.value == "server_error"


@pytest.mark.parametrize("pool", ["openai", "anthropic"])
def test_a_reset_connection_is_the_network(simulator: Simulator, pool: str) -> None:
    simulator.script({"status": 200, "fault": "reset"})
    assert _verdict(simulator, pool).error_class.value == "network"


def test_retry_after_comes_from_the_header(simulator: Simulator) -> None:
    simulator.script({"status": 429, "kind": "requests", "headers": {"retry-after": "11"}})
    assert _verdict(simulator, "anthropic").retry_after == pytest.approx(11)


def test_a_client_that_gives_up_waiting_is_a_timeout(simulator: Simulator) -> None:
    simulator.script({"status": 200, "fault": "hang"})
    with (
        openai.OpenAI(
            api_key="k", base_url=f"{simulator.url}/openai/v1", max_retries=0, timeout=0.2
        ) as client,
        pytest.raises(openai.APITimeoutError) as caught,
    ):
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    verdict = verdict_of_exception(caught.value, span_kind=SpanKind.LLM)
    assert verdict.error_class.value == "timeout"
    assert verdict.side_effects is SideEffects.POSSIBLE


def test_nobody_listening_is_the_network_and_nothing_was_done() -> None:
    with (
        openai.OpenAI(api_key="k", base_url="http://127.0.0.1:9/v1", max_retries=0) as client,
        pytest.raises(openai.APIConnectionError) as caught,
    ):
        client.models.list()
    verdict = verdict_of_exception(caught.value)
    assert (verdict.error_class.value, verdict.reason) == ("network", "connect")
    assert verdict.side_effects is SideEffects.NONE


def test_an_error_inside_a_stream_is_seen_and_its_tokens_were_spent(simulator: Simulator) -> None:
    simulator.script({"status": 200, "fault": "in_band_error", "kind": "overloaded"})
    url = f"{simulator.url}/anthropic"
    with (
        anthropic.Anthropic(api_key="k", base_url=url, max_retries=0) as client,
        pytest.raises(anthropic.APIError) as caught,
    ):
        for _ in client.messages.create(
            model="claude", max_tokens=50, stream=True, messages=[{"role": "user", "content": "hi"}]
        ):
            pass
    verdict = verdict_of_exception(caught.value, provider="anthropic", stream_started=True)
    assert verdict.error_class.value == "overloaded"
    assert verdict.side_effects is SideEffects.CERTAIN


class ClientError(Exception):
    """The shape of botocore's."""

    def __init__(self, response: dict[str, object], operation: str) -> None:
        super().__init__(f"An error occurred when calling the {operation} operation")
        self.response = response


def test_botocore_errors_are_read_by_code() -> None:
    response = {
        "Error": {
            "Code": "ThrottlingException",
            "Message": "Too many tokens per day, please wait before trying again.",
        },
        "ResponseMetadata": {"HTTPStatusCode": 429, "HTTPHeaders": {"Retry-After": "3"}},
    }
    verdict = verdict_of_exception(ClientError(response, "Converse"), provider="bedrock")
    assert (verdict.error_class.value, verdict.reason, verdict.retry_after) == ("rate_limit", "tpd", 3.0)


class _Code:
    name = "RESOURCE_EXHAUSTED"


class RpcError(Exception):
    """The shape of grpc's: a method gives an enum."""

    def code(self) -> _Code:
        return _Code()

    def details(self) -> str:
        return "Resource has been exhausted (e.g. check quota)."


def test_grpc_errors_are_read_by_status() -> None:
    verdict = verdict_of_exception(RpcError("failed"), provider="vertex_ai")
    assert (verdict.error_class.value, verdict.retryable) == ("rate_limit", True)
