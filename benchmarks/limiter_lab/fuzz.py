"""Legal scenarios that nobody thought of: which break the lab, and where our limiter does badly."""

import argparse
import json
import random
import signal
import sys
from collections.abc import Iterator
from typing import Any, Final

from benchmarks.limiter_lab.lab import compare
from penstock.simulator import read_scenario

LOW_GOODPUT: Final = 0.9
SECONDS_A_SCENARIO: Final = 40

WORKLOAD: Final[dict[str, list[Any]]] = {
    "tasks": [0, 1, 5, 30, 120],
    "calls_per_task": [1, 3, 50],
    "fan_out_share": [0, 0.5, 1.0],
    "fan_out_calls": [[1, 1], [2, 10], [20, 20]],
    "tool_seconds": [0, 0.1, 5],
    "restart_seconds": [0, 1],
    "max_tokens": [1, 64, 4096],
    "cached_input_share": [0.5, 1.0],
    "stream": [True],
    "deadline_seconds": [5, 30, 120],
    "processes": [2, 7],
    "store": ["none"],
    "input_tokens": [{"mean": 5000, "sigma": 1.5}, {"distribution": "constant", "mean": 10}, {"mean": 0}],
    "tenants": [[{"name": "a", "share": 3.0, "priority": "batch"}, {"name": "b", "priority": "interactive"}]],
}
POOL: Final[dict[str, list[Any]]] = {
    "algorithm": ["continuous", "fixed_window", "sliced"],
    "bucket_seconds": [0.01, 1, 60],
    "token_bucket_seconds": [1, 10],
    "window_seconds": [10, 61.3],
    "slice_seconds": [0.1, 10],
    "requests_per_minute": [0, 1, 7.5, 60, 300],
    "tokens_per_minute": [1000, 50_000, 500_000],
    "input_tokens_per_minute": [20_000, 300_000],
    "output_tokens_per_minute": [5000, 100_000],
    "concurrency": [1, 5, 50],
    "slope_percent_per_15s": [5, 50],
    "token_accounting": ["actual"],
    "cached_input_counts": [False],
    "charge_rejected": [True],
    "latency_seconds": [{"mean": 20}, {"distribution": "constant", "mean": 0.3}],
    "seconds_per_output_token": [0.01],
    "rejection_seconds": [0, 1],
    "headers": ["openai", "anthropic", "azure", "groq", "none"],
    "header_lies": ["zero", "negative", "past_reset", "rounded"],
    "retry_after": ["seconds", "float", "ms", "date", "body", "none"],
    "limits_known": [True],
    "error_rates": [{"timeout": 0.05}, {"server_error": 0.2, "overloaded": 0.3}, {"broken_stream": 0.1}],
}
EVENT: Final[dict[str, list[Any]]] = {
    "outage_seconds": [5, 60],
    "outage_status": [503, 529, 429, 500],
    "neighbour_share": [0.3, 0.9],
    "neighbour_competes": [True],
    "neighbour_off_seconds": [0, 20],
}


def draw(number: int) -> str:
    """Make scenario number so-and-so, as TOML."""
    rng = random.Random(number)
    lines = [f"horizon_seconds = {rng.choice([200, 300.5, 600])}", "[workload]"]
    if rng.random() < 0.3:
        lines += ['mode = "open"', f"tasks_per_second = {rng.choice([0, 0.1, 0.5])}"]
    lines += _some(rng, WORKLOAD, 0.3)
    lines += ["[router]", f"wait_up_to_seconds = {rng.choice(['0', '5', 'inf'])}"]
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        lines += ["[[pools]]", *_some(rng, POOL, 0.2)]
        for _ in range(rng.choice([0, 0, 1, 3])):
            lines += ["[[pools.events]]", f"at_seconds = {rng.choice([0, 10, 50, 90.5])}"]
            lines += _some(rng, EVENT, 0.4) if rng.random() < 0.6 else _some(rng, POOL, 0.1)
    return "\n".join(lines) + "\n"


def _some(rng: random.Random, keys: dict[str, list[Any]], share: float) -> Iterator[str]:
    return (f"{name} = {_toml(rng.choice(values))}" for name, values in keys.items() if rng.random() < share)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(item)}" for name, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


def _try(number: int, policies: list[str]) -> None:
    for row, _ in compare(read_scenario(draw(number), name=f"fuzz-{number}"), policies, [1]):
        json.dumps(row, allow_nan=False)
        low = row["policy"] == "penstock" and row["goodput_ratio"] < LOW_GOODPUT
        weak = row["policy"] == policies[0] and not 0.9 < row["oracle_over_bound"] < 1.1
        if low or weak:
            print(
                f"{number}: {row['policy']} goodput {row['goodput_ratio']:.3f}, "
                f"{row['rate_limited_per_1000']:.0f} 429s per 1000, {row['tasks_failed_ratio']:.0%} failed, "
                f"oracle/bound {row['oracle_over_bound']:.2f}, {row['calls']} calls"
                f"{', LOW' if low else ''}{', ODD BOUND' if weak else ''}",
                flush=True,
            )


def _too_slow(*_: object) -> None:
    raise TimeoutError(f"took more than {SECONDS_A_SCENARIO} s")


def main() -> int:
    """Try a range of scenarios; exit 1 when one broke."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limiter_lab.fuzz", description=__doc__)
    parser.add_argument("first", type=int, nargs="?", default=0)
    parser.add_argument("end", type=int, nargs="?", default=20)
    parser.add_argument("--policies", default="oracle,penstock", metavar="a,b")
    parser.add_argument("--show", type=int, metavar="N", help="print scenario N and stop")
    options = parser.parse_args()
    if options.show is not None:
        print(draw(options.show), end="")
        return 0
    signal.signal(signal.SIGALRM, _too_slow)
    broken = 0
    for number in range(options.first, options.end):
        signal.alarm(SECONDS_A_SCENARIO)
        try:
            _try(number, options.policies.split(","))
        except Exception as error:  # noqa: BLE001 - whatever breaks is what this looks for
            broken += 1
            print(f"{number}: BROKE: {type(error).__name__}: {error}", flush=True)
        finally:
            signal.alarm(0)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
