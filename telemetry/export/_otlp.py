"""The standard exporters of our own provider, as the `OTEL_*` variables ask for them.

An app that has a TracerProvider has exporters of its own; these serve the one that has none.
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

import logging
import os
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Final, cast

from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

logger: Final = logging.getLogger("penstock")
_GROUP: Final = "opentelemetry_traces_exporter"
_warned: Final[set[str]] = set()


def wanted() -> tuple[str, ...]:
    """Name the span exporters that the environment asks for: `otlp` where only an endpoint is set."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return ()
    named = os.environ.get("OTEL_TRACES_EXPORTER", "")
    if named:
        return tuple(name for name in (part.strip() for part in named.split(",")) if name not in ("", "none"))
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or os.environ.get(
        "OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    return ("otlp",) if endpoint else ()


def wanted_exporters() -> dict[str, bool]:
    """Name the wanted exporters, and whether each is installed."""
    return {name: _factory(name) is not None for name in wanted()}


def standard_processors() -> list[SpanProcessor]:
    """Make a batching processor for each wanted exporter; one that is not installed is one warning."""
    made: list[SpanProcessor] = []
    for name in wanted():
        make = _factory(name)
        if make is not None:
            made.append(BatchSpanProcessor(make()))
        elif name not in _warned:
            _warned.add(name)
            logger.warning(
                "span exporter %r is asked for and not installed; pip install 'penstock[otlp]'", name
            )
    return made


def _factory(name: str) -> Callable[[], SpanExporter] | None:
    for candidate in _candidates(name):
        for point in entry_points(group=_GROUP, name=candidate):
            try:
                return cast("Callable[[], SpanExporter]", point.load())
            except ImportError:
                continue
    return None


def _candidates(name: str) -> tuple[str, ...]:
    """`otlp` is HTTP or gRPC: what the environment says, else whichever is installed."""
    if name != "otlp":
        return (name,)
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL", ""
    )
    http, grpc = "otlp_proto_http", "otlp_proto_grpc"
    return (grpc, http) if protocol == "grpc" else (http, grpc)
