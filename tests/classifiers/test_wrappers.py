"""The same error, however it is wrapped, has the same class."""

# ruff: noqa: E501 - real messages are long

import json
import traceback
from collections.abc import Callable

import pytest
import tenacity

from penstock.classifiers import SpanKind, classify, evidence_of_row, verdict_of_exception


class _SDKError(Exception):
    """What SDKs have in common: a status, a body, a message."""

    def __init__(self, message: str, status_code: int | None = None, body: object = None) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.body = body


class RateLimitError(_SDKError):
    pass


class BadRequestError(_SDKError):
    pass


class InternalServerError(_SDKError):
    pass


class AuthenticationError(_SDKError):
    pass


class APIConnectionError(_SDKError):
    pass


class APITimeoutError(APIConnectionError):
    pass


class OutputParserException(ValueError):  # noqa: N818 - LangChain's name
    pass


def _envelope(code: str, message: str, kind: str = "invalid_request_error") -> dict[str, object]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


BASES: dict[str, tuple[Callable[[], BaseException], str]] = {
    "window": (lambda: _sdk(RateLimitError, 429, "rate_limit_exceeded", "Rate limit reached on tokens per min (TPM): Limit 10000, Used 9348, Requested 5086. Please try again in 26.6s.", "tokens"), "rate_limit"),
    "billing": (lambda: _sdk(RateLimitError, 429, "insufficient_quota", "You exceeded your current quota, please check your plan and billing details.", "insufficient_quota"), "quota"),
    "billing behind 400": (lambda: _sdk(BadRequestError, 400, "", "Your credit balance is too low to access the Anthropic API."), "quota"),
    "overloaded": (lambda: _sdk(InternalServerError, 529, "", "Overloaded", "overloaded_error"), "overloaded"),
    "server": (lambda: _sdk(InternalServerError, 500, "", "Internal server error", "api_error"), "server_error"),
    "key": (lambda: _sdk(AuthenticationError, 401, "invalid_api_key", "Incorrect API key provided"), "auth"),
    "context": (lambda: _sdk(BadRequestError, 400, "context_length_exceeded", "This model's maximum context length is 4097 tokens, however you requested 4226 tokens"), "context_length"),
    "filter": (lambda: _sdk(BadRequestError, 400, "content_filter", "The response was filtered due to the prompt triggering content management policy"), "content_filter"),
    "parameter": (lambda: _sdk(BadRequestError, 400, "unsupported_parameter", "Unsupported parameter: 'max_tokens' is not supported with this model."), "invalid_request"),
    "bad call": (lambda: _sdk(BadRequestError, 400, "tool_use_failed", "Failed to call a function. Please adjust your prompt."), "model"),
    "timeout": (lambda: APITimeoutError("Request timed out."), "timeout"),
    "refused": (lambda: APIConnectionError("[Errno 111] Connection refused"), "network"),
    "parse": (lambda: OutputParserException("Could not parse LLM output: `I think`"), "model"),
}  # fmt: skip


def _sdk(
    kind: type[_SDKError], status: int, code: str, message: str, type_: str = "invalid_request_error"
) -> _SDKError:
    body = _envelope(code, message, type_)
    return kind(f"Error code: {status} - {body}", status, body)


def _raised(make: Callable[[], BaseException]) -> BaseException:
    try:
        make_and_raise(make)
    except BaseException as error:  # noqa: BLE001
        return error
    raise AssertionError


def make_and_raise(make: Callable[[], BaseException]) -> None:
    raise make()


def _retry(base: BaseException) -> None:
    @tenacity.retry(stop=tenacity.stop_after_attempt(1))
    def call() -> None:
        raise base

    call()


def _raise_from(base: BaseException) -> None:
    raise RuntimeError("the agent stopped") from base


def _context(base: BaseException) -> None:
    try:
        raise base
    except BaseException:  # noqa: BLE001
        raise KeyError("answer")  # noqa: B904 - the implicit context is the point


def _group(base: BaseException) -> None:
    raise ExceptionGroup("unhandled errors in a TaskGroup", [ExceptionGroup("inner", [base])])  # type: ignore[list-item]


def _as_text(base: BaseException) -> None:
    raise RuntimeError(f"{type(base).__name__}: {base}")


def _json_in_json(base: BaseException) -> None:
    inner = json.dumps({"error": f"{type(base).__name__}: {base}", "body": getattr(base, "body", None)})
    raise RuntimeError(json.dumps({"level": "error", "detail": inner}))


def _litellm(base: BaseException) -> None:
    class LiteLLMError(Exception):
        pass

    raise LiteLLMError(f"litellm.APIConnectionError: OpenAIException - {type(base).__name__}: {base}")


def _long_traceback(base: BaseException) -> None:
    frames = "".join(
        f'  File "/srv/app/timeouts/retry_{n}.py", line {n}, in call_tool_{n}\n    raise RateLimitError(quota)\n'
        for n in range(250)
    )
    last = "".join(traceback.format_exception_only(base))
    raise RuntimeError(f"Traceback (most recent call last):\n{frames}{last}")


WRAPPERS = [_retry, _raise_from, _context, _group, _as_text, _json_in_json, _litellm, _long_traceback]


@pytest.mark.parametrize("wrap", WRAPPERS, ids=lambda wrap: wrap.__name__.strip("_"))
@pytest.mark.parametrize("base", BASES)
def test_a_wrapper_changes_nothing(base: str, wrap: Callable[[BaseException], None]) -> None:
    make, expected = BASES[base]
    with pytest.raises(BaseException) as caught:
        wrap(_raised(make))
    verdict = verdict_of_exception(caught.value, provider="openai", span_kind=SpanKind.LLM)
    assert verdict.error_class.value == expected, verdict.evidence
    if expected == "quota":
        assert not verdict.retryable


@pytest.mark.parametrize("wrap", WRAPPERS, ids=lambda wrap: wrap.__name__.strip("_"))
@pytest.mark.parametrize("base", BASES)
def test_a_wrapped_error_of_a_tool_stays_the_tools(base: str, wrap: Callable[[BaseException], None]) -> None:
    with pytest.raises(BaseException) as caught:
        wrap(_raised(BASES[base][0]))
    verdict = verdict_of_exception(caught.value, span_kind=SpanKind.TOOL)
    assert verdict.error_class.value in {"tool", "model", "cancelled"}


def test_a_traceback_of_20_kb_as_text_is_read_at_its_end() -> None:
    frames = '  File "/srv/app/tools/timeout.py", line 7, in call_tool\n    await rate_limit(model)\n' * 250
    text = f"Traceback (most recent call last):\n{frames}openai.APITimeoutError: Request timed out."
    assert len(text) > 20_000
    assert classify(evidence_of_row({"message": text})).error_class.value == "timeout"


def test_the_last_raised_counts_where_one_exception_replaced_another() -> None:
    text = "IndexError: list index out of range\n\nDuring handling of the above exception, another exception occurred:\n\nOutputParserException: x"
    assert classify(evidence_of_row({"message": text})).error_class.value == "model"


def test_a_cycle_of_causes_ends() -> None:
    first, second = RuntimeError("one"), APITimeoutError("Request timed out.")
    first.__cause__, second.__cause__ = second, first
    assert verdict_of_exception(first).error_class.value == "timeout"


def test_a_suppressed_context_is_not_read() -> None:
    error = BadRequestError("bad")
    error.__context__ = APITimeoutError("Request timed out.")
    assert verdict_of_exception(error).error_class.value == "timeout"
    error.__suppress_context__ = True
    assert verdict_of_exception(error).error_class.value == "invalid_request"
