"""Adoption: an LLM span that is already there becomes the operation's span.

SDK-native tracing, OTel GenAI, OpenInference, OpenLLMetry, pydantic-ai … each describe the call. A
second LLM span would claim its tokens twice, so ours stays away: the one that is current at the send
(the innermost) gets our facts, stamped just before it ends, and a dedupe role. Its LLM ancestors are
marked too, so that whoever sums tokens over spans counts each call once.

`SpanProcessor._on_ending` runs after the SDK has frozen the span (opentelemetry-python #5614), so the
stamp is put on by wrapping `Span.end`; `Span.start` shows the parent span, which no span remembers.

Some instrumentors start a span for the call and never make it current (OpenLLMetry's for Anthropic, all
that listen to LangChain's callbacks). Such loose spans are found by where they were started: in the
context of the call, and still open. Others write theirs when the call is over (litellm's callback); they
are known by the answer's id.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Final

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.trace import Span
from opentelemetry.util.types import AttributeValue

from penstock.classifiers import Verdict
from penstock.telemetry import guard
from penstock.telemetry import semconv as names
from penstock.telemetry.attributes import put, read
from penstock.telemetry.records import Attempt, Operation

Attributes = dict[str, AttributeValue]

_INFERENCE: Final = frozenset({"chat", "generate_content", "text_completion", "embeddings"})
# How each dialect says "this span is one model call": attribute -> the values that say so.
# OTel GenAI, pydantic-ai, litellm; OpenInference; OpenLLMetry before 0.4; Langfuse; MLflow; Vercel.
_LLM_MARKS: Final[dict[str, frozenset[str]]] = {
    names.OPERATION_NAME: _INFERENCE,
    "openinference.span.kind": frozenset({"LLM", "EMBEDDING"}),
    "llm.request.type": frozenset({"chat", "completion", "embedding"}),
    "langfuse.observation.type": frozenset({"generation", "embedding"}),
    "mlflow.spanType": frozenset({"LLM", "CHAT_MODEL", "EMBEDDING", '"LLM"', '"CHAT_MODEL"', '"EMBEDDING"'}),
}
_TOOL_MARKS: Final = {
    names.OPERATION_NAME: "execute_tool",
    "openinference.span.kind": "TOOL",
    "traceloop.span.kind": "tool",
}
_TOOL_NAMES: Final = (names.TOOL_NAME, "tool.name", "traceloop.entity.name")
_BORDER_KINDS: Final = frozenset({"TOOL", "AGENT"})
_MAX_ANCESTORS: Final = 16
_MAX_OPEN: Final = 16
_PARENT: Final = "_penstock_parent"
_CALL: Final = "_penstock_call"
_OPERATIONS: Final = "_penstock_operations"

_OPEN: Final[ContextVar[tuple[Span, ...]]] = ContextVar("penstock_open_spans", default=())
"""The spans that were started in this context, oldest first; some may have ended in another."""
_answers: Final[deque[str]] = deque(maxlen=256)
"""The ids of the newest answers: their calls are described."""
_listeners: Final[list[Callable[[str], None]]] = []


def adopt(current: Span, operation: Operation) -> Span | None:
    """Find the LLM span that `operation` runs in and mark the roles of all that describe it.

    The nearest one, which is the newest, owns tokens and attempts, the farthest user-visible latency.
    A tool or agent span in between is a border: beyond it another call is described.
    """
    opened = _OPEN.get()
    if not opened and not current.is_recording():
        return None  # the usual case: nobody else writes spans
    line, found = _ancestry(current)
    loose: list[Span] = []
    for span in reversed(opened):  # most often all are in line
        if span not in line and span.is_recording():
            loose.append(span)  # noqa: PERF401 - a comprehension is a call of its own
    if loose:
        found = sorted((*found, *_describing(loose, line)), key=_started, reverse=True)
    if not found or not found[0].is_recording():
        return None
    owner = found[0]
    owned = owner.__dict__.setdefault(_OPERATIONS, [])
    owned.append(operation)
    if len(owned) == 1:
        for span in found[1:]:
            role = names.DEDUPE_OUTER if span is found[-1] else names.DEDUPE_INNER
            if span.is_recording():
                _mark(span, role)
    return owner


def answered(response_id: str) -> None:
    """Remember that a call with this answer has a span that describes it."""
    _answers.append(response_id)


def tool_span(name: str) -> Span | None:
    """Find the span that somebody has opened for this execution of a tool: the current one, if it is one."""
    span = trace.get_current_span()
    attributes = read(span)
    if not span.is_recording() or names.SPAN_KIND in attributes:
        return None
    is_tool = any(attributes.get(mark) == value for mark, value in _TOOL_MARKS.items())
    told = {attributes[mark] for mark in _TOOL_NAMES if mark in attributes}
    return span if is_tool and (not told or name in told) else None


def span_ending(span: Span) -> None:
    """Write what is known of an adopted span's operations, or the role of one that comes late."""
    if not span.is_recording():
        return
    opened = _OPEN.get()
    if opened and opened[-1] is span:
        _OPEN.set(opened[:-1])
    operations = getattr(span, _OPERATIONS, None)
    if operations:
        put(span, operation_tail(operations))
    elif _answers:
        attributes = read(span)
        answer = attributes.get(names.RESPONSE_ID)
        if answer is not None and names.DEDUPE not in attributes and answer in _answers:
            _mark(span, names.DEDUPE_OUTER)


