"""`docs/metrics.md` from the catalogue: `python -m penstock.telemetry.metrics_page > docs/metrics.md`."""

import inspect
import re

from penstock.telemetry import metrics
from penstock.telemetry.metrics import CATALOGUE, Metric

_HEAD = """# Metrics

Generated from the catalogue (`telemetry/metrics.py`); do not edit.

Served on `127.0.0.1` when `--metrics-port N` (or `OTEL_EXPORTER_PROMETHEUS_PORT`) is given, and written to
OpenTelemetry where a MeterProvider or an OTLP endpoint is set: there a counter loses `_total`, a duration
loses `_seconds` and has unit `s`, and the time-weighted histogram leaves as counters `…_bucket` with an `le`
attribute, `…_sum` and `…_count`, since OpenTelemetry has no observable histogram.

Labels are bounded: the first 50 models, pools and tools keep their names, the rest are `other`. Ids, URLs and
messages are never labels. Series that ratios are made of stand at 0 from a pool's first call.

`penstock_live_calls_seconds` is weighted by time: `histogram_quantile(0.99, sum by (pool, le)
(rate(penstock_live_calls_seconds_bucket[5m])))` is the p99 of live calls, `_sum / _count` the mean. A gauge
that is sampled at each scrape misses what happens in between.
"""


def page() -> str:
    """Build the page."""
    parts = [_HEAD]
    for title, family in sections():
        parts.append(f"\n## {title}\n\n| metric | type | labels | meaning |\n|---|---|---|---|")
        parts += [_row(metric) for metric in family]
    return "\n".join(parts) + "\n"


def sections() -> list[tuple[str, list[Metric]]]:
    """Group the catalogue by the headings that its module is written under."""
    source = inspect.getsource(metrics).partition("# fmt: off")[2]
    found: list[tuple[str, list[Metric]]] = []
    known = {metric.name: metric for metric in CATALOGUE}
    for match in re.finditer(r'^# (.+)$|Metric\(\s*"([a-z_]+)"', source, re.MULTILINE):
        title, name = match.groups()
        if name is not None:
            found[-1][1].append(known[name])
        elif title != "fmt: on":
            found.append((title, []))
    return [(title, family) for title, family in found if family]


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "none"
    return f"| `{metric.name}` | {metric.type.value} | {labels} | {metric.help} |"


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201
