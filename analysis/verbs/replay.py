"""What if: the recorded demand against the production limiter and a quota; policies side by side."""

import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from dataclasses import replace as changed
from typing import Any, Final

from penstock.analysis._quota_fit import NS
from penstock.analysis._replay import Demand, Guarded, Outcome, Policy, SdkRetries, Want, World
from penstock.analysis.answer import Answer, table_of
from penstock.analysis.spans import Spans
from penstock.analysis.verbs._recorded_quotas import Recorded, recorded_quotas
from penstock.errors import UsageError
from penstock.limiter import PoolSettings
from penstock.simulator.scenario import Pool as PoolModel

PLAYS: Final = 7
WANTS_PLAYED: Final = 20_000
"""A recording is played up to seven times, each with its own draw of what tasks that gave up would have
called; one draw's longest task is luck. Long recordings, whose figures vary less, are played less often:
about so many calls in all."""
_CAPACITY: Final = ("rate_limit", "quota", "overloaded")

_OPERATIONS: Final = """
WITH tries AS (
  SELECT call_id, max(greatest(end_ns - start_ns, 0)) FILTER (WHERE NOT failed) AS service_ns
  FROM spans WHERE is_attempt AND call_id IS NOT NULL GROUP BY call_id
), tasks AS (
  SELECT task, min(start_ns) AS began_ns FROM spans WHERE task IS NOT NULL GROUP BY task
)
SELECT coalesce(o.task, o.span_id) AS task, coalesce(o.pool, 'unknown') AS pool,
       coalesce(k.began_ns, o.start_ns) AS began_ns, o.start_ns, greatest(o.end_ns, o.start_ns) AS end_ns,
       o.failed, o.error_class, t.service_ns,
       o.input_tokens, o.output_tokens, o.max_tokens
FROM spans o LEFT JOIN tries t ON t.call_id = o.call_id LEFT JOIN tasks k ON k.task = o.task
WHERE o.is_operation AND o.start_ns IS NOT NULL AND o.end_ns IS NOT NULL
ORDER BY 1, o.start_ns
"""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Limits to try instead of the inferred ones. None keeps what was inferred."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    concurrency: float | None = None


def replay(spans: Spans, what_if: WhatIf | None = None, seed: int = 0) -> Answer:
    """Answer `traces replay`.

    Raises:
        UsageError: nothing to replay, or no quota is known or given.
    """
    rows = spans.rows(_OPERATIONS)
    if not rows:
        raise UsageError("no finished LLM operation to replay")
    drawn = [demand_of(rows, seed + play) for play in range(_plays(len(rows)))]
    demands, notes = [demand for demand, _ in drawn], drawn[0][1]
    quotas = _quotas(spans, what_if or WhatIf(), rows)
    models = {name: held.model for name, held in quotas.items()}
    wires = {name: held.wire for name, held in quotas.items()}
    if not any(
        model.requests_per_minute or model.tokens_per_minute or model.concurrency for model in models.values()
    ):
        raise UsageError(
            "no quota could be inferred from these spans; give one with --rpm, --tpm or --concurrency"
        )

    def played(policy_of: Callable[[World, int], Policy]) -> list[dict[str, Any]]:
        outcomes = []
        for number, demand in enumerate(demands, seed):
            world = World(demand, models, wires, seed=number)
            outcomes.append(_figures(world.run(policy_of(world, number))))
        return outcomes

    plays = {
        "sdk retries": played(lambda world, _: SdkRetries(world)),
        "limiter": played(lambda world, number: Guarded(world, _settings(models), number)),
    }
    ranges = {name: _ranges(outcomes) for name, outcomes in plays.items()}
    policies = {
        "recorded": _recorded(spans, rows),
        **{name: _middle(outcomes) for name, outcomes in plays.items()},
    }
    limits = [
        {"pool": name, "requests_per_minute": model.requests_per_minute or None,
         "tokens_per_minute": model.tokens_per_minute or None, "concurrency": model.concurrency or None,
         "window": model.algorithm}
        for name, model in models.items()
    ]  # fmt: skip
    data = {
        "policies": policies,
        "ranges": ranges,
        "quota": limits,
        "completed_tasks": notes,
        "seed": seed,
        "plays": len(demands),
        "quality": spans.quality,
    }
    shared = [name for name, model in models.items() if model.events]
    rows_shown = [{"policy": name, **held} for name, held in policies.items()]
    return Answer(
        "replay", data, _lines(data, shared), [table_of("policies", rows_shown), table_of("quota", limits)]
    )


