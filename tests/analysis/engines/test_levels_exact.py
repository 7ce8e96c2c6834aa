"""Live levels equal a brute-force oracle, whatever the intervals."""

from collections import defaultdict
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.analysis import Spans, concurrency
from penstock.analysis._engine import DuckDB, connect

NS = 1_760_000_000_000_000_000
INTERVALS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 12), st.sampled_from("ab")), min_size=1, max_size=25
)


def brute(intervals):
    first, last = min(s for s, _ in intervals), max(e for _, e in intervals)
    held = defaultdict(int)
    for tick in range(first, last):
        held[sum(s <= tick < e for s, e in intervals)] += 1
    return dict(held)


def rank(held, percent):
    total, passed = sum(held.values()), 0
    for level in sorted(held):
        passed += held[level]
        if passed * 100 >= percent * total:
            return level
    return 0


def expected(held):
    total = sum(held.values())
    return {
        "mean": sum(level * ns for level, ns in held.items()) / total if total else 0.0,
        "p50": rank(held, 50), "p95": rank(held, 95), "p99": rank(held, 99),
        "max": max(held, default=0), "seconds": total / 1e9,
    }  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(intervals=INTERVALS)
def test_levels_equal_counting_tick_by_tick(intervals):
    con = connect(Path())
    con.execute(
        "CREATE TABLE spans (pool VARCHAR, provider VARCHAR, is_attempt BOOLEAN, "
        "start_ns BIGINT, end_ns BIGINT)"
    )
    con.executemany(
        "INSERT INTO spans VALUES (?, ?, true, ?, ?)",
        [(pool, pool, NS + start, NS + start + length) for start, length, pool in intervals],
    )
    told = concurrency(Spans(DuckDB(con), {})).data
    everything = [(start, start + length) for start, length, _ in intervals]
    for name, group in [("", told["total"]), *((group["pool"], group) for group in told["groups"])]:
        chosen = [(s, s + n) for s, n, pool in intervals if pool == name] if name else everything
        held = brute(chosen)
        want = expected(held)
        assert {key: group[key] for key in want} == want
        want = expected({level: ns for level, ns in held.items() if level})
        assert {key: group["busy"][key] for key in want} == want
