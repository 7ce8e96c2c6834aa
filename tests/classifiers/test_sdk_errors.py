"""What real SDKs raise on the simulator's real answers, one row an SDK."""

from collections.abc import Callable, Iterator
from contextlib import closing

import anthropic
import boto3
import cohere
import groq
import httpx
import ollama
import openai
import pytest
from botocore.config import Config as AwsConfig
from google import genai
from google.genai import types
from mistralai.client import Mistral

from penstock.classifiers import SideEffects, SpanKind, Verdict, verdict_of_exception
from penstock.simulator import PROFILES, Config, Refusal, Simulator, profile, serve

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

ASK = [{"role": "user", "content": "hi"}]
ONCE = {"api_key": "k", "max_retries": 0, "timeout": 5}


def _openai(url: str) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", **ONCE) as client:  # type: ignore[arg-type]
        client.chat.completions.create(model="m", messages=ASK)  # type: ignore[arg-type]


def _responses(url: str) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", **ONCE) as client:  # type: ignore[arg-type]
        client.responses.create(model="m", input="hi")


def _azure(url: str) -> None:
    with openai.AzureOpenAI(azure_endpoint=url, api_version="v", **ONCE) as client:  # type: ignore[call-overload]
        client.chat.completions.create(model="m", messages=ASK)


def _anthropic(url: str) -> None:
    with anthropic.Anthropic(base_url=url, **ONCE) as client:  # type: ignore[arg-type]
        client.messages.create(model="claude", max_tokens=5, messages=ASK)  # type: ignore[arg-type]


def _groq(url: str) -> None:
    with groq.Groq(base_url=url, **ONCE) as client:  # type: ignore[arg-type]
        client.chat.completions.create(model="m", messages=ASK)  # type: ignore[arg-type]


def _gemini(url: str) -> None:
    once = types.HttpOptions(base_url=url, retry_options=types.HttpRetryOptions(attempts=1))
    with genai.Client(api_key="k", http_options=once) as client:
        client.models.generate_content(model="gemini", contents="hi")


def _mistral(url: str) -> None:
    with Mistral(api_key="k", server_url=url) as client:
        client.chat.complete(model="m", messages=ASK)  # type: ignore[arg-type]


def _cohere(url: str) -> None:
    with httpx.Client() as http:
        client = cohere.ClientV2(api_key="k", base_url=url, httpx_client=http)
        client.chat(model="m", messages=ASK, request_options={"max_retries": 0})  # type: ignore[arg-type]


def _ollama(url: str) -> None:
    with ollama.Client(host=url) as client:
        client.chat(model="m", messages=ASK)


def _bedrock(url: str) -> None:
    client = boto3.client(
        "bedrock-runtime", endpoint_url=url, region_name="us-east-1", aws_access_key_id="AKIATEST",
        aws_secret_access_key="y", config=AwsConfig(retries={"total_max_attempts": 1}),
    )  # fmt: skip
    with closing(client):
        client.converse(modelId="m", messages=[{"role": "user", "content": [{"text": "hi"}]}])


SDKS: dict[str, tuple[str, Callable[[str], None]]] = {
    "openai": ("openai", _openai),
    "openai responses": ("openai", _responses),
    "openai on azure": ("azure", _azure),
    "openai on deepseek": ("deepseek", _openai),
    "openai on vllm": ("vllm", _openai),
    "anthropic": ("anthropic", _anthropic),
    "groq": ("groq", _groq),
    "google-genai": ("gemini", _gemini),
    "mistralai": ("mistral", _mistral),
    "cohere": ("cohere", _cohere),
    "ollama": ("ollama", _ollama),
    "boto3": ("bedrock", _bedrock),
}
WAIT, FITS_NEVER, PAY, BUSY = (
    ("rate_limit", True), ("rate_limit", False), ("quota", False), ("overloaded", True),
)  # fmt: skip
EXPECTED = {
    Refusal.REQUESTS: WAIT,
    Refusal.TOKENS: WAIT,
    Refusal.CONCURRENCY: WAIT,
    Refusal.SLOPE: WAIT,
    Refusal.TOO_LARGE: FITS_NEVER,
    Refusal.OVERLOADED: BUSY,
    Refusal.EXHAUSTED: PAY,
}
# Where a provider says it otherwise: most word a request that can never fit like any other of their
# window, a day's cap is a window, Ollama has a queue and no quota, and vLLM's 503 is a dead engine.
OTHERWISE = {
    **dict.fromkeys(
        ((sdk, Refusal.TOO_LARGE) for sdk in ("openai on azure", "anthropic", "google-genai", "mistralai",
                                              "cohere", "boto3")),
        WAIT,
    ),
    **dict.fromkeys(
        ((sdk, Refusal.EXHAUSTED) for sdk in ("openai on azure", "groq", "google-genai", "boto3")), WAIT
    ),
    **{("ollama", refusal): BUSY for refusal in EXPECTED if refusal is not Refusal.EXHAUSTED},
    ("openai on vllm", Refusal.OVERLOADED): ("server_error", True),
}  # fmt: skip


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with serve(Config(pools=tuple(profile(name) for name in PROFILES))) as running:
        yield running


def _verdict(simulator: Simulator, sdk: str, *, told: bool = True) -> Verdict:
    pool, ask = SDKS[sdk]
    with pytest.raises(Exception) as caught:
        ask(f"{simulator.url}/{pool}")
    return verdict_of_exception(caught.value, provider=pool if told else None, span_kind=SpanKind.LLM)


def _status(sdk: str, refusal: Refusal) -> int:
    if refusal is not Refusal.OVERLOADED:
        return 429
    return 529 if sdk == "anthropic" else 503


@pytest.mark.parametrize("refusal", EXPECTED)
@pytest.mark.parametrize("sdk", SDKS)
def test_a_refusal_is_what_the_quota_model_meant(simulator: Simulator, sdk: str, refusal: Refusal) -> None:
    simulator.script({"status": _status(sdk, refusal), "kind": refusal.value})
    verdict = _verdict(simulator, sdk)
    expected = OTHERWISE.get((sdk, refusal), EXPECTED[refusal])
    assert (verdict.error_class.value, verdict.retryable) == expected, verdict
    if expected[0] != "server_error":
        assert verdict.side_effects is SideEffects.NONE


@pytest.mark.parametrize("sdk", SDKS)
def test_an_exception_says_enough_when_nobody_names_the_provider(simulator: Simulator, sdk: str) -> None:
    simulator.script({"status": 429, "kind": "requests"}, {"status": 500})
    expected = OTHERWISE.get((sdk, Refusal.REQUESTS), WAIT)[0]
    assert _verdict(simulator, sdk, told=False).error_class.value == expected
    assert _verdict(simulator, sdk, told=False).error_class.value == "server_error"


@pytest.mark.parametrize("sdk", ["openai", "openai responses", "openai on azure", "anthropic"])
def test_growth_that_was_too_fast_is_a_ramp_limit(simulator: Simulator, sdk: str) -> None:
    simulator.script({"status": 429, "kind": "slope"})
    verdict = _verdict(simulator, sdk)
    assert (verdict.reason, verdict.limit_dimension) == ("ramp", "ramp")


@pytest.mark.parametrize("sdk", [sdk for sdk in SDKS if sdk != "ollama"])
def test_a_reset_connection_is_the_network(simulator: Simulator, sdk: str) -> None:
    simulator.script({"status": 200, "fault": "reset"})
    assert _verdict(simulator, sdk).error_class.value == "network"


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
