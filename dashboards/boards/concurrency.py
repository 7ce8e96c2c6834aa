"""How many calls are live, what caps them, and who waits."""

from typing import Final

from penstock.dashboards import _queries as q
from penstock.dashboards._queries import PANEL
from penstock.dashboards._spec import Board, Kind, Panel, Query, Row
from penstock.telemetry import metrics as m
from penstock.telemetry import objectives as o

_PERCENTILES = Panel(
    title="Live calls, p50 p95 p99", kind=Kind.LINES, unit="none", width=12,
    queries=tuple(Query(PANEL.live_quantile(p), f"p{p * 100:.0f} {{{{pool}}}}") for p in (0.5, 0.95, 0.99)),
    meaning="Time-weighted percentiles, right within a bucket. Workers that one endpoint serves are "
    "taken together; of several instances the percentiles are added up: an upper bound.",
    action="p99 far above p50: the load comes in bursts; smooth the fan-out before buying quota.",
)  # fmt: skip
_EXACT = Panel(
    title="Live calls of the busiest instance, last minute", kind=Kind.LINES, unit="none", width=12,
    queries=(Query(PANEL.total(m.LIVE_QUANTILE, by="pool, quantile", function="max"),
                   "q{{quantile}} {{pool}}"),),
    meaning="Exact percentiles over 60 s, of the instance that has most; its workers are taken together.",
    action="Use it to set a hard cap: p99 plus the headroom you want.",
)  # fmt: skip
_HEATMAP = Panel(
    title="Seconds at each level of live calls", kind=Kind.HEATMAP, unit="none", width=12,
    queries=(Query(f"sum by (le) (increase({PANEL.select(m.LIVE_SECONDS, part='_bucket')}"
                   "[$__rate_interval]))", "{{le}}"),),
    meaning="How long the processes stayed at each number of live calls.",
    action="A bright band at the cap: the cap binds. Two bands: two kinds of load share the pool.",
)  # fmt: skip
_NOW = Panel(
    title="Live now and the minute's peak", kind=Kind.LINES, unit="none", width=12,
    queries=(
        Query(PANEL.total(m.LIVE), "live {{pool}}"),
        Query(PANEL.total(m.LIVE_PEAK), "peak {{pool}}"),
    ),
    meaning="A sample at each scrape, and the most in the 60 s before it.",
    action="A peak far above the samples is a burst between scrapes: trust the percentiles, not the line.",
)  # fmt: skip
_ARRIVAL = Panel(
    title="Live calls found by a new attempt", kind=Kind.LINES, unit="none", width=12,
    queries=(Query(PANEL.quantile(0.5, m.LIVE_AT_ARRIVAL), "p50 {{pool}}"),
             Query(PANEL.quantile(0.95, m.LIVE_AT_ARRIVAL), "p95 {{pool}}")),
    meaning="What the pool looked like to a request as it was sent.",
    action="Far above the time-weighted percentiles: requests arrive together; stagger their start.",
)  # fmt: skip
_LITTLE = Panel(
    title="Little's law", kind=Kind.LINES, unit="none", width=12,
    queries=(
        Query(q.mean_live, "mean live {{pool}}"),
        Query(PANEL.rate(m.ATTEMPT_SECONDS, part="_sum"), "rate × duration {{pool}}"),
    ),
    meaning="Mean live calls, measured twice: from levels, and as attempts a second times their duration.",
    action="The lines agree when every call that began also ended; a lasting gap is a leak to report.",
)  # fmt: skip
_CAP = Panel(
    title="Cap and live calls", kind=Kind.LINES, unit="none", width=12,
    queries=(Query(q.cap, "cap {{pool}}", dashed=True), Query(q.mean_live, "mean live {{pool}}")),
    meaning="The cap that is enforced now; none is drawn while it is unlimited.",
    action="A cap far below its usual level while calls wait: look at the cuts beside it.",
    alert="PenstockCapCollapsed", needs="the limiter",
)  # fmt: skip
_RATE = Panel(
    title="Send rate, allowed and used", kind=Kind.LINES, unit="reqps", width=12,
    queries=(Query(PANEL.total(m.RATE), "allowed {{pool}}", dashed=True),
             Query(PANEL.rate(m.ATTEMPTS), "sent {{pool}}")),
    meaning="What the pacer allows against what was sent.",
    action="Used equals allowed while calls wait: the quota is the limit.",
    needs="the limiter",
)  # fmt: skip
_QUEUE = Panel(
    title="Waiting calls", kind=Kind.LINES, unit="none",
    queries=(Query(q.queue, "{{pool}}"),),
    meaning="Calls in the queue now.",
    action="A queue that only grows needs fewer tasks or more quota.",
    needs="the limiter",
)  # fmt: skip
_WAIT = Panel(
    title="Wait before sending", kind=Kind.LINES, unit="s",
    queries=tuple(Query(PANEL.quantile(p, m.WAIT), f"p{p * 100:.0f} {{{{pool}}}}")
                  for p in (0.5, 0.95, 0.99)),
    meaning="Time from asking to sending.",
    action="Beyond the client's timeout calls are refused: shorten the queue or raise the timeout.",
    objective=o.QUEUE_WAIT_SECONDS, alert="PenstockQueueWaitLong", needs="the limiter",
)  # fmt: skip
_REFUSALS = Panel(
    title="Refused by the limiter", kind=Kind.STACK, unit="reqps",
    queries=(Query(PANEL.rate(m.REFUSALS, by="pool, reason"), "{{pool}} {{reason}}"),),
    meaning="Calls not admitted, by reason.",
    action="queue_full and max_wait: overload. deadline: tasks start too late. too_large: split the input.",
    needs="the limiter",
)  # fmt: skip
_CHANGES = Panel(
    title="Limiter decisions", kind=Kind.STACK, unit="ops",
    queries=(Query(PANEL.rate(m.CHANGES, by="what, direction"), "{{what}} {{direction}}"),),
    meaning="How often cap, rate, gate or ramp moved.",
    action="Many downs and ups: a neighbour shares the quota, or two limiters fight over it.",
    needs="the limiter",
)  # fmt: skip
_ABSORBED = Panel(
    title="Failures absorbed", kind=Kind.STACK, unit="reqps",
    queries=(Query(PANEL.rate(m.ABSORBED, by="pool, class"), "{{pool}} {{class}}"),),
    meaning="Failed attempts that were queued again instead of reaching the app.",
    action="Mostly rate_limit: the learned rate is above the quota; tell the limiter the quota you know.",
    needs="the limiter in enforce mode",
)  # fmt: skip
_WOULD = Panel(
    title="Observe mode: what would have happened", kind=Kind.STACK, unit="reqps",
    queries=(Query(PANEL.rate(m.WOULD, by="pool, action"), "{{pool}} {{action}}"),),
    meaning="Calls that would have waited, moved or been refused.",
    action="Read it for a day, then turn enforce on.",
    needs="the limiter in observe mode",
)  # fmt: skip
_FLEET = Panel(
    title="Fleet: live calls, p99 and mean", kind=Kind.LINES, unit="none", width=24,
    queries=(
        Query(PANEL.quantile(0.99, m.FLEET_LIVE_SECONDS, by="pool"), "p99 {{pool}}"),
        Query(PANEL.mean(m.FLEET_LIVE_SECONDS), "mean {{pool}}"),
    ),
    meaning="Level of all processes together, from the shared store.",
    action="Trust this over the summed percentiles above wherever it has data.",
    needs="a shared store (Redis)",
)  # fmt: skip

CONCURRENCY: Final = Board(
    uid="penstock-concurrency",
    title="Penstock / Concurrency and limiter",
    description="How many calls are live, what caps them, and who waits.",
    rows=(
        Row("Live calls", (_PERCENTILES, _EXACT, _HEATMAP, _NOW, _ARRIVAL, _LITTLE)),
        Row("Limiter", (_CAP, _RATE, _QUEUE, _WAIT, _REFUSALS, _CHANGES, _ABSORBED, _WOULD)),
        Row("Fleet", (_FLEET,)),
    ),
)
