"""What the quota could admit at the very most, as a fluid: what the oracle is held against.

A weak oracle would flatter everyone. So its answered calls are put beside a bound that no policy can
pass: second by second, no more than the pools' quotas hold then, and no more than the agents ask for.
"""

import math
import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from benchmarks.limiter_lab.workload import request_of
from benchmarks.limiter_lab.world import CLIENT_TIMEOUT_SECONDS
from penstock.simulator import Event, Scenario
from penstock.simulator.quota import SLOPE_FREE_SHARE, SLOPE_SECONDS
from penstock.simulator.scenario import Neighbour, Pool, Workload

_SAMPLES: Final = 4000


@dataclass(frozen=True, slots=True)
class Means:
    """What a call holds on average, and how long it takes on a pool, faults included.

    `counted` is the input that the pool charges; `ok` the share of accepted calls that end well.
    """

    counted: float
    output: float
    reserved: float
    seconds: float
    ok: float


def means(workload: Workload, config: Pool) -> Means:
    """Sample the workload."""
    rng = random.Random(0)
    requests = [request_of(workload, rng) for _ in range(_SAMPLES)]
    cached = 0 if config.cached_input_counts else sum(r.cached_tokens for r in requests)
    output = sum(r.output_tokens for r in requests) / _SAMPLES
    seconds = sum(config.latency_seconds.at(r.draw or 0.0) for r in requests) / _SAMPLES
    seconds += config.seconds_per_output_token * output
    rates = config.error_rates
    seconds = seconds * (1 - rates.timeout) + CLIENT_TIMEOUT_SECONDS * rates.timeout
    return Means(
        counted=(sum(r.input_tokens for r in requests) - cached) / _SAMPLES,
        output=output,
        reserved=0.0 if config.token_accounting == "actual" else workload.max_tokens,
        seconds=seconds,
        ok=max(0.0, 1 - rates.timeout - rates.server_error - rates.broken_stream),
    )


def calls_per_second(config: Pool, mean: Means) -> dict[str, float]:
    """Give each dimension's steady rate, in calls of mean size; inf where it is no limit."""

    def rate(limit: float, per_call: float) -> float:
        return limit / 60 / per_call if limit and per_call > 0 else math.inf

    return {
        "requests": rate(config.requests_per_minute, 1),
        "tokens": rate(config.tokens_per_minute, mean.counted + mean.output),
        "input_tokens": rate(config.input_tokens_per_minute, mean.counted),
        "output_tokens": rate(config.output_tokens_per_minute, mean.output),
        "concurrency": _through(_slots(config, mean), mean),
    }


def _through(slots: float, mean: Means) -> float:
    return slots / mean.seconds if mean.seconds and not math.isinf(slots) else math.inf


def _slots(config: Pool, mean: Means) -> float:
    """Live calls at most: the cap, and what reservations of whole `max_tokens` leave room for."""
    slots = config.concurrency or math.inf
    depth = config.window_seconds if config.algorithm == "fixed_window" else config.token_bucket_seconds
    for limit, held in (
        (config.tokens_per_minute, mean.counted + mean.reserved),
        (config.output_tokens_per_minute, mean.reserved),
    ):
        if limit and mean.reserved:
            slots = min(slots, max(1.0, limit / 60 * depth / held))
    return slots


def token_bound(scenario: Scenario) -> bool:
    """Say whether the first pool runs out of tokens before anything else."""
    rates = calls_per_second(scenario.pools[0], means(scenario.workload, scenario.pools[0]))
    tightest = min(rates, key=rates.__getitem__)
    return "tokens" in tightest and math.isfinite(rates[tightest])


def most_calls(scenario: Scenario, wanted: Sequence[float]) -> float:
    """Bound the calls that can be answered within the horizon.

    `wanted`: calls that the agents would have answered each second if nothing ever said no. With open
    arrivals what is not done now can be done later; agents in a closed loop ask for no more later
    because they had to wait now.
    """
    pools = [_Fluid(scenario, pool) for pool in scenario.pools]
    open_loop = scenario.workload.mode == "open"
    done = left = 0.0
    for second, want in enumerate(wanted):
        left = left + want if open_loop else want
        for pool in pools:
            served = pool.serve(second, left)
            left -= served
            done += served
    return done


