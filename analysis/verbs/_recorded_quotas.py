"""What quotas a recording met, as models to play it against, and how their answers travelled."""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from typing import Any, Final

from penstock.analysis._played_fit import SLICE_SECONDS, Try, fit_others, fit_rate, refusals_count
from penstock.analysis._quota_fit import FEWEST_REFUSALS, NS
from penstock.analysis._replay import Wire
from penstock.analysis.spans import Spans
from penstock.analysis.verbs.quota import quota
from penstock.simulator import PROFILES
from penstock.simulator.scenario import Event, Neighbour
from penstock.simulator.scenario import Pool as PoolModel

BUCKET_SECONDS: Final = 10.0
MOST_TRIES: Final = 50_000
"""Attempts that are played to fit what the others on a quota took: the first ones tell enough."""
MOST_DELAYS: Final = 1_000
_MOSTLY: Final = 0.9
_ROUNDS: Final = 10
"""How often what others took is repeated: a replay lasts longer than its recording."""

_ATTEMPTS: Final = """
SELECT pool, refused, max(provider) AS provider, arraySort(groupArray(start_ns)) AS starts,
       arraySort(groupArray(seconds)) AS seconds, sum(told) AS told, count(retry_after_seconds) AS waits,
       count(*) FILTER (WHERE dimension LIKE 'requests%') AS of_requests,
       count(*) FILTER (WHERE dimension IS NULL) AS unnamed
FROM (
  SELECT coalesce(pool, 'unknown') AS pool, coalesce(failed AND error_class = 'rate_limit', false) AS refused,
         provider, start_ns, greatest(end_ns - start_ns, 0) / 1e9 AS seconds, retry_after_seconds,
         limit_dimension AS dimension,
         CASE WHEN quota_requests_limit IS NULL AND quota_tokens_limit IS NULL THEN 0 ELSE 1 END AS told
  FROM spans WHERE is_attempt AND start_ns IS NOT NULL AND end_ns IS NOT NULL) AS tries
GROUP BY pool, refused
"""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A pool as recorded: its quota, and the wire that its answers came over."""

    model: PoolModel
    wire: Wire


@dataclass(slots=True)
class _Tries:
    """A pool's attempts: sorted starts, and how long refused ones took, in seconds."""

    provider: str = ""
    accepted: Sequence[int] = ()
    refused: Sequence[int] = ()
    refusals_took: Sequence[float] = ()
    told: int = 0
    waits: int = 0
    of_requests: int = 0
    unnamed: int = 0

    def since(self, first_ns: int) -> list[Try]:
        """List the first attempts in order, in seconds since the recording began."""
        both = sorted([(at, True) for at in self.accepted] + [(at, False) for at in self.refused])
        return [Try((at - first_ns) / NS, accepted) for at, accepted in both[:MOST_TRIES]]


def recorded_quotas(spans: Spans, pools: set[str], first_ns: int) -> dict[str, Recorded]:
    """Model each pool; one without any limit lets in everything. `first_ns`: when the first task began."""
    told = {pool["pool"]: pool for pool in quota(spans).data["pools"]}
    tries = _tries(spans)
    return {
        name: _recorded(name, told.get(name, {}), tries.get(name, _Tries()), first_ns)
        for name in sorted(pools)
    }


def _recorded(name: str, told: dict[str, Any], tries: _Tries, first_ns: int) -> Recorded:
    limits = {limit["kind"]: limit for limit in told.get("limits", ())}
    requests = limits.get("requests", {})
    fixed = requests.get("window") == "fixed"
    model = PoolModel(
        name=name,
        algorithm="fixed_window" if fixed else "continuous",
        window_seconds=requests.get("per_seconds") or 60.0,
        bucket_seconds=BUCKET_SECONDS,
        requests_per_minute=requests.get("value") or 0.0,
        tokens_per_minute=limits.get("tokens", {}).get("value") or 0.0,
        concurrency=limits.get("concurrency", {}).get("value") or 0.0,
        charge_rejected=bool(requests.get("refusals_charged")),
    )
    took = tries.refusals_took
    if took:
        model = changed(model, rejection_seconds=took[0])
    if not fixed and _of_requests(model, tries):
        model = _played(model, requests, tries, first_ns)
    delays = [seconds - took[0] for seconds in took[:: 1 + len(took) // MOST_DELAYS]]
    return Recorded(model, Wire(tries.told > 0, 2 * tries.waits >= len(tries.refused), delays or [0.0]))


def _of_requests(model: PoolModel, tries: _Tries) -> bool:
    """Say whether it was requests that ran out, often enough to learn from; unnamed ones may be anything."""
    alone = not model.tokens_per_minute and not model.concurrency
    refused = tries.of_requests + (tries.unnamed if alone else 0)
    return refused >= max(FEWEST_REFUSALS, _MOSTLY * len(tries.refused))


def _played(model: PoolModel, requests: dict[str, Any], tries: _Tries, first_ns: int) -> PoolModel:
    """Learn what only playing the attempts tells: whether refusals count, a rate, what others took."""
    recorded, depth = tries.since(first_ns), model.bucket_seconds
    charged = requests.get("refusals_charged")
    if charged is None:
        charged = refusals_count(recorded, model.requests_per_minute or None, depth)
    if charged is None:  # the provider's own word
        charged = PROFILES.get(tries.provider, model).charge_rejected
    if not model.requests_per_minute:
        return changed(
            model, requests_per_minute=fit_rate(recorded, depth, charged=charged), charge_rejected=charged
        )
    if requests.get("source") != "headers":  # what was inferred is what others left
        return changed(model, charge_rejected=charged)
    shares = fit_others(recorded, model.requests_per_minute, depth, charged=charged)
    # The first slice also holds what the bucket lacked when the recording began: that comes once. In the end
    # others go, so that every replay comes to one.
    taken = [*shares, *shares[1:] * (_ROUNDS - 1), 0.0] if shares else []
    events = tuple(
        Event(place * SLICE_SECONDS, {}, neighbour=Neighbour(share, off_seconds=0.0))
        for place, share in enumerate(taken)
    )
    return changed(model, charge_rejected=charged, events=events)


def _tries(spans: Spans) -> dict[str, _Tries]:
    found: dict[str, _Tries] = {}
    for row in spans.rows(_ATTEMPTS):
        held = found.setdefault(row["pool"], _Tries())
        held.provider = row["provider"] or held.provider
        held.told += int(row["told"])
        if row["refused"]:
            held.refused, held.refusals_took, held.waits = row["starts"], row["seconds"], row["waits"]
            held.of_requests, held.unnamed = row["of_requests"], row["unnamed"]
        else:
            held.accepted = row["starts"]
    return found
