"""Is the promise kept, and how fast is its budget spent."""

from typing import Final

from penstock.dashboards import _queries as q
from penstock.dashboards._queries import PANEL
from penstock.dashboards._spec import Board, Kind, Panel, Query, Row
from penstock.telemetry import metrics as m
from penstock.telemetry import objectives as o

_WINDOWS = sorted({w for b in (*o.FAST_BURN, *o.SLOW_BURN) for w in (b.long, b.short)},
                  key=lambda w: {"m": 1, "h": 60, "d": 1440}[w[-1]] * int(w[:-1]))  # fmt: skip

_BUDGET = Panel(
    title="Error budget left, 30 days", kind=Kind.STAT, unit="percentunit",
    queries=(Query(q.budget_left(), "{{pool}}"),),
    meaning=f"Of the {1 - o.SLO_RATIO:.0%} of operations that may fail. Refusals, timeouts, provider and key "
    "failures count; what the request itself got wrong does not.",
    action="Below 0: the promise is broken for this window; say so.",
    objective=o.BUDGET_LEFT,
)  # fmt: skip
_EVENTS = Panel(
    title="Operations in 30 days", kind=Kind.STAT, unit="short",
    queries=(Query(PANEL.increase(m.OPERATIONS, window="30d"), "{{pool}}"),),
    meaning="How many operations the budget is computed over.",
    action="A few hundred or fewer: one failure is a large share; read burn rates with care.",
)  # fmt: skip
_SPENT = Panel(
    title="Budget spent by class, 30 days", kind=Kind.STAT, unit="short",
    queries=(Query(PANEL.increase(m.OPERATIONS, o.SPENT, by="class", window="30d"), "{{class}}"),),
    meaning="Failed operations that spent the budget.",
    action="Fix the largest first.",
)  # fmt: skip
_BURN = Panel(
    title="Burn rate by window", kind=Kind.LINES, unit="none", width=24, height=10,
    queries=tuple(Query(q.burn_rate(w), f"{w} {{{{pool}}}}") for w in _WINDOWS),
    meaning="How many times too fast the budget is spent: 1 uses it up in exactly 30 days.",
    action="A short window alone is a spike; short and long together page somebody.",
    objective=o.BURN_RATE, alert="PenstockErrorBudgetBurnFast",
)  # fmt: skip
_TASKS = Panel(
    title="Tasks by verdict", kind=Kind.STACK, unit="ops",
    queries=(Query(PANEL.rate(m.TASKS, by="class"), "{{class}}"),),
    meaning="User actions a second by how they ended.",
    action="Tasks fail although operations succeed: the agent, its tools or its deadline.",
    needs="traced tasks",
)  # fmt: skip
_TASK_SECONDS = Panel(
    title="Task duration", kind=Kind.LINES, unit="s",
    queries=tuple(Query(PANEL.quantile(p, m.TASK_SECONDS, by="job"), f"p{p * 100:.0f} {{{{job}}}}")
                  for p in (0.5, 0.95, 0.99)),
    meaning="From a task's start to its end, queueing and retries included: what users feel.",
    action="Grows with the queue: start fewer tasks at a time.",
    needs="traced tasks",
)  # fmt: skip
_OPERATION_SECONDS = Panel(
    title="Operation duration, p95", kind=Kind.LINES, unit="s",
    queries=(Query(PANEL.quantile(0.95, m.OPERATION_SECONDS,
                                  by="gen_ai_operation_name, gen_ai_request_model"),
                   "{{gen_ai_operation_name}} {{gen_ai_request_model}}"),),
    meaning="Back-off and queueing included; compare with the attempts' duration.",
    action="The difference to one attempt is what waiting and retrying cost.",
)  # fmt: skip

SLO: Final = Board(
    uid="penstock-slo",
    title="Penstock / SLO",
    description="Is the promise kept, and how fast is its budget spent.",
    rows=(
        Row("Budget", (_BUDGET, _EVENTS, _SPENT, _BURN)),
        Row("What users feel", (_TASKS, _TASK_SECONDS, _OPERATION_SECONDS)),
    ),
)