def _lines(data: dict[str, Any], shared: Sequence[str]) -> list[str]:
    """Say what came of it in words; `shared`: pools of whose quota others took a part."""
    with_it, without = data["policies"]["limiter"], data["policies"]["recorded"]
    least, most = data["ranges"]["limiter"]["rate_limited_ratio"]
    lines = [
        f"with the limiter you would have had {with_it['rate_limited_ratio']:.1%} of attempts refused "
        f"(recorded {without['rate_limited_ratio']:.1%}) and {with_it['tasks_finished']:,} of "
        f"{with_it['tasks']:,} tasks finished (recorded {without['tasks_finished']:,})"
    ]
    if data["plays"] > 1:
        spread = f": refused {least:.1%} to {most:.1%} from play to play" if most > least else ""
        lines.append(f"medians of {data['plays']} plays{spread}")
    if given_up := data["completed_tasks"]:
        lines.append(
            f"{given_up:,} recorded tasks gave up; "
            "the calls they never made were drawn from tasks that finished"
        )
    if shared:
        lines.append(f"others took a part of the quota of {', '.join(shared)}, and would again")
    return lines


def demand_of(rows: list[dict[str, Any]], seed: int) -> tuple[list[Demand], int]:
    """Read what the app wanted; tasks that gave up on capacity are completed from those that did not."""
    tasks: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        tasks.setdefault(row["task"], []).append(row)
    usual = Want(
        pool="",
        pause_seconds=0.0,
        service_seconds=(_usual(rows, "service_ns") or NS) / NS,
        input_tokens=_usual(rows, "input_tokens"),
        output_tokens=_usual(rows, "output_tokens"),
        max_tokens=_usual(rows, "max_tokens"),
    )
    first = min(row["began_ns"] for row in rows)
    wholes = [calls for calls in tasks.values() if not _gave_up(calls)]
    demand = [Demand((calls[0]["began_ns"] - first) / 1e9, _wants(calls, usual)) for calls in tasks.values()]
    broken = [held for held, calls in zip(demand, tasks.values(), strict=True) if _gave_up(calls)]
    if wholes:
        _complete(broken, [_wants(calls, usual) for calls in wholes], random.Random(seed))
    demand.sort(key=lambda held: held.at)
    return demand, len(broken) if wholes else 0


def _gave_up(calls: list[dict[str, Any]]) -> bool:
    """Say whether capacity refused a call and nothing of the task began after that."""
    latest = max(call["start_ns"] for call in calls)
    return any(
        call["failed"] and call["error_class"] in _CAPACITY and call["end_ns"] > latest for call in calls
    )