def operation_tail(operations: Sequence[Operation]) -> Attributes:
    """Say how the operations of one span went; the last one's verdict stands."""
    last = operations[-1]
    attempts = last.attempts if len(operations) == 1 else sum(one.attempts for one in operations)
    attributes: Attributes = {
        names.SPAN_KIND: names.KIND_OPERATION,
        names.POOL: last.pool,
        names.ATTEMPTS: attempts,
        names.DEDUPE: names.DEDUPE_OWNER,
    }
    if last.verdict is None:
        trust_tail(attributes, last)
    else:
        verdict_tail(attributes, last.verdict)
    if last.fallback_from is not None:
        attributes[names.FALLBACK_FROM] = last.fallback_from
    return attributes


def trust_tail(attributes: Attributes, answered: Operation | Attempt) -> None:
    """Say where an answer came from, and why if not from the primary."""
    attributes[names.TRUST] = answered.trust or names.TRUST_PRIMARY
    if answered.trust_reason is not None:
        attributes[names.TRUST_REASON] = answered.trust_reason


def verdict_tail(attributes: Attributes, verdict: Verdict | None) -> None:
    """Add what a failure was; nothing for success."""
    if verdict is None:
        return
    attributes[names.ERROR_CLASS] = verdict.error_class.value
    attributes[names.ERROR_GROUP] = verdict.group.value
    attributes[names.ERROR_REASON] = verdict.reason
    attributes[names.ERROR_RETRYABLE] = verdict.retryable
    attributes[names.ERROR_SIDE_EFFECTS] = verdict.side_effects.value
    attributes[names.ERROR_TAXONOMY] = verdict.taxonomy_version
    if verdict.limit_dimension is not None:
        attributes[names.LIMIT_DIMENSION] = verdict.limit_dimension
    if verdict.retry_after is not None:
        attributes[names.RETRY_AFTER] = verdict.retry_after


def span_started(span: Span, parent_context: context_api.Context | None) -> None:
    """Remember a span's parent: the SDK keeps only its id."""
    parent = trace.get_current_span(parent_context)
    if parent.is_recording():
        span.__dict__[_PARENT] = parent
    opened = _OPEN.get()
    if len(opened) >= _MAX_OPEN:
        opened = tuple([other for other in opened if other.is_recording()][1 - _MAX_OPEN :])
    _OPEN.set((*opened, span))


def announce(spans: Iterable[Span], call: Hashable) -> None:
    """Say that `spans`, started elsewhere, describe `call`, which this context is about to make."""
    described = tuple(span for span in spans if span.is_recording())
    for span in described:
        span.__dict__[_CALL] = call
    still_open = [span for span in _OPEN.get() if span.is_recording() and span not in described]
    _OPEN.set((*still_open, *described)[-_MAX_OPEN:])


def listen(listener: Callable[[str], None]) -> Callable[[], None]:
    """Be told the role of each LLM span that does not own its call; returns the way to stop."""
    _listeners.append(listener)

    def stop() -> None:
        if listener in _listeners:
            _listeners.remove(listener)

    return stop


def _ancestry(span: Span | None) -> tuple[list[Span], list[Span]]:
    """Give a span and those it is in, nearest first; and of these the LLM spans this side of a border."""
    line: list[Span] = []
    found: list[Span] = []
    beyond = False
    while span is not None and len(line) < _MAX_ANCESTORS:
        line.append(span)
        if not beyond:
            attributes = read(span)
            if _is_llm(attributes):
                found.append(span)
            else:
                beyond = _is_border(attributes)
        span = getattr(span, _PARENT, None)
    return line, found


def _describing(loose: Iterable[Span], line: Sequence[Span]) -> Iterator[Span]:
    """Of spans that are in nothing of `line`, newest first, find LLM spans of one call that has none yet.

    A loose span is a sibling of the current one or of what that is in; an announced one is anywhere.
    """
    call: Hashable = None
    for span in loose:
        if _is_taken(span):
            continue
        announced: Hashable = span.__dict__.get(_CALL)
        if announced is None:
            if _is_llm(read(span)) and getattr(span, _PARENT, line[-1]) in line:
                yield span
        elif call is None or announced == call:
            call = announced
            yield span


def _started(span: Span) -> int:
    return getattr(span, "start_time", None) or 0


def _is_taken(span: Span) -> bool:
    return _OPERATIONS in span.__dict__ or names.DEDUPE in read(span)


def _is_llm(attributes: Mapping[str, object]) -> bool:
    for name, values in _LLM_MARKS.items():  # noqa: SIM110 - each span above a call is asked: no generator
        if attributes.get(name) in values:
            return True
    return False


def _is_border(attributes: Mapping[str, object]) -> bool:
    operation = attributes.get(names.OPERATION_NAME)
    if operation is not None:
        return operation not in _INFERENCE
    return (
        attributes.get("openinference.span.kind") in _BORDER_KINDS
        or attributes.get("traceloop.span.kind") in ("tool", "agent")
        or attributes.get(names.SPAN_KIND) in (names.KIND_TASK, names.KIND_TOOL)
    )


def _mark(span: Span, role: str) -> None:
    span.set_attribute(names.DEDUPE, role)
    _tell(role)


def _tell(role: str) -> None:
    for listener in tuple(_listeners):
        try:
            listener(role)
        except guard.OURS as error:
            guard.failed("adoption.listener", error)
