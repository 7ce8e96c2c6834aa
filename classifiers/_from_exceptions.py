"""Evidence from exceptions of any SDK, by duck typing and class names: no SDK is imported.

The walk goes through `__cause__`, `__context__` (unless suppressed), exception groups and the
wrappers of retry libraries, at most 16 links, and survives any object.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Final

from penstock.classifiers._classify import classify
from penstock.classifiers._envelope import decode, read
from penstock.classifiers.evidence import Evidence, SpanKind, Verdict

_LINKS: Final = 16
_MESSAGE: Final = 8192
_DULL: Final = frozenset({"object", "BaseException", "Exception"})
_CANCELS: Final = frozenset({"CancelledError", "Cancelled"})
_TIMEOUTS: Final = frozenset({"TimeoutError", "TooSlowError"})
# Retry wrappers and transport layers keep what they wrap under many names.
_WRAPPED: Final = (
    "__cause__", "last_exception", "last_error", "lastError", "original_exception", "original_error",
    "orig_exc", "inner_exception", "cause", "reason", "exception",
)  # fmt: skip


def evidence_of_exception(
    exc: BaseException,
    *,
    provider: str | None = None,
    span_kind: SpanKind = SpanKind.UNKNOWN,
    stream_started: bool = False,
) -> Evidence:
    """Read an exception and everything it wraps. Never raises."""
    chain = list(_chain(exc))
    names: dict[str, None] = {}
    texts: dict[str, None] = {}
    for link in chain:
        names.update(dict.fromkeys(c.__name__ for c in type(link).__mro__ if c.__name__ not in _DULL))
        texts[_text(link)] = None
    facts = [_Facts(link) for link in chain]
    carrier = next((f for f in reversed(facts) if f.status or f.code or f.body is not None), facts[-1])
    return Evidence(
        provider=provider or next((f.provider for f in reversed(facts) if f.provider), None),
        span_kind=span_kind,
        status=carrier.status or next((f.status for f in facts if f.status), None),
        code=carrier.code or next((f.code for f in facts if f.code), None),
        type=carrier.type,
        message=_clipped("\n".join(filter(None, texts))) or None,
        body=carrier.body,
        headers=next((f.headers for f in reversed(facts) if f.headers), {}),
        exception_types=tuple(names),
        framework=_framework(chain[0]),
        stream_started=stream_started,
        now_unix=time.time(),
    )


def verdict_of_exception(
    exc: BaseException,
    *,
    provider: str | None = None,
    span_kind: SpanKind = SpanKind.UNKNOWN,
    stream_started: bool = False,
) -> Verdict:
    """Classify an exception. Never raises."""
    return classify(
        evidence_of_exception(exc, provider=provider, span_kind=span_kind, stream_started=stream_started)
    )


class _Facts:
    """What one link of the chain carries."""

    __slots__ = ("body", "code", "headers", "provider", "status", "type")

    def __init__(self, exc: BaseException) -> None:
        response = _get(exc, "response")
        self.status = _first_status(exc, response)
        self.headers = _headers(response) or _headers(exc)
        self.body = self._body(exc, response)
        self.code, self.type = self._code(exc, response)
        name = _get(exc, "llm_provider")
        self.provider = name if isinstance(name, str) and name else None

    @staticmethod
    def _body(exc: BaseException, response: object) -> object:
        if isinstance(response, Mapping):  # botocore
            error = _entry(response, "Error")
            return error if isinstance(error, Mapping) else None
        for name in (
            "body",
            "response_body",
            "responseBody",
            "json_body",
            "details",
            "response_json",
            "error",
        ):
            value = _get(exc, name)
            if isinstance(value, Mapping | list | bytes) or (isinstance(value, str) and value):
                return decode(value)
        text = _get(response, "text") if response is not None else None
        return decode(text) if isinstance(text, str) and text else None

    def _code(self, exc: BaseException, response: object) -> tuple[str | None, str | None]:
        if isinstance(response, Mapping):
            code = _entry(_entry(response, "Error"), "Code")
            return (code if isinstance(code, str) else None), None
        code, kind = _get(exc, "code"), _get(exc, "type")
        if callable(code):  # grpc: an enum behind a method
            code = _get(_call(code), "name")
        code = code if isinstance(code, str) else _get(exc, "status")
        if not isinstance(code, str):
            codes = read(self.body).codes
            code = codes[0] if codes else None
        return code, kind if isinstance(kind, str) else None


def _first_status(exc: BaseException, response: object) -> int | None:
    sources: list[object] = [
        _get(exc, name) for name in ("status_code", "status", "http_status", "code", "statusCode")
    ]
    if isinstance(response, Mapping):
        sources.append(_entry(_entry(response, "ResponseMetadata"), "HTTPStatusCode"))
    elif response is not None:
        sources += [_get(response, name) for name in ("status_code", "status")]
    for value in sources:
        if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599:
            return int(value)
    return None


def _headers(source: object) -> dict[str, str]:
    if isinstance(source, Mapping):
        found = _entry(_entry(source, "ResponseMetadata"), "HTTPHeaders")
    else:
        found = _get(source, "headers")
    items = _call(_get(found, "items"))
    try:
        return {str(name).lower(): str(value) for name, value in items}  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - a foreign object may do anything
        return {}


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """Yield `exc` and what it wraps, outermost first, each once."""
    seen: set[int] = set()
    queue: list[BaseException] = [exc]
    for link in queue:
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        if len(seen) >= _LINKS:
            return
        queue.extend(inner for inner in _inner(link) if id(inner) not in seen and not _is_timer(link, inner))


def _is_timer(outer: BaseException, inner: BaseException) -> bool:
    """Tell a deadline's own cancel from the caller's: timers cancel the task, then say what they meant."""
    names = {c.__name__ for c in type(outer).__mro__}
    return type(inner).__name__ in _CANCELS and not names.isdisjoint(_TIMEOUTS)


def _inner(exc: BaseException) -> Iterator[BaseException]:
    for name in _WRAPPED:
        value = _get(exc, name)
        if isinstance(value, BaseException):
            yield value
    attempt = _get(exc, "last_attempt")  # tenacity: a future
    outcome = _call(_get(attempt, "exception"))
    if isinstance(outcome, BaseException):
        yield outcome
    for name in ("exceptions", "errors", "args"):
        values = _get(exc, name)
        if isinstance(values, tuple | list):
            yield from (value for value in reversed(values[:32]) if isinstance(value, BaseException))
    if not _get(exc, "__suppress_context__"):
        context = _get(exc, "__context__")
        if isinstance(context, BaseException):
            yield context


def _get(source: object, name: str) -> object:
    try:
        return getattr(source, name, None)
    except Exception:  # noqa: BLE001 - a property of a foreign class may do anything
        return None


def _entry(source: object, key: str) -> object:
    try:
        return source.get(key) if isinstance(source, Mapping) else None
    except Exception:  # noqa: BLE001
        return None


def _call(function: object) -> object:
    if not callable(function):
        return None
    try:
        return function()
    except Exception:  # noqa: BLE001
        return None


def _text(exc: BaseException) -> str:
    try:
        return _clipped(str(exc))
    except Exception:  # noqa: BLE001
        return ""


def _clipped(text: str) -> str:
    """Keep head and tail: a traceback says at its end what was raised."""
    return text if len(text) <= _MESSAGE else f"{text[: _MESSAGE // 2]}\n{text[-_MESSAGE // 2 :]}"


def _framework(exc: BaseException) -> str | None:
    module = getattr(type(exc), "__module__", None)
    return module.partition(".")[0] if isinstance(module, str) else None
