"""The on-call page: is there room, who refuses, and does anybody feel it."""

from typing import Final

from penstock.dashboards import _queries as q
from penstock.dashboards._queries import PANEL
from penstock.dashboards._spec import Board, Kind, Panel, Query, Row
from penstock.telemetry import metrics as m
from penstock.telemetry import objectives as o

GATE_STATES: Final = (("0", "open", "green"), ("1", "probing", "yellow"), ("2", "closed", "red"))

_HEADROOM = Panel(
    title="Headroom", kind=Kind.STAT, unit="percentunit", width=4, height=5,
    queries=(Query(q.headroom, "{{pool}}"),),
    meaning="1 − p99 live calls ÷ cap over the last minute, in the fullest instance.",
    action="Near 0 with a queue: ask for more quota, add a pool, or start fewer tasks.",
    objective=o.HEADROOM_RATIO, alert="PenstockHeadroomLow", needs="the limiter",
)  # fmt: skip
_RATE_LIMITED = Panel(
    title="429 share", kind=Kind.STAT, unit="percentunit", width=4, height=5,
    queries=(Query(q.rate_limited_share, "{{pool}}"),),
    meaning="Attempts refused for capacity (rate limit, quota, overload) ÷ all attempts.",
    action="Turn the limiter on where it is off; a share that stays is a neighbour on your quota.",
    objective=o.RATE_LIMITED_RATIO, alert="PenstockRateLimited",
)  # fmt: skip
_BUDGET = Panel(
    title="Error budget left", kind=Kind.STAT, unit="percentunit", width=4, height=5,
    queries=(Query(q.budget_left(), "{{pool}}"),),
    meaning=f"What is left of the {1 - o.SLO_RATIO:.0%} of operations that may fail in 30 days.",
    action="Below a quarter: no risky changes. The SLO dashboard shows who spends it.",
    objective=o.BUDGET_LEFT,
)  # fmt: skip
_AMPLIFICATION = Panel(
    title="Retry amplification", kind=Kind.STAT, unit="none", width=4, height=5,
    queries=(Query(q.amplification, "{{pool}}"),),
    meaning="Attempts ÷ operations: 1 means that nothing is sent twice.",
    action="Find who retries on the errors dashboard; let one layer own retries.",
    objective=o.RETRY_AMPLIFICATION, alert="PenstockRetryAmplification",
)  # fmt: skip
_DEGRADED = Panel(
    title="Degraded answers", kind=Kind.STAT, unit="percentunit", width=4, height=5,
    queries=(Query(q.degraded_share, "{{pool}}"),),
    meaning="Answers from a fallback or a stale cache entry ÷ all answers.",
    action="Check what those answers were used for on the routing dashboard.",
    objective=o.DEGRADED_RATIO, alert="PenstockDegradedAnswers",
)  # fmt: skip
_EXHAUSTION = Panel(
    title="Quota lasts", kind=Kind.STAT, unit="s", width=4, height=5,
    queries=(Query(q.seconds_to_exhaustion(), "{{pool}} {{dimension}}"),),
    meaning="Time until the quota is used up at the pace of the last five minutes; a day is the ceiling.",
    action="Compare with the time to its reset on the quota dashboard.",
    needs="a provider that sends quota headers",
)  # fmt: skip
_ALERTS = Panel(
    title="Alerts", kind=Kind.ALERTS, width=24, height=6,
    meaning="Penstock's alerts that fire or are about to, worst first.",
    action="Open one for its value and the link to its runbook page. None listed, and none of these rules "
    "under Alerting: they are not loaded.",
)  # fmt: skip
_LEVELS = Panel(
    title="Cap, live calls and queue", kind=Kind.LINES, unit="none", width=24, height=10,
    queries=(
        Query(q.cap, "cap {{pool}}", dashed=True),
        Query(PANEL.live_quantile(0.99), "p99 live {{pool}}"),
        Query(q.mean_live, "mean live {{pool}}"),
        Query(q.queue, "queued {{pool}}"),
    ),
    meaning="Time-weighted p99 and mean of live calls against the cap, and who waits. With several "
    "instances the p99 is the sum of theirs: an upper bound; the mean is exact.",
    action="Queue above 0 and p99 at the cap: the quota is the limit. Queue above 0 and p99 below the "
    "cap: the rate, the gate or a token budget is.",
    needs="the limiter (cap and queue)",
)  # fmt: skip
_REFUSED = Panel(
    title="429s by pool", kind=Kind.LINES, unit="reqps", width=12,
    queries=(Query(PANEL.rate(m.ATTEMPTS, o.RATE_LIMITED, by="pool, class"), "{{pool}} {{class}}"),),
    meaning="Attempts a second that a provider refused for capacity.",
    action="rate_limit: slow down. quota: money or plan, waiting will not help. overloaded: route away.",
)  # fmt: skip
_MIX = Panel(
    title="Attempts by verdict", kind=Kind.STACK, unit="reqps", width=12,
    queries=(Query(PANEL.rate(m.ATTEMPTS, by="class"), "{{class}}"),),
    meaning="Physical requests a second by what became of them.",
    action="The largest failed class names the layer to fix.",
)  # fmt: skip
_GATES = Panel(
    title="Gates", kind=Kind.STATES, unit="none", width=12, states=GATE_STATES,
    queries=(Query(PANEL.total(m.GATE, function="max"), "{{pool}}"),),
    meaning="Whether a pool accepts calls: closed while a Retry-After or an outage holds.",
    action="Closed for minutes: check the provider's status page and the fallback's share.",
    alert="PenstockAllPoolsClosed", needs="the limiter",
)  # fmt: skip
_WAIT = Panel(
    title="Wait before sending, p95", kind=Kind.LINES, unit="s", width=12,
    queries=(Query(PANEL.quantile(0.95, m.WAIT), "{{pool}}"),),
    meaning="Time from asking to sending.",
    action="Waiting is the plan while it fits the deadline; beyond it start fewer tasks or add quota.",
    objective=o.QUEUE_WAIT_SECONDS, alert="PenstockQueueWaitLong", needs="the limiter",
)  # fmt: skip
_POOLS = Panel(
    title="Pools", kind=Kind.TABLE, unit="short", width=24,
    queries=(
        Query(PANEL.rate(m.ATTEMPTS, window="5m"), "attempts a second"),
        Query(PANEL.share(m.ATTEMPTS, o.RATE_LIMITED, window="5m"), "429 share"),
        Query(PANEL.total(m.LIVE), "live now"),
        Query(PANEL.quantile(0.95, m.ATTEMPT_SECONDS, o.SUCCEEDED, window="5m"), "attempt p95 seconds"),
    ),
    meaning="The state of each pool over the last five minutes.",
    action="Start with the pool that has the highest 429 share.",
)  # fmt: skip

OVERVIEW: Final = Board(
    uid="penstock-overview",
    title="Penstock / Overview",
    description="Is there room, who refuses, and does anybody feel it: start here when called.",
    rows=(
        Row("Now", (_HEADROOM, _RATE_LIMITED, _BUDGET, _AMPLIFICATION, _DEGRADED, _EXHAUSTION, _ALERTS)),
        Row("Capacity", (_LEVELS, _REFUSED, _MIX, _GATES, _WAIT)),
        Row("By pool", (_POOLS,)),
    ),
)
