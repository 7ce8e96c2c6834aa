"""Spans of operations and attempts, as the span contract says (names: `semconv`).

Timestamps are the records' own, so that spans and live figures agree to the last digit. A span says
what failed by class and reason; it never holds text of a prompt, an answer or an error message.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from penstock.classifiers import ErrorClass, Verdict
from penstock.providers import Quota, Usage
from penstock.telemetry import guard
from penstock.telemetry import semconv as names
from penstock.telemetry.adoption import (
    Attributes,
    adopt,
    operation_tail,
    span_ending,
    trust_tail,
    verdict_tail,
)
from penstock.telemetry.attributes import put
from penstock.telemetry.bursts import Burst
from penstock.telemetry.records import Attempt, Operation
from penstock.telemetry.span_starts import SpanStarts

TracerSource = Callable[[], Tracer | None]
"""Asked at each operation: the app's provider may be set long after we were installed."""
BurstSource = Callable[[str], Burst | None]
"""Tells the cache burst that a pool is in the midst of."""

QUEUE_SPAN_SECONDS: Final = 0.001
"""Shorter waits are not worth a span."""

# OTel's well-known provider names, where they differ from ours.
# opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai, gen_ai.provider.name
_OTEL_PROVIDERS: Final = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}


@dataclass(slots=True)
class OperationSpan:
    """An operation's span and the context that its attempts are children in.

    Attempts of an operation that is not `recorded` (its trace was not sampled) get no spans either.
    """

    span: Span
    context: Context
    starts: SpanStarts
    adopted: bool
    recorded: bool


class SpanWriter:
    """Writes spans by the tracer that is current when an operation starts; none writes nothing."""

    def __init__(self, tracer_source: TracerSource, burst_source: BurstSource = lambda pool: None) -> None:
        self._tracer_source = tracer_source
        self._burst_source = burst_source
        self._starts: SpanStarts | None = None

    def operation_started(self, operation: Operation) -> OperationSpan | None:
        """Adopt the LLM span that is current, else start our own."""
        try:
            tracer = self._tracer_source()
            if tracer is None:
                return None
            starts = self._starts
            if starts is None or starts.tracer is not tracer:
                starts = self._starts = SpanStarts(tracer)
            parent = context_api.get_current()
            current = trace.get_current_span(parent)
            adopted = adopt(current, operation)
            if adopted is not None:
                operation.adopted = True
                context = parent if adopted is current else trace.set_span_in_context(adopted, parent)
                return OperationSpan(adopted, context, starts, True, True)
            name, head = f"{operation.operation} {operation.model}", _operation_head(operation)
            span = starts.start(name, parent, current, head, operation.started_ns)
            context = trace.set_span_in_context(span, parent)
            return OperationSpan(span, context, starts, False, span.is_recording())
        except guard.OURS as error:
            guard.failed("spans.operation_started", error)
            return None

    def operation_ended(self, operation: Operation, handle: OperationSpan, last: Attempt | None) -> None:
        """End our own span; an adopted one is its owner's to end."""
        try:
            span = handle.span
            if handle.adopted:
                if not isinstance(span, ReadableSpan):
                    span_ending(span)  # a wrapper, such as Logfire's, whose end does not pass our hook
                return
            if span.is_recording():
                attributes = operation_tail((operation,))
                if last is not None:
                    _attempt_facts_of_operation(attributes, operation, last)
                put(span, attributes)
                if operation.verdict is not None:
                    _status(span, operation.verdict)
            span.end(operation.ended_ns)
        except guard.OURS as error:
            guard.failed("spans.operation_ended", error)

    def attempt_started(self, attempt: Attempt, handle: OperationSpan) -> Context | None:
        """Start an attempt's span; returns the context to send in."""
        if not handle.recorded:
            attempt.span = handle.span  # for its trace id: the log line of a failure names it
            return handle.context
        try:
            if attempt.queued_seconds >= QUEUE_SPAN_SECONDS:
                _queue_span(attempt, handle)
            name, above = f"attempt {attempt.model}", handle.span
            span = handle.starts.start(name, handle.context, above, _ATTEMPT, attempt.started_ns)
            attempt.span = span
            return trace.set_span_in_context(span, handle.context)
        except guard.OURS as error:
            guard.failed("spans.attempt_started", error)
            return None

    def attempt_ended(self, attempt: Attempt) -> None:
        """End an attempt's span."""
        span = attempt.span
        if span is None:
            return
        try:
            if span.is_recording():
                facts = _attempt_facts(attempt)
                burst = self._burst_source(attempt.pool)
                if burst is not None:
                    facts[names.CACHE_BURST] = burst.kind.value
                    facts[names.CACHE_BURST_CAUSE] = burst.cause.value
                put(span, facts)
                if attempt.verdict is not None:
                    _status(span, attempt.verdict)
            span.end(attempt.ended_ns)
        except guard.OURS as error:
            guard.failed("spans.attempt_ended", error)


def _operation_head(operation: Operation) -> Attributes:
    attributes: Attributes = {
        names.SPAN_KIND: names.KIND_OPERATION,
        names.OPERATION_NAME: operation.operation,
        names.PROVIDER_NAME: _OTEL_PROVIDERS.get(operation.provider, operation.provider),
        names.REQUEST_MODEL: operation.model,
    }
    if operation.stream:
        attributes[names.REQUEST_STREAM] = True
    if operation.max_output_tokens is not None:
        attributes[names.REQUEST_MAX_TOKENS] = operation.max_output_tokens
    if operation.task is not None:
        attributes[names.TASK_ID] = operation.task.id
        attributes[names.TASK_NAME] = operation.task.name
    return attributes