class _Fluid:
    """One pool as a tank. Time is that of answers: what is admitted now is answered a call later."""

    def __init__(self, scenario: Scenario, pool: Pool) -> None:
        self._workload = scenario.workload
        self._lag = round(means(scenario.workload, pool).seconds)
        self._history = _history(pool)
        self._config: Pool | None = None
        self._mean = means(scenario.workload, pool)
        self._level = math.inf
        self._grown = 0.0
        self._served = 0.0

    def serve(self, second: int, left: float) -> float:
        """Give what the tank holds in this second, up to what is left to do."""
        if second < self._lag:
            return 0.0
        config, share = next(self._history)
        if config is not self._config:
            self._config, self._mean = config, means(self._workload, config)
        rates = calls_per_second(config, self._mean)
        tightest = min(rates, key=rates.__getitem__)
        rate = rates[tightest]
        if math.isinf(rate):
            self._level = math.inf
        else:
            self._fill(config, tightest, rate, max(0.0, share), second - self._lag)
        if share < 0:  # an outage
            self._grown = 0.0
            return 0.0
        served = min(left, self._level * self._mean.ok, self._slope(config, second - self._lag))
        self._level -= served / self._mean.ok if self._mean.ok else 0.0
        return served

    def _fill(self, config: Pool, tightest: str, rate: float, share: float, at: int) -> None:
        if config.algorithm == "fixed_window" and tightest != "concurrency":
            if int(at / config.window_seconds) != int((at - 1) / config.window_seconds) or at == 0:
                self._level = rate * config.window_seconds + min(0.0, self._level)
            self._level -= rate * (1 - share)
            return
        depth = rate * _depth(config, tightest)
        self._level = min(self._level, depth) + rate * share

    def _slope(self, config: Pool, at: int) -> float:
        """What growth allows: each fifteen seconds so much more, in whole calls."""
        percent = config.slope_percent_per_15s
        if not percent or math.isinf(percent):
            return math.inf
        free = max(2.0, _free(config))
        if at % int(SLOPE_SECONDS) == 0 or not self._grown:
            self._grown = max(free, math.floor(self._grown * (1 + percent / 100)))
        return self._grown / SLOPE_SECONDS


def _free(config: Pool) -> float:
    rate = config.requests_per_minute / 60
    return rate * SLOPE_SECONDS * SLOPE_FREE_SHARE if math.isfinite(rate) else 0.0


def _depth(config: Pool, dimension: str) -> float:
    if dimension == "concurrency":
        return 0.0
    if dimension == "requests":
        return config.slice_seconds if config.algorithm == "sliced" else config.bucket_seconds
    return config.token_bucket_seconds


def _history(pool: Pool) -> Iterator[tuple[Pool, float]]:
    """Walk a pool's seconds: its keys then, and the share of its rate that is ours; -1 in an outage."""
    config, neighbour, since, out_until = replace(pool, events=()), Neighbour(), 0.0, -1.0
    ahead: deque[Event] = deque(pool.events)
    second = 0
    while True:
        while ahead and ahead[0].at_seconds <= second:
            event = ahead.popleft()
            if event.changes:
                config = replace(config, **event.changes)  # type: ignore[arg-type]
            out_until = max(out_until, event.at_seconds + event.outage_seconds)
            if event.neighbour is not None:
                neighbour, since = event.neighbour, event.at_seconds
        yield config, -1.0 if second < out_until else 1 - _drained(neighbour, second - since)
        second += 1


def _drained(neighbour: Neighbour, elapsed: float) -> float:
    if not neighbour.share:
        return 0.0
    phase = math.fmod(elapsed, neighbour.on_seconds + neighbour.off_seconds)
    return neighbour.share if phase < neighbour.on_seconds else 0.0
