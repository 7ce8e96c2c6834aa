"""Cache misses in bursts, times the fan-out of tasks: what turns a deploy into a 429 storm."""

from typing import Final

from penstock.dashboards._queries import PANEL
from penstock.dashboards._spec import Board, Kind, Panel, Query, Row
from penstock.telemetry import metrics as m
from penstock.telemetry import objectives as o
from penstock.telemetry.promql import over

_MISS = 'result="miss"'
_CACHING = "a provider that reports cached tokens"
_TASKS = "traced tasks"
_FANOUT_P95 = PANEL.quantile(0.95, m.FANOUT_LIVE, by="job")

_HITS = Panel(
    title="Prompt-cache hit share", kind=Kind.LINES, unit="percentunit", maximum=1.0,
    queries=(Query(PANEL.share(m.CACHE_MISSES, 'result="hit"'), "{{pool}}"),),
    meaning="Calls whose prompt was in the provider's cache ÷ all calls.",
    action="A step down after a deploy: the head of the prompt changed; keep changing parts at its end.",
    needs=_CACHING,
)  # fmt: skip
_MISSES = Panel(
    title="Prompt-cache misses a second", kind=Kind.LINES, unit="reqps",
    queries=(Query(PANEL.rate(m.CACHE_MISSES, _MISS), "{{pool}}"),),
    meaning="Calls a second that paid for their whole prompt.",
    action="Look for the same rise in 429s below.",
    needs=_CACHING,
)  # fmt: skip
_BURSTS = Panel(
    title="Bursts", kind=Kind.STACK, unit="none",
    queries=(Query(PANEL.increase(m.CACHE_BURSTS, by="pool, kind"), "{{pool}} {{kind}}"),),
    meaning="Windows far above the pool's own miss (or hit) rate while live calls are high.",
    action="Warm the cache with one call before fanning out.",
    alert="PenstockCacheMissBurst", needs=_CACHING,
)  # fmt: skip
_BURST_TOKENS = Panel(
    title="Tokens a second lost to bursts", kind=Kind.LINES, unit="short",
    queries=(Query(PANEL.rate(m.CACHE_BURST_TOKENS), "{{pool}}"),),
    meaning="Input tokens a second that missed the cache inside bursts, beyond the usual.",
    action="Compare with the token limit on the quota dashboard: this is what the burst costs.",
    needs=_CACHING,
)  # fmt: skip
_CACHED_TOKENS = Panel(
    title="Cached share of input tokens", kind=Kind.LINES, unit="percentunit", maximum=1.0,
    queries=(Query(over(PANEL.rate(m.TOKENS, 'type="cache_read"'), PANEL.rate(m.TOKENS, 'type="input"')),
                   "{{pool}}"),),
    meaning="Input tokens read from the provider's cache ÷ all input tokens.",
    action="Low with many hits: the cached head is short; move stable text to the front.",
    needs=_CACHING,
)  # fmt: skip
_RATE_LIMITED = Panel(
    title="429s a second", kind=Kind.LINES, unit="reqps",
    queries=(Query(PANEL.rate(m.ATTEMPTS, o.RATE_LIMITED), "{{pool}}"),),
    meaning="Refusals on the same time axis as the bursts.",
    action="429s that begin with a burst are repaired by warming and staggering, not by quota.",
)  # fmt: skip
_FANOUT = Panel(
    title="Operations of a task", kind=Kind.LINES, unit="none",
    queries=tuple(Query(PANEL.quantile(p, m.FANOUT, by="job"), f"p{p * 100:.0f} {{{{job}}}}")
                  for p in (0.5, 0.95)),
    meaning="How many LLM requests one user action becomes.",
    action="A rise multiplies every other number here: look at the newest agent or prompt.",
    needs=_TASKS,
)  # fmt: skip
_FANOUT_LIVE = Panel(
    title="Live calls of a task, p95", kind=Kind.LINES, unit="none",
    queries=(Query(_FANOUT_P95, "{{job}}"),),
    meaning="Most calls that one task has in flight at a time.",
    action="Bound it in the agent: a cold prefix is missed by each of these calls at once.",
    objective=o.FANOUT_LIVE_CALLS, alert="PenstockCacheMissBurst", needs=_TASKS,
)  # fmt: skip
_PRESSURE = Panel(
    title="Pressure: misses × fan-out", kind=Kind.LINES, unit="none",
    queries=(Query(f"{PANEL.rate(m.CACHE_MISSES, _MISS, by='job, pool')} * on (job) group_left () "
                   f"{_FANOUT_P95}", "{{pool}}"),),
    meaning="Misses a second times the p95 of a task's live calls: what hits the pool when every "
    "miss comes with its siblings.",
    action="Above the pool's send rate: the next burst ends in 429s.",
    needs=f"{_CACHING}, and {_TASKS}",
)  # fmt: skip
_LOOKUPS = Panel(
    title="Response-cache lookups", kind=Kind.STACK, unit="reqps", width=24,
    queries=(Query(PANEL.rate(m.CACHE_LOOKUPS, by="result"), "{{result}}"),),
    meaning="Our own response cache: hits, misses, stale answers, and calls that joined another's.",
    action="Much bypass: requests are not cacheable (temperature above 0). Much stale: shorten the TTL.",
    needs="the response cache",
)  # fmt: skip

CACHE: Final = Board(
    uid="penstock-cache",
    title="Penstock / Cache bursts and fan-out",
    description="Cache misses in bursts, times the fan-out of tasks: what turns a deploy into a 429 storm.",
    rows=(
        Row("Prompt cache", (_HITS, _MISSES, _BURSTS, _BURST_TOKENS, _CACHED_TOKENS, _RATE_LIMITED)),
        Row("Fan-out", (_FANOUT, _FANOUT_LIVE, _PRESSURE)),
        Row("Response cache", (_LOOKUPS,)),
    ),
)