def _attempt_facts_of_operation(attributes: Attributes, operation: Operation, last: Attempt) -> None:
    """What our own operation span also says, from its last attempt."""
    attributes[names.SERVER_ADDRESS] = last.host
    if last.port is not None:
        attributes[names.SERVER_PORT] = last.port
    if last.status is not None:
        attributes[names.HTTP_STATUS] = last.status
    if operation.verdict is not None:
        attributes[names.ERROR_TYPE] = _error_type(last.status, operation.verdict)
    if operation.response_model is not None:
        attributes[names.RESPONSE_MODEL] = operation.response_model
    if operation.response_id is not None:
        attributes[names.RESPONSE_ID] = operation.response_id
    if operation.finish_reason is not None:
        attributes[names.RESPONSE_FINISH_REASONS] = (operation.finish_reason,)
    if operation.stream and last.first_byte_ns is not None and last.verdict is None:
        attributes[names.RESPONSE_FIRST_CHUNK] = (last.first_byte_ns - operation.started_ns) / 1e9
    if operation.usage is not None:
        _usage(attributes, _USAGE_NAMES, operation.usage)


_USAGE_NAMES: Final = (
    names.USAGE_INPUT,
    names.USAGE_OUTPUT,
    names.USAGE_CACHE_READ,
    names.USAGE_CACHE_WRITE,
)
_ATTEMPT_USAGE_NAMES: Final = (
    names.ATTEMPT_INPUT,
    names.ATTEMPT_OUTPUT,
    names.ATTEMPT_CACHE_READ,
    names.ATTEMPT_CACHE_WRITE,
)
_REQUESTS_NAMES: Final = (
    names.QUOTA_REQUESTS_LIMIT,
    names.QUOTA_REQUESTS_REMAINING,
    names.QUOTA_REQUESTS_RESET,
)
_TOKENS_NAMES: Final = (names.QUOTA_TOKENS_LIMIT, names.QUOTA_TOKENS_REMAINING, names.QUOTA_TOKENS_RESET)


_ATTEMPT: Final[Attributes] = {names.SPAN_KIND: names.KIND_ATTEMPT}
"""What a span begins with; the rest is written at once, at its end."""


def _attempt_facts(attempt: Attempt) -> Attributes:
    attributes: Attributes = {
        names.ATTEMPT_NUMBER: attempt.number,
        names.POOL: attempt.pool,
        names.ATTEMPT_PROVIDER: attempt.provider,
        names.ATTEMPT_MODEL: attempt.model,
        names.SERVER_ADDRESS: attempt.host,
    }
    if attempt.port is not None:
        attributes[names.SERVER_PORT] = attempt.port
    if attempt.queued_seconds:
        attributes[names.QUEUED_SECONDS] = attempt.queued_seconds
    if attempt.prefix is not None:
        attributes[names.PREFIX] = attempt.prefix
    if attempt.fallback_from is not None:
        attributes[names.FALLBACK_FROM] = attempt.fallback_from
    if attempt.retry_owner is not None:
        attributes[names.RETRY_OWNER] = attempt.retry_owner
    if attempt.end is not None:
        attributes[names.END] = attempt.end
    _answer_facts(attributes, attempt)
    return attributes


def _answer_facts(attributes: Attributes, attempt: Attempt) -> None:
    if attempt.status is not None:
        attributes[names.HTTP_STATUS] = attempt.status
    if attempt.first_byte_ns is not None:
        attributes[names.FIRST_BYTE_SECONDS] = (attempt.first_byte_ns - attempt.started_ns) / 1e9
    if attempt.request_id is not None:
        attributes[names.REQUEST_ID] = attempt.request_id
    if attempt.usage is not None:
        _usage(attributes, _ATTEMPT_USAGE_NAMES, attempt.usage)
    quota = attempt.quota
    if quota is not None:
        _windows(attributes, quota)
    if attempt.verdict is None:
        trust_tail(attributes, attempt)
    else:
        verdict_tail(attributes, attempt.verdict)
        attributes[names.ERROR_TYPE] = _error_type(attempt.status, attempt.verdict)


def _status(span: Span, verdict: Verdict) -> None:
    """A failure is an error, a cancelled call is none."""
    if verdict.error_class is not ErrorClass.CANCELLED:
        span.set_status(Status(StatusCode.ERROR, verdict.error_class.value))


def _error_type(status: int | None, verdict: Verdict) -> str:
    """OTel's error.type: the status where the server sent one, else what went wrong."""
    return str(status) if status is not None and status >= 400 else verdict.error_class.value


def _windows(attributes: Attributes, quota: Quota) -> None:
    for fields, window in ((_REQUESTS_NAMES, quota.requests), (_TOKENS_NAMES, quota.tokens)):
        for name, value in zip(fields, window or (), strict=False):
            if value is not None:
                attributes[name] = value


def _usage(attributes: Attributes, fields: tuple[str, str, str, str], usage: Usage) -> None:
    for name, tokens in zip(fields, usage, strict=True):
        if tokens is not None:
            attributes[name] = tokens


def _queue_span(attempt: Attempt, handle: OperationSpan) -> None:
    """Show the time in our own queue as a span of its own: it is not in flight."""
    span = handle.starts.tracer.start_span(
        f"queue {attempt.pool}",
        context=handle.context,
        kind=SpanKind.INTERNAL,
        attributes={
            names.SPAN_KIND: names.KIND_QUEUE,
            names.POOL: attempt.pool,
            names.QUEUED_SECONDS: attempt.queued_seconds,
        },
        start_time=attempt.started_ns - int(attempt.queued_seconds * 1e9),
    )
    span.end(attempt.started_ns)
