"""Who reads the registry: Prometheus scrapes it, OpenTelemetry observes it."""

from penstock.telemetry.exposition.crew import Crew
from penstock.telemetry.exposition.otel import OtelMetrics
from penstock.telemetry.exposition.prometheus import Endpoint, RegistryCollector

__all__ = ["Crew", "Endpoint", "OtelMetrics", "RegistryCollector"]
