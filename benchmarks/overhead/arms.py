"""Who is compared: nobody twice, Penstock in three ways, and the peers, each as it comes by default.

Every arm but the unsampled one and the one without spans writes its spans to the same SDK provider,
whose exporter throws them away: exporting costs all the same.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Final

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

from benchmarks.overhead.paired import CONTROL
from penstock import instrument as instrument_penstock

Instrument = Callable[[], object]

AGAIN: Final = "none again (A/A)"
PENSTOCK: Final = "penstock, spans and metrics"
PENSTOCK_ARMS: Final = (PENSTOCK, "penstock, unsampled", "penstock, metrics only")


class Null(SpanExporter):
    """Exports to nowhere."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Throw away."""
        return SpanExportResult.SUCCESS


def provider(sampler: Sampler = ALWAYS_ON) -> TracerProvider:
    """Make a provider that exports to nowhere."""
    made = TracerProvider(sampler=sampler)
    made.add_span_processor(SimpleSpanProcessor(Null()))
    return made


def penstock(sampler: Sampler | None) -> Instrument:
    """Sense as an app does that says `penstock.instrument()`; with a sampler, it has a TracerProvider."""

    def instrument() -> None:
        if sampler is not None:
            trace.set_tracer_provider(provider(sampler))
        instrument_penstock(limit="off", spans="off")

    return instrument


def peer(module: str, instrumentor: str = "OpenAIInstrumentor") -> Instrument:
    """Instrument with somebody else's, with the options it has by default."""

    def instrument() -> None:
        loaded = importlib.import_module(module)
        trace.set_tracer_provider(provider())
        getattr(loaded, instrumentor)().instrument()

    return instrument


ARMS: Final[dict[str, Instrument]] = {
    CONTROL: lambda: None,
    AGAIN: lambda: None,
    PENSTOCK_ARMS[0]: penstock(ALWAYS_ON),
    PENSTOCK_ARMS[1]: penstock(ALWAYS_OFF),
    PENSTOCK_ARMS[2]: penstock(None),
    "OTel genai-openai": peer("opentelemetry.instrumentation.genai.openai"),
    "OpenInference openai": peer("openinference.instrumentation.openai"),
    "OpenLLMetry openai": peer("opentelemetry.instrumentation.openai"),
    "OTel httpx2": peer("opentelemetry.instrumentation.httpx", "HTTPX2ClientInstrumentor"),
}
PEERS: Final = tuple(name for name in ARMS if name not in (CONTROL, AGAIN, *PENSTOCK_ARMS))
