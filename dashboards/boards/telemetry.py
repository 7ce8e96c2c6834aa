"""Can the other boards be believed."""

from typing import Final

from penstock.dashboards._queries import PANEL
from penstock.dashboards._spec import Board, Kind, Panel, Query, Row
from penstock.telemetry import metrics as m
from penstock.telemetry import objectives as o

_JOB = '{job=~"$job"}'

_UP = Panel(
    title="Scrapes that answer", kind=Kind.LINES, unit="none", maximum=1.0,
    queries=(Query(f"up{_JOB}", "{{instance}}"),),
    meaning="1 while Prometheus can read a process.",
    action="0: the process is gone, or its metrics port is.",
    alert="PenstockTelemetryMissing",
)  # fmt: skip
_SCRAPE = Panel(
    title="Scrape duration", kind=Kind.LINES, unit="s",
    queries=(Query(f"scrape_duration_seconds{_JOB}", "{{instance}}"),),
    meaning="Time to read a process's metrics.",
    action="Beyond a second: the process is starved of CPU.",
)  # fmt: skip
_SAMPLES = Panel(
    title="Samples a scrape", kind=Kind.LINES, unit="short",
    queries=(Query(f"scrape_samples_scraped{_JOB}", "{{instance}}"),),
    meaning="Series that each process exposes.",
    action="Growing without end: a label takes too many values; report it.",
)  # fmt: skip
_PROCESSES = Panel(
    title="Processes by version", kind=Kind.LINES, unit="none",
    queries=(Query(PANEL.total(m.BUILD, by="job, version"), "{{job}} {{version}}"),),
    meaning="How many processes report, and what they run.",
    action="Two versions for long: a rollout is stuck.",
    alert="PenstockTelemetryMissing",
)  # fmt: skip
_HOOKS = Panel(
    title="Hook errors", kind=Kind.LINES, unit="ops",
    queries=(Query(PANEL.rate(m.HOOK_ERRORS, by="hook"), "{{hook}}"),),
    meaning="Our own bugs, swallowed so that the app lives.",
    action="Any: the log of the process has the traceback; figures of that hook are incomplete.",
    alert="PenstockHookErrors",
)  # fmt: skip
_DROPPED = Panel(
    title="Spans dropped and deduplicated", kind=Kind.LINES, unit="ops",
    queries=(
        Query(PANEL.rate(m.SPANS_DROPPED, by="exporter"), "dropped {{exporter}}"),
        Query(PANEL.rate(m.SPANS_DEDUPED, by="role"), "deduplicated {{role}}"),
    ),
    meaning="Spans lost on export, and LLM spans that do not own their call's tokens.",
    action="Dropped: the collector is slow or gone; metrics stay right, traces do not.",
    alert="PenstockSpansDropped",
)  # fmt: skip
_STORE = Panel(
    title="Shared store", kind=Kind.STATES, unit="none", width=12,
    states=(("0", "local share", "red"), ("1", "up", "green")),
    queries=(Query(PANEL.total(m.STORE, by="instance", function="min"), "{{instance}}"),),
    meaning="Whether a process reaches the fleet's store, or works on its last share.",
    action="local share: the fleet sends less than it may; restore the store.",
    alert="PenstockStoreDown", needs="a shared store (Redis)",
)  # fmt: skip
_STORE_OPS = Panel(
    title="Round trips to the store", kind=Kind.STACK, unit="ops", width=12,
    queries=(Query(PANEL.rate(m.STORE_OPS, by="result"), "{{result}}"),),
    meaning="Requests to the shared store by result.",
    action="Failures before it is reported down: a slow network or a busy server.",
    needs="a shared store (Redis)",
)  # fmt: skip
_MEMBERS = Panel(
    title="Processes that share a pool", kind=Kind.LINES, unit="none", width=12,
    queries=(Query(PANEL.total(m.MEMBERS, function="max"), "{{pool}}"),),
    meaning="How many ways the quota is divided.",
    action="More than you run: holders that died are about to be given back.",
    needs="a shared store (Redis)",
)  # fmt: skip
_AGE = Panel(
    title="Age of the quota sample", kind=Kind.LINES, unit="s", width=12,
    queries=(Query(f"time() - {PANEL.total(m.QUOTA_SEEN, function='max')}", "{{pool}}"),),
    meaning="Time since a pool's headers last told its quota.",
    action="Old while calls flow: a proxy strips the headers.",
    objective=o.QUOTA_SAMPLE_AGE_SECONDS, needs="a provider that sends quota headers",
)  # fmt: skip

TELEMETRY: Final = Board(
    uid="penstock-telemetry",
    title="Penstock / Telemetry health",
    description="Can the other boards be believed.",
    rows=(
        Row("Scrapes", (_UP, _SCRAPE, _SAMPLES)),
        Row("Our own health", (_PROCESSES, _HOOKS, _DROPPED)),
        Row("Fleet and headers", (_STORE, _STORE_OPS, _MEMBERS, _AGE)),
    ),
)
