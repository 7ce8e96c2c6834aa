"""Nothing that we ask means something else in Prometheus 3: https://prometheus.io/docs/prometheus/3.0/migration/."""

import re

import pytest

from penstock import alerts, dashboards

RULES = alerts.rule_set()
ASKED = sorted(
    {e.expr for board in dashboards.shipped() for e in dashboards.expressions(board.model)}
    | {rule.expr for rule in (*RULES.recordings, *RULES.slow_recordings, *RULES.alerts)}
)
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

asked = pytest.mark.parametrize("expr", ASKED)


def seconds(duration):
    return int(duration[:-1]) * SECONDS[duration[-1]]


@asked
def test_no_pattern_depends_on_whether_a_dot_matches_a_line_break(expr):
    patterns = re.findall(r'[=!]~"([^"]*)"', expr)
    assert [pattern for pattern in patterns if "." in pattern] == []


@asked
def test_no_bound_or_quantile_is_asked_for_as_a_whole_number(expr):
    assert re.search(r'\b(le|quantile)\s*[=!]~?\s*"\d+"', expr) is None


@asked
def test_a_subquery_holds_several_points_wherever_its_left_edge_falls(expr):
    for window, step in re.findall(r"\[(\d+[smhd]):(\d+[smhd])\]", expr):
        assert seconds(window) > 2 * seconds(step)


@asked
def test_no_function_was_renamed_or_is_experimental(expr):
    called = set(re.findall(r"\b([a-z_]+)\s*\(", expr))
    assert called <= {
        "rate", "increase", "deriv", "max_over_time", "histogram_quantile", "clamp_max", "clamp_min", "time",
        "topk", "sum", "max", "min", "count",
        "by", "on", "ignoring", "group_left", "and", "or", "unless",
    }  # fmt: skip