def _usual(rows: list[dict[str, Any]], name: str) -> int:
    """Tell the median of what is known of calls: a call that was never answered is taken for a usual one."""
    known = sorted(row[name] for row in rows if row[name])
    return known[len(known) // 2] if known else 0


def _wants(calls: list[dict[str, Any]], usual: Want) -> list[Want]:
    """Chain the calls of a task, in the order in which they began.

    A call that capacity refused for good is repeated by the next one that begins after it: the two are one
    want, and the app's own back-off between them is waiting, not work. Every other call waited for the
    latest one that had ended when it began, and for those beside that one.
    """
    wants: list[Want] = []
    starts: list[int] = []
    ends: list[int] = []
    refused: list[int] = []  # wants whose latest call was refused, and not repeated yet
    for call in calls:
        pending = [place for place in refused if ends[place] <= call["start_ns"]]
        want = _want(call, usual)
        if pending:
            place = min(pending, key=ends.__getitem__)
            refused.remove(place)
            wants[place] = changed(want, after=wants[place].after, pause_seconds=wants[place].pause_seconds)
            ends[place] = call["end_ns"]
        else:
            place, start = len(wants), call["start_ns"]
            after = _waited_for(wants, starts, ends, start)
            since = max((ends[before] for before in after), default=calls[0]["began_ns"])
            wants.append(changed(want, after=after, pause_seconds=(start - since) / 1e9))
            starts.append(start)
            ends.append(call["end_ns"])
        if call["failed"] and call["error_class"] in _CAPACITY:
            refused.append(place)
    return wants


def _waited_for(
    wants: Sequence[Want], starts: Sequence[int], ends: Sequence[int], now: int
) -> tuple[int, ...]:
    """Find the latest want that had ended, and those beside it.

    Wants lie side by side when they waited for the same ones; that the app waits for all of them shows in
    that it began nothing between the first and the last one's end.
    """
    ended = [place for place, end in enumerate(ends) if end <= now]
    if not ended:
        return ()
    latest = max(ended, key=ends.__getitem__)
    beside = [place for place in ended if wants[place].after == wants[latest].after]
    first = min(ends[place] for place in beside)
    went_on = any(first <= start < ends[latest] for start in starts)
    return (latest,) if went_on else tuple(beside)


def _want(call: dict[str, Any], usual: Want) -> Want:
    output = call["output_tokens"] or usual.output_tokens
    return Want(
        pool=call["pool"],
        pause_seconds=0.0,
        service_seconds=call["service_ns"] / NS if call["service_ns"] else usual.service_seconds,
        input_tokens=call["input_tokens"] or usual.input_tokens,
        output_tokens=output,
        max_tokens=call["max_tokens"] or output,
    )


def _complete(broken: list[Demand], wholes: list[list[Want]], rng: random.Random) -> None:
    """Draw the calls that tasks never made from tasks that finished, on their own pool if any did."""
    for held in broken:
        pool = held.wants[0].pool
        drawn = rng.choice([wants for wants in wholes if wants[0].pool == pool] or wholes)
        other = drawn[0].pool
        held.wants += [
            changed(want, pool=pool) if want.pool == other else want for want in drawn[len(held.wants) :]
        ]


def _quotas(spans: Spans, what_if: WhatIf, rows: list[dict[str, Any]]) -> dict[str, Recorded]:
    first = min(row["began_ns"] for row in rows)
    wished = {name: value for name, value in asdict(what_if).items() if value}
    return {
        name: changed(held, model=changed(held.model, **wished))
        for name, held in recorded_quotas(spans, {row["pool"] for row in rows}, first).items()
    }


def _settings(models: dict[str, PoolModel]) -> dict[str, PoolSettings]:
    """The limiter as it ships, with patience: how long tasks may wait is the app's to say."""
    return {name: PoolSettings(max_wait_seconds=math.inf, queue_limit=10_000_000) for name in models}


def _plays(wants: int) -> int:
    """Odd, so that a median is a figure of one play."""
    return max(1, min(PLAYS, WANTS_PLAYED // wants)) - 1 | 1


def _middle(outcomes: list[dict[str, Any]]) -> dict[str, Any]:
    def middle(name: str) -> Any:
        held = [outcome[name] for outcome in outcomes if outcome[name] is not None]
        return statistics.median_low(held) if held else None

    return {name: middle(name) for name in outcomes[0]}


def _ranges(outcomes: list[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """Tell the least and the most of each figure over the plays."""
    held = {name: [one[name] for one in outcomes if one[name] is not None] for name in outcomes[0]}
    return {name: (min(values), max(values)) for name, values in held.items() if values}


def _recorded(spans: Spans, rows: list[dict[str, Any]]) -> dict[str, Any]:
    tasks: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        tasks.setdefault(row["task"], []).append(row)
    attempts = spans.rows(
        "SELECT count(*) AS attempts, "
        "count(*) FILTER (WHERE failed AND error_class = 'rate_limit') AS refused FROM spans WHERE is_attempt"
    )[0]
    from penstock.analysis.verbs.concurrency import concurrency

    live = concurrency(spans).data["total"]
    whole = [calls for calls in tasks.values() if not _gave_up(calls)]
    seconds = [(max(call["end_ns"] for call in calls) - calls[0]["began_ns"]) / 1e9 for calls in whole]
    return _row(
        len(tasks), len(whole), attempts["attempts"], attempts["refused"], seconds, [],
        live["p50"], live["p99"],
        (max(row["end_ns"] for row in rows) - min(row["began_ns"] for row in rows)) / 1e9,
    )  # fmt: skip


def _figures(outcome: Outcome) -> dict[str, Any]:
    return _row(
        outcome.tasks, outcome.finished, outcome.attempts, outcome.rate_limited, outcome.task_seconds,
        outcome.waits, _level(outcome.time_at, 0.5), _level(outcome.time_at, 0.99), outcome.ended,
    )  # fmt: skip


def _row(
    tasks: int, finished: int, attempts: int, refused: int, seconds: list[float], waits: list[float],
    p50: int, p99: int, length: float,
) -> dict[str, Any]:  # fmt: skip
    return {
        "tasks": tasks, "tasks_finished": finished, "attempts": attempts, "rate_limited": refused,
        "rate_limited_ratio": refused / attempts if attempts else 0.0,
        "task_p50_seconds": _rank(seconds, 0.5), "task_p99_seconds": _rank(seconds, 0.99),
        "wait_p95_seconds": _rank(waits, 0.95), "live_p50": p50, "live_p99": p99, "seconds": length,
    }  # fmt: skip


def _rank(values: list[float], share: float) -> float | None:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def _level(time_at: dict[int, float], share: float) -> int:
    total, passed = sum(time_at.values()), 0.0
    for level in sorted(time_at):
        passed += time_at[level]
        if passed >= share * total:
            return level
    return 0
