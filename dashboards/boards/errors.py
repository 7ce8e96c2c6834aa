"""Which layer fails, and what retries make of it."""

from typing import Final

from penstock.dashboards import _queries as q
from penstock.dashboards._queries import PANEL
from penstock.dashboards._spec import Board, Kind, Panel, Query, Row
from penstock.telemetry import metrics as m
from penstock.telemetry import objectives as o

_REFUSED_BY_MODEL = PANEL.rate(m.ATTEMPTS, o.RATE_LIMITED, by="provider, pool, model", window="5m")

_ATTEMPTS = Panel(
    title="Failed attempts by class", kind=Kind.STACK, unit="reqps", width=12,
    queries=(Query(PANEL.rate(m.ATTEMPTS, o.FAILED, by="pool, class"), "{{pool}} {{class}}"),),
    meaning="Physical requests that failed, by what failed.",
    action="429 classes: capacity. timeout and network: provider or path. The rest: the request or key.",
)  # fmt: skip
_OPERATIONS = Panel(
    title="Failed operations by class", kind=Kind.STACK, unit="reqps", width=12,
    queries=(Query(PANEL.rate(m.OPERATIONS, o.FAILED, by="pool, class"), "{{pool}} {{class}}"),),
    meaning="Requests that failed for the app, after every retry.",
    action="Compare with the attempts beside it: the difference was repaired by retries.",
)  # fmt: skip
_SUCCESS = Panel(
    title="Success, by attempt and by operation", kind=Kind.LINES, unit="percentunit", maximum=1.0,
    queries=(
        Query(PANEL.share(m.ATTEMPTS, o.SUCCEEDED), "attempts {{pool}}"),
        Query(PANEL.share(m.OPERATIONS, o.SUCCEEDED), "operations {{pool}}"),
    ),
    meaning="Two different numbers: retries lift the second above the first.",
    action="Operations near 100 % with attempts far below: you pay in latency and quota instead of errors.",
)  # fmt: skip
_RATE_LIMITED = Panel(
    title="429 share of attempts", kind=Kind.LINES, unit="percentunit",
    queries=(Query(q.rate_limited_share, "{{pool}}"),),
    meaning="Attempts refused for capacity ÷ all attempts.",
    action="See the concurrency dashboard: is the limiter on, and does it know the quota?",
    objective=o.RATE_LIMITED_RATIO, alert="PenstockRateLimited",
)  # fmt: skip
_TIMEOUTS = Panel(
    title="Timeout share of attempts", kind=Kind.LINES, unit="percentunit",
    queries=(Query(PANEL.share(m.ATTEMPTS, o.TIMED_OUT), "{{pool}}"),),
    meaning="Attempts that timed out or lost their connection ÷ all attempts.",
    action="Compare with the p99 of successful attempts: a timeout below it gives up on good answers.",
    objective=o.TIMEOUT_RATIO, alert="PenstockTimeouts",
)  # fmt: skip
_AMPLIFICATION = Panel(
    title="Retry amplification", kind=Kind.LINES, unit="none",
    queries=(Query(q.amplification, "{{pool}}"),),
    meaning="Attempts ÷ operations, retries of every layer included.",
    action="Above the line, retries feed the overload they react to: one owner, and a retry budget.",
    objective=o.RETRY_AMPLIFICATION, alert="PenstockRetryAmplification",
)  # fmt: skip
_RETRIES = Panel(
    title="Retries by owner", kind=Kind.STACK, unit="reqps",
    queries=(Query(PANEL.rate(m.RETRIES, by="pool, owner"), "{{pool}} {{owner}}"),),
    meaning="Attempts after an operation's first, by who sent them.",
    action="Both owners at once: two layers retry the same call; turn the SDK's off.",
)  # fmt: skip
_DURATION = Panel(
    title="Successful attempts, duration", kind=Kind.LINES, unit="s",
    queries=tuple(Query(PANEL.quantile(p, m.ATTEMPT_SECONDS, o.SUCCEEDED), f"p{p * 100:.0f} {{{{pool}}}}",
                        exemplars=p == 0.99) for p in (0.5, 0.95, 0.99)),
    meaning="From send to the last byte of the answer.",
    action="A rising median is the provider, or longer answers: compare with tokens a second.",
    alert="PenstockProviderSlow",
)  # fmt: skip
_FIRST_BYTE = Panel(
    title="First byte, p95", kind=Kind.LINES, unit="s",
    queries=(Query(PANEL.quantile(0.95, m.FIRST_BYTE), "{{pool}}"),),
    meaning="From send to the first byte of a successful answer's body.",
    action="Rises before duration does when the provider queues.",
)  # fmt: skip
_TOOLS = Panel(
    title="Failed tool calls", kind=Kind.STACK, unit="reqps",
    queries=(Query(PANEL.rate(m.TOOLS, o.FAILED, by="tool, class"), "{{tool}} {{class}}"),),
    meaning="Tool calls that failed; a tool's own 429 is here, and never among the model's.",
    action="Fix the tool: its quota and its timeouts are its own.",
    needs="traced tools",
)  # fmt: skip
_TOOL_SHARE = Panel(
    title="Tool error share", kind=Kind.LINES, unit="percentunit",
    queries=(Query(PANEL.share(m.TOOLS, o.FAILED, by="tool"), "{{tool}}"),),
    meaning="Failed ÷ all calls of a tool.",
    action="One tool above the line: disable it or give the agent an alternative.",
    objective=o.TOOL_ERROR_RATIO, alert="PenstockToolErrors", needs="traced tools",
)  # fmt: skip
_TOOL_SECONDS = Panel(
    title="Tool duration, p95", kind=Kind.LINES, unit="s",
    queries=(Query(PANEL.quantile(0.95, m.TOOL_SECONDS, by="tool"), "{{tool}}"),),
    meaning="Duration of tool calls.",
    action="A slow tool holds its task open, not the model's quota.",
    needs="traced tools",
)  # fmt: skip
_MODEL = Panel(
    title="Model error share of operations", kind=Kind.LINES, unit="percentunit", width=12,
    queries=(Query(PANEL.share(m.OPERATIONS, 'class="model"', by="pool, model"), "{{model}} {{pool}}"),),
    meaning="Answers that arrived and were wrong in form: malformed call, unknown tool, truncated, empty.",
    action="Rises after a prompt or model change: look at the newest deploy first.",
    objective=o.MODEL_ERROR_RATIO, alert="PenstockModelErrors",
)  # fmt: skip
_WORST = Panel(
    title="Models with most 429s", kind=Kind.TABLE, unit="reqps", width=12,
    queries=(Query(f"topk(10, {_REFUSED_BY_MODEL})", "429s a second"),),
    meaning="The ten models that were refused most in the last five minutes.",
    action="Move batch work off the first one.",
)  # fmt: skip

ERRORS: Final = Board(
    uid="penstock-errors",
    title="Penstock / Errors and retries",
    description="Which layer fails (capacity, tool, model, app), and what retries make of it.",
    rows=(
        Row("What failed", (_ATTEMPTS, _OPERATIONS, _SUCCESS, _RATE_LIMITED, _TIMEOUTS)),
        Row("Retries and latency", (_AMPLIFICATION, _RETRIES, _DURATION, _FIRST_BYTE)),
        Row("Tools and models", (_TOOLS, _TOOL_SHARE, _TOOL_SECONDS, _MODEL, _WORST)),
    ),
)
