"""Start the spans of calls: equal to what the SDK's tracer starts, but in one go.

`Tracer.start_span` passes some forty functions, each cold between an SDK's own work. What they find out is
the same for every span of ours in the ordinary case: a tracer of the SDK's, nothing above or a sampled span
of this process, and a sampler that takes all such. So it is learnt from a span that the tracer has started
itself. In any other case, and where spans are made of parts that we do not know, the tracer starts each.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, ParentBasedTraceIdRatio
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import (
    INVALID_SPAN,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
)
from opentelemetry.util.types import AttributeValue

from penstock.telemetry.attributes import put

_OWN: Final = frozenset(
    {
        "_attributes", "_context", "_end_time", "_events", "_links", "_lock", "_name", "_parent", "_resource",
        "_start_time", "_status",
    }
)  # fmt: skip
_SHARED: Final = frozenset(
    {
        "_instrumentation_info", "_instrumentation_scope", "_kind", "_limits", "_record_end_metrics",
        "_record_exception", "_sampler", "_set_status_on_exception", "_span_processor", "_trace_config",
    }
)  # fmt: skip
_UNCOUNTED: Final = ("NoneType", "NoOpTracerMetrics")
"""What stands in a tracer whose SDK does not count its own spans."""
_PLAIN: Final = frozenset({str, bool, int, float})
"""Values that the SDK takes as they are."""
_UNSET: Final = Status(StatusCode.UNSET)


@dataclass(frozen=True, slots=True)
class _Form:
    """What all spans of a tracer share, as long as its sampler and its configuration are these."""

    kind: type[Any]
    shared: dict[str, Any]
    limits: sdk.SpanLimits
    sampler: object
    config: object


class SpanStarts:
    """Starts CLIENT spans by one tracer."""

    __slots__ = ("_form", "_root_flags", "tracer")

    def __init__(self, tracer: Tracer) -> None:
        self.tracer: Any = tracer
        self._form: _Form | None = None
        self._root_flags: TraceFlags | None = None
        """A root's, where the sampler takes every one."""

    def start(
        self,
        name: str,
        context: Context,
        above: Span,
        attributes: Mapping[str, AttributeValue],
        start_ns: int,
    ) -> Span:
        """Start a span in `context`, whose current span is `above`."""
        form, tracer = self._form, self.tracer
        if (
            form is not None
            and form.sampler is tracer.sampler
            and form.config is getattr(tracer, "_tracer_config", None)
            and _are_plain(attributes)
        ):
            ids = tracer.id_generator
            if type(above) is form.kind:
                parent = above.get_span_context()
                flags = parent.trace_flags
                if flags & TraceFlags.SAMPLED:
                    own = SpanContext(
                        parent.trace_id, ids.generate_span_id(), False, flags, parent.trace_state
                    )
                    return self._make(form, name, context, own, parent, attributes, start_ns)
            elif above is INVALID_SPAN and self._root_flags is not None:
                own = SpanContext(ids.generate_trace_id(), ids.generate_span_id(), False, self._root_flags)
                return self._make(form, name, context, own, None, attributes, start_ns)
        span: Span = tracer.start_span(
            name, context=context, kind=SpanKind.CLIENT, attributes=attributes, start_time=start_ns
        )
        self._learn(span)
        return span

    def _make(
        self,
        form: _Form,
        name: str,
        context: Context,
        own: SpanContext,
        parent: SpanContext | None,
        attributes: Mapping[str, AttributeValue],
        start_ns: int,
    ) -> Span:
        limits = form.limits
        span: Any = object.__new__(form.kind)
        span.__dict__ = {
            **form.shared,
            "_name": name,
            "_context": own,
            "_parent": parent,
            "_resource": self.tracer.resource,
            "_start_time": None,
            "_end_time": None,
            "_status": _UNSET,
            "_attributes": BoundedAttributes(
                limits.max_span_attributes, None, False, limits.max_span_attribute_length
            ),
            "_events": BoundedList(limits.max_events),
            "_links": BoundedList(limits.max_links),
            "_lock": threading.Lock(),
        }
        put(span, attributes)
        span.start(start_ns, context)
        return span  # type: ignore[no-any-return]

    def _learn(self, span: Span) -> None:
        """Keep what the tracer's next spans will have in common with this one."""
        tracer, form = self.tracer, self._form
        sampler, config = getattr(tracer, "sampler", None), getattr(tracer, "_tracer_config", None)
        if form is None or form.sampler is not sampler or form.config is not config:
            self._form = self._root_flags = None
            if not (_takes(sampler, "_local_parent_sampled") and _is_known(span, tracer)):
                return
            fields = vars(span)
            shared = {name: fields[name] for name in fields.keys() - _OWN}
            form = self._form = _Form(type(span), shared, fields["_limits"], sampler, config)
        if isinstance(span, form.kind) and span.parent is None and _takes(sampler, "_root"):
            self._root_flags = span.get_span_context().trace_flags


def _is_known(span: Span, tracer: Tracer) -> bool:
    """Tell whether a span is made of what we would make it of, and counted by nobody."""
    return (
        type(tracer) is sdk.Tracer
        and isinstance(span, sdk.Span)
        and type(getattr(tracer, "_tracer_metrics", None)).__name__ in _UNCOUNTED
        and _OWN <= vars(span).keys() <= _OWN | _SHARED
    )


def _takes(sampler: object, whom: str) -> bool:
    """Tell whether a sampler takes every span of one sort; some leave that to another sampler."""
    if type(sampler) in (ParentBased, ParentBasedTraceIdRatio):
        sampler = getattr(sampler, whom, None)
    return sampler is ALWAYS_ON


def _are_plain(attributes: Mapping[str, AttributeValue]) -> bool:
    for value in attributes.values():  # noqa: SIM110 - a generator is a call of its own
        if type(value) not in _PLAIN:
            return False
    return True
