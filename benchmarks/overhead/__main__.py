"""What instrumentation costs the app: CPU time a call, side by side with others and with none.

    python -m benchmarks.overhead [--json FILE] [--quick] [--only stages|attempts|calls]

docs/benchmarks/overhead.md says how to read the tables.
"""

import argparse
import dataclasses
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import orjson

from benchmarks.overhead import app, attempts, stages
from benchmarks.overhead.arms import AGAIN, ARMS, PEERS, PENSTOCK_ARMS
from benchmarks.overhead.paired import CONTROL, Block, Calls, Interval, Measured, Setup, measure

# Imported before the forks, so that all arms share their memory.
_SHARED: Final = (
    "opentelemetry.instrumentation.genai.openai",
    "opentelemetry.instrumentation.httpx",
    "opentelemetry.instrumentation.openai",
    "openinference.instrumentation.openai",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    parser.add_argument("--generations", type=int, default=4, help="times that fresh processes are forked")
    parser.add_argument("--rounds", type=int, default=15, help="blocks an arm, a generation")
    parser.add_argument("--times", type=int, default=40, help="calls a block")
    parser.add_argument("--quick", action="store_true", help="few rounds: to see that it works")
    parser.add_argument("--only", choices=("stages", "attempts", "calls"), help="one part of the three")
    options = parser.parse_args()
    block = Block(options.generations, options.rounds, options.times)
    if options.quick:
        block = Block(2, 4, 20)
    for module in _SHARED:
        try:
            importlib.import_module(module)
        except ImportError:
            continue
    parts = {"stages": stages.run, "attempts": lambda: _attempts(block), "calls": lambda: _calls(block)}
    result: dict[str, object] = {"block": dataclasses.asdict(block)}
    for name, run in parts.items():
        if options.only in (None, name):
            result[name] = run()
    if options.json is not None:
        options.json.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2))
    return 0


def _attempts(block: Block) -> dict[str, object]:
    """Measure one attempt, alone and within an SDK's call; print it beside a bare span."""
    measured = measure(attempts.arms(), block)
    return {scenario: _attempt(scenario, measured) for scenario in (attempts.SEND, attempts.CALL)}


def _attempt(scenario: str, measured: Measured) -> dict[str, object]:
    bare = measured.absolute(scenario, CONTROL)
    title = f"{scenario} inside a span of the app's takes {bare:.0f} µs of CPU. Added to it, µs:"
    names = [name for name in attempts.arms() if name not in (CONTROL, *attempts.CONTROLS.values())]
    intervals = _rows(title, scenario, measured, names, attempts.CONTROLS)
    median = {name: interval.median for name, interval in intervals.items()}
    figures = {
        "attempt_to_bare_span": median[attempts.SPAN] / median[attempts.BARE],
        "without_span_us": median[attempts.NO_SPAN_UNPARSED],
        "body_parsing_us": median[attempts.NO_SPAN] - median[attempts.NO_SPAN_UNPARSED],
    }
    print(f"  an attempt with its span is {figures['attempt_to_bare_span']:.2f} × a bare span")
    print(f"  without a span and without reading bodies {figures['without_span_us']:.1f} µs")
    print(f"  reading bodies {figures['body_parsing_us']:.1f} µs")
    return {
        "bare_us": bare,
        **figures,
        **{name: dataclasses.asdict(interval) for name, interval in intervals.items()},
    }


def _calls(block: Block) -> dict[str, object]:
    """Measure whole calls of an SDK in every arm; print a table a scenario."""
    with app.loopback_server() as url:
        arms: dict[str, Setup] = {name: _setup(name, url) for name in ARMS}
        measured = measure(arms, block)
    return {scenario: _scenario(scenario, measured) for scenario in (*app.MEMORY, app.LOOPBACK)}


def _setup(name: str, url: str) -> Setup:
    def setup() -> Calls:
        ARMS[name]()
        return app.calls(url)

    return setup


def _scenario(scenario: str, measured: Measured) -> dict[str, object]:
    bare = measured.absolute(scenario, CONTROL)
    title = f"{scenario}: a bare call takes {bare:.0f} µs of CPU. Added to it, µs:"
    names = [name for name in ARMS if name != CONTROL]
    intervals = _rows(title, scenario, measured, names)
    peers = [intervals[name] for name in PEERS if name in intervals]
    for name in PENSTOCK_ARMS:
        ours = intervals[name]
        meets = "overlaps A/A" if ours.overlaps(intervals[AGAIN]) else "does not overlap A/A"
        above = sum(ours.low > theirs.high for theirs in peers)
        print(f"  {name}: {meets}; above {above} of {len(peers)} peers")
    return {
        "bare_us": bare,
        **measured.absent,
        **{name: dataclasses.asdict(interval) for name, interval in intervals.items()},
    }


def _rows(
    title: str, scenario: str, measured: Measured, names: list[str], controls: Mapping[str, str] = {}
) -> dict[str, Interval]:
    print(f"\n{title}\n  {'':<38}{'median':>8} {'[95 % interval]':<17}{'of call':>8}   5 % … 95 % of rounds")
    intervals: dict[str, Interval] = {}
    for name in names:
        if name in measured.absent:
            print(f"  {name:<38}{measured.absent[name]}")
            continue
        control = controls.get(name, CONTROL)
        i = intervals[name] = Interval.of(measured.differences(scenario, name, control))
        share = i.median / measured.absolute(scenario, control)
        interval = f"[{i.low:.1f} {i.high:.1f}]"
        print(
            f"  {name:<38}{i.median:>8.1f} {interval:<17}{share:>8.1%}"
            f"   {i.round_low:.1f} … {i.round_high:.1f}"
        )
    return intervals


if __name__ == "__main__":
    sys.exit(main())
