"""Where spans go: a local file, an OTLP endpoint, or the app's own TracerProvider."""

from penstock.telemetry.export._otlp import standard_processors, wanted_exporters
from penstock.telemetry.export._otlp_json import encode
from penstock.telemetry.export._spool import Spool
from penstock.telemetry.export._writer import SpanFile

__all__ = ["SpanFile", "Spool", "encode", "standard_processors", "wanted_exporters"]
