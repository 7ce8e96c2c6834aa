"""Whose TracerProvider our spans go through: the app's as soon as it has one, until then our own.

We never set the global provider and never replace one. The app's may come long after us, so the
question is asked at every operation; the answer costs one attribute read.
"""

import os
import threading
import uuid
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Final, Protocol, cast, runtime_checkable
from weakref import WeakKeyDictionary

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.trace import Tracer

SCOPE: Final = "penstock"
_ELSEWHERE: Final = object()
"""For an API that keeps its provider in another place: it is asked at each operation then."""


@runtime_checkable
class _TakesProcessors(Protocol):
    """An SDK provider, or a wrapper of one such as Logfire's."""

    def add_span_processor(self, span_processor: SpanProcessor) -> None: ...


class _Tap(SpanProcessor):
    """What we add to an app's provider: it cannot be taken off again, so it can be turned off."""

    def __init__(self) -> None:
        self.processors: Sequence[SpanProcessor] = ()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        for processor in self.processors:
            processor.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        for processor in self.processors:
            processor.on_end(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        flushed = [processor.force_flush(timeout_millis) for processor in self.processors]
        return all(flushed)


_taps: Final[WeakKeyDictionary[object, _Tap]] = WeakKeyDictionary()
"""One tap a provider, however often we are installed and shut down."""
_adopting = threading.Lock()


class Tracing:
    """Give out tracers. `processors` see every ended span; `exporters` only those of our own provider,
    since an app with a provider has exporters of its own. `watchers` look on, and alone are no reason
    to write spans.
    """

    def __init__(
        self,
        processors: Sequence[SpanProcessor],
        exporters: Callable[[], Sequence[SpanProcessor]] = tuple,
        watchers: Sequence[SpanProcessor] = (),
    ) -> None:
        self._keepers = tuple(processors)
        self._processors = (*watchers, *processors)
        self._exporters = exporters
        self._version = version("penstock")
        self._tap: _Tap | None = None
        self._held: object = _ELSEWHERE
        self._asked: object = None
        self._adopted = False
        self._inherited = False
        self._resource = Resource.create()  # once: its detectors run in threads, which a fork's child lacks
        self._own, self._tracer = self._make()

    def tracer(self) -> Tracer | None:
        """Give the tracer to use now; None where nobody would keep a span."""
        held = getattr(trace, "_TRACER_PROVIDER", _ELSEWHERE)
        if held is not self._held or held is _ELSEWHERE:
            self._held = held
            self._ask()
        if self._inherited:
            self._renew()
        return self._tracer

    @property
    def adopted(self) -> bool:
        """True when our spans go through the app's provider."""
        return self._adopted

    def force_flush(self) -> None:
        """Hand over what is queued."""
        self._own.force_flush()

    def shutdown(self) -> None:
        """Stop. The app's provider goes on without us."""
        if self._tap is not None:
            self._tap.processors = ()
        self._own.shutdown()
        for processor in self._processors:
            processor.shutdown()

    def after_fork(self) -> None:
        """Let a child have a provider of its own: another instance id, its own exporters."""
        global _adopting
        _adopting = threading.Lock()
        self._inherited = not self.adopted  # renewed at first use: little is safe in a fork handler

    def _ask(self) -> None:
        provider = trace.get_tracer_provider()
        if provider is not self._asked:
            if isinstance(provider, _TakesProcessors):
                self._adopt(provider)
            self._asked = provider

    def _renew(self) -> None:
        with _adopting:
            if self._inherited:
                self._own, self._tracer = self._make()
                self._inherited = False

    def _make(self) -> tuple[TracerProvider, Tracer | None]:
        identity = Resource({"service.instance.id": str(uuid.uuid4()), "process.pid": os.getpid()})
        provider = TracerProvider(resource=self._resource.merge(identity), shutdown_on_exit=False)
        exporters = self._exporters()
        for processor in (*self._processors, *exporters):
            provider.add_span_processor(processor)
        kept = self._keepers or exporters
        return provider, provider.get_tracer(SCOPE, self._version) if kept else None

    def _adopt(self, provider: _TakesProcessors) -> None:
        with _adopting:
            if self._tap is not None:
                self._tap.processors = ()
            tap = _taps.get(provider)
            if tap is None:
                tap = _taps[provider] = _Tap()
                provider.add_span_processor(tap)
            tap.processors = self._processors
            self._tap, self._adopted = tap, True
            self._inherited = False
        self._tracer = cast("trace.TracerProvider", provider).get_tracer(SCOPE, self._version)
