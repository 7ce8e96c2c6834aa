"""What the provider allows, what is left, and whether it lasts."""

from typing import Final

from penstock.dashboards import _queries as q
from penstock.dashboards._queries import PANEL
from penstock.dashboards._spec import Board, Kind, Panel, Query, Row
from penstock.telemetry import metrics as m
from penstock.telemetry import objectives as o

_BY = "pool, dimension"
_HEADERS = "a provider that sends quota headers"
_LIMIT = PANEL.total(m.QUOTA_LIMIT, by=_BY, function="max")
_TOKENS_SENT = PANEL.rate(m.TOKENS, 'type=~"input|output"')
_REMAINING = PANEL.total(m.QUOTA_REMAINING, by=_BY, function="min")

_LEFT = Panel(
    title="Quota left", kind=Kind.LINES, unit="percentunit", width=12, maximum=1.0,
    queries=(Query(f"{_REMAINING} / ({_LIMIT} > 0)", "{{pool}} {{dimension}}"),),
    meaning="Remaining ÷ limit by the newest headers.",
    action="A short window that touches 0 is the pacer's work; a daily one is yours.",
    objective=o.QUOTA_LEFT_RATIO, alert="PenstockQuotaExhaustion", needs=_HEADERS,
)  # fmt: skip
_FORECAST = Panel(
    title="Lasts against reset", kind=Kind.LINES, unit="s", width=12,
    queries=(
        Query(q.seconds_to_exhaustion(), "lasts {{pool}} {{dimension}}"),
        Query(f"clamp_min({PANEL.total(m.QUOTA_RESET, by=_BY, function='max')} - time(), 0)",
              "reset {{pool}} {{dimension}}", dashed=True),
    ),
    meaning="Seconds until the quota is used up at the present pace, against seconds until it is full again.",
    action="“lasts” below “reset”: it runs out first. Stop batch work, or move it to another pool.",
    alert="PenstockQuotaExhaustion", needs=_HEADERS,
)  # fmt: skip
_REQUESTS = Panel(
    title="Requests a minute, used and allowed", kind=Kind.LINES, unit="none", width=12,
    queries=(
        Query(f"60 * {PANEL.rate(m.ATTEMPTS)}", "used {{pool}}"),
        Query(PANEL.total(m.QUOTA_LIMIT, 'dimension="requests"', function="max"), "limit {{pool}}",
              dashed=True),
    ),
    meaning="Sent requests a minute against the limit that the headers name (most are per minute).",
    action="Used near the limit with a queue: ask the provider for more.",
    needs=_HEADERS,
)  # fmt: skip
_TOKENS = Panel(
    title="Tokens a minute, used and allowed", kind=Kind.LINES, unit="short", width=12,
    queries=(
        Query(f"60 * {_TOKENS_SENT}", "used {{pool}}"),
        Query(PANEL.total(m.QUOTA_LIMIT, 'dimension=~"tokens|input_tokens|output_tokens"',
                          by=_BY, function="max"), "limit {{pool}} {{dimension}}", dashed=True),
    ),
    meaning="Tokens a minute against the limits that the headers name.",
    action="Tokens bind before requests: shorten prompts, lower max_tokens, use the prompt cache.",
    needs=_HEADERS,
)  # fmt: skip
_AGE = Panel(
    title="Age of the quota sample", kind=Kind.LINES, unit="s", width=12,
    queries=(Query(f"time() - {PANEL.total(m.QUOTA_SEEN, function='max')}", "{{pool}}"),),
    meaning="Time since a pool's headers last told its quota.",
    action="Old while calls flow: a proxy strips the headers; the forecast beside it means nothing.",
    objective=o.QUOTA_SAMPLE_AGE_SECONDS, needs=_HEADERS,
)  # fmt: skip
_PROCESSES = Panel(
    title="Processes and successful calls", kind=Kind.LINES, unit="none", width=12,
    queries=(
        Query(PANEL.total(m.BUILD, by="job"), "processes {{job}}"),
        Query(PANEL.rate(m.OPERATIONS, o.SUCCEEDED, by="job"), "successful a second {{job}}"),
    ),
    meaning="More processes on the same quota do not make more answers.",
    action="Processes up, answers flat: scale back, or buy quota; autoscaling cannot help here.",
    alert="PenstockCallersUpQuotaFlat",
)  # fmt: skip

QUOTA: Final = Board(
    uid="penstock-quota",
    title="Penstock / Quota and forecast",
    description="What the provider allows, what is left, and whether it lasts until the reset.",
    rows=(
        Row("Left", (_LEFT, _FORECAST)),
        Row("Used", (_REQUESTS, _TOKENS)),
        Row("Read with care", (_AGE, _PROCESSES)),
    ),
)
