"""Who answered, and may the answer be used."""

from typing import Final

from penstock.dashboards import _queries as q
from penstock.dashboards._queries import PANEL
from penstock.dashboards._spec import Board, Kind, Panel, Query, Row
from penstock.dashboards.boards.overview import GATE_STATES
from penstock.telemetry import metrics as m
from penstock.telemetry import objectives as o

_ANSWERS = Panel(
    title="Answers by trust", kind=Kind.STACK, unit="reqps", width=12,
    queries=(Query(PANEL.rate(m.ANSWERS, by="pool, trust"), "{{trust}} {{pool}}"),),
    meaning="Answers given to the app, by where they came from.",
    action="Anything but primary deserves a check before it moves money or mail.",
)  # fmt: skip
_DEGRADED = Panel(
    title="Degraded share", kind=Kind.LINES, unit="percentunit", width=12,
    queries=(Query(q.degraded_share, "{{pool}}"),),
    meaning="Answers from a fallback or a stale cache entry, not verified since ÷ all answers.",
    action="Restore the primary, or lower the demand that spills.",
    objective=o.DEGRADED_RATIO, alert="PenstockDegradedAnswers",
)  # fmt: skip
_FALLBACKS = Panel(
    title="Calls that moved", kind=Kind.STACK, unit="reqps",
    queries=(Query(PANEL.rate(m.FALLBACKS, by="from_pool, pool, reason"),
                   "{{from_pool}} → {{pool}} {{reason}}"),),
    meaning="Calls sent to another pool than the app asked for, and why.",
    action="Mostly waits: raise wait_up_to_seconds if the primary's answer is worth waiting for.",
    needs="a fallback",
)  # fmt: skip
_GATES = Panel(
    title="Gates", kind=Kind.STATES, unit="none", states=GATE_STATES,
    queries=(Query(PANEL.total(m.GATE, function="max"), "{{pool}}"),),
    meaning="Whether each pool accepts calls.",
    action="All closed: nothing can be sent; tell users.",
    alert="PenstockAllPoolsClosed", needs="the limiter",
)  # fmt: skip
_IRREVERSIBLE = Panel(
    title="Guarded side effects", kind=Kind.STACK, unit="ops",
    queries=(Query(PANEL.rate(m.IRREVERSIBLE, by="outcome"), "{{outcome}}"),),
    meaning="Irreversible work by what the guard did.",
    action="unknown: work began and never reported; look it up in the ledger before it runs again.",
    alert="PenstockIrreversibleUnknown", needs="guarded side effects",
)  # fmt: skip
_LATENCY = Panel(
    title="Attempt duration by pool, p95", kind=Kind.LINES, unit="s",
    queries=(Query(PANEL.quantile(0.95, m.ATTEMPT_SECONDS, o.SUCCEEDED), "{{pool}}"),),
    meaning="Successful attempts of each pool: is the fallback slower?",
    action="A slower fallback under load is spending its own headroom.",
)  # fmt: skip
_ERRORS = Panel(
    title="Failed share by pool", kind=Kind.LINES, unit="percentunit",
    queries=(Query(PANEL.share(m.ATTEMPTS, o.FAILED), "{{pool}}"),),
    meaning="Failed attempts ÷ all attempts of a pool.",
    action="A fallback that fails as often as the primary is on the same quota, or the same outage.",
)  # fmt: skip
_TOKENS = Panel(
    title="Tokens a second", kind=Kind.STACK, unit="short",
    queries=(Query(PANEL.rate(m.TOKENS, by="pool, type"), "{{pool}} {{type}}"),),
    meaning="Tokens a second; input includes cached ones.",
    action="What each pool is used for, and what it costs.",
)  # fmt: skip

ROUTING: Final = Board(
    uid="penstock-routing",
    title="Penstock / Routing and trust",
    description="Who answered, and may the answer be used.",
    rows=(
        Row("Trust", (_ANSWERS, _DEGRADED, _FALLBACKS, _GATES, _IRREVERSIBLE)),
        Row("Pools side by side", (_LATENCY, _ERRORS, _TOKENS)),
    ),
)
