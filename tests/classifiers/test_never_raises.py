"""Any object, any size: a verdict, in bounded work."""

# ruff: noqa: E501 - strategies are read whole

import json
import time
import timeit
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.classifiers import (
    Evidence,
    SpanKind,
    Verdict,
    classify,
    evidence_of_mcp_result,
    evidence_of_response,
    evidence_of_row,
    evidence_of_span,
    evidence_of_stream_error,
    explain,
    redacted_row,
    row_of_verdict,
    verdict_of_exception,
)
from penstock.classifiers._classify import active
from penstock.classifiers._facts import Facts
from penstock.classifiers._plain import plain

settings.register_profile("busy machine", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("busy machine")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | st.sampled_from(
        ["insufficient_quota", "429", "error", "RESOURCE_EXHAUSTED", "rate limit exceeded", '{"code": 429}', "b'{'"]
    ),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["error", "message", "code", "type", "status", "details", "x"]) | st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


def _sound(verdict: Verdict) -> None:
    assert isinstance(verdict, Verdict)
    assert not any(seen.startswith("internal_error") for seen in verdict.evidence), verdict.evidence
    assert 0 <= verdict.confidence <= 1
    json.dumps(row_of_verdict(verdict))


@given(
    row=st.dictionaries(
        st.sampled_from(
            [
                "id",
                "framework",
                "provider",
                "exception_type",
                "status_code",
                "message",
                "body",
                "headers",
                "span_kind",
            ]
        ),
        JSON,
    )
)
def test_any_row(row: dict[str, object]) -> None:
    evidence = evidence_of_row(row)
    _sound(classify(evidence))
    _sound(explain(evidence).verdict)
    redacted_row(evidence)


@given(status=st.none() | st.integers(), body=JSON | st.binary(max_size=200), kind=st.sampled_from(SpanKind))
def test_any_response(status: int | None, body: object, kind: SpanKind) -> None:
    _sound(classify(evidence_of_response(status, {}, body, span_kind=kind)))
    _sound(classify(evidence_of_stream_error(body)))
    _sound(classify(evidence_of_mcp_result(body)))


@given(
    attributes=st.dictionaries(
        st.sampled_from(
            [
                "error.type",
                "gen_ai.operation.name",
                "http.response.status_code",
                "gen_ai.response.finish_reasons",
                "gen_ai.system",
            ]
        )
        | st.text(max_size=8),
        JSON,
    ),
    status=JSON,
)
def test_any_span(attributes: dict[str, object], status: object) -> None:
    _sound(classify(evidence_of_span(attributes, status)))


class _Hostile(Exception):  # noqa: N818
    """Everything that can be touched bites."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    def __getattribute__(self, name: str) -> object:
        if name.startswith("__"):
            return super().__getattribute__(name)
        raise RuntimeError(name)


class _Everything(Exception):  # noqa: N818
    """Has every attribute, each of them odd."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __getattr__(self, name: str) -> object:
        return self._value


class _BadMapping(Mapping[str, str]):
    def __getitem__(self, key: str) -> str:
        raise OSError

    def __iter__(self) -> Iterator[str]:
        raise OSError

    def __len__(self) -> int:
        return 3


ODD = [
    None,
    7,
    -1,
    10**400,
    float("nan"),
    "",
    "x" * 100_000,
    b"\xff",
    object(),
    [],
    {},
    {"Error": 5},
    [[[[]]]],
    _BadMapping(),
    "\ud800",
    type,
    Exception,
    lambda: 1 / 0,
]


def test_an_exception_that_bites() -> None:
    _sound(verdict_of_exception(_Hostile()))
    _sound(verdict_of_exception(ExceptionGroup("g", [_Hostile(), ValueError()])))


@pytest.mark.parametrize("value", ODD, ids=lambda value: type(value).__name__)
def test_an_exception_with_odd_attributes(value: object) -> None:
    _sound(verdict_of_exception(_Everything(value)))


@pytest.mark.parametrize("value", ODD, ids=lambda value: type(value).__name__)
def test_evidence_with_odd_fields_gets_a_verdict(value: object) -> None:
    for field in (
        "provider",
        "status",
        "code",
        "type",
        "message",
        "body",
        "headers",
        "exception_types",
        "finish_reason",
    ):
        assert isinstance(classify(Evidence(**{"message": "m", field: value})), Verdict)  # type: ignore[arg-type]


@given(st.text(max_size=2000))
def test_any_text(text: str) -> None:
    _sound(classify(Evidence(message=text)))


UNITS = [
    "a",
    "rate limit ",
    "{",
    '{"error":',
    "code: 429 ",
    "\\",
    "tool use ids ",
    "余额",
    "\n    at x",
    "'",
    "wait 5",
]


@pytest.mark.parametrize("unit", UNITS)
def test_work_does_not_grow_with_the_message(unit: str) -> None:
    """What patterns see of 10 MB is no more than what they see of 20 kB."""
    short, long = unit * (20_000 // len(unit)), unit * (10_000_000 // len(unit))
    vocabulary = active().vocabulary
    assert len(plain(long, vocabulary).text) <= len(plain(short, vocabulary).text) + 64
    _sound(classify(Evidence(message=long)))


def _cpu_seconds(evidence: Evidence) -> float:
    return min(timeit.repeat(lambda: classify(evidence), number=3, repeat=5, timer=time.process_time))


@pytest.mark.parametrize("unit", UNITS)
def test_work_grows_no_faster_than_the_text(unit: str) -> None:
    """Sixteen times the text is a multiple of about sixteen, where what is square in it would be 256."""
    short, long = (Evidence(message=unit * (size // len(unit))) for size in (256, 4096))
    assert _cpu_seconds(long) < 64 * _cpu_seconds(short)


def test_an_error_at_the_end_of_a_huge_log_is_found() -> None:
    log = (
        "INFO all is well\n" * 600_000
        + "openai.RateLimitError: Error code: 429 - {'code': 'insufficient_quota'}"
    )
    assert classify(Evidence(message=log)).error_class.value == "quota"


def test_a_deep_and_a_wide_body_are_walked_in_bounds() -> None:
    deep: object = {"code": "insufficient_quota"}
    for _ in range(5000):
        deep = {"error": deep}
    _sound(classify(Evidence(status=429, body=deep)))
    _sound(classify(Evidence(status=429, body=[{"code": "x"}] * 200_000)))
    table, wide = active(), Evidence(body={str(n): {"code": "c"} for n in range(10_000)})
    assert len(Facts(wide, table.distinct, table.vocabulary).signals) < 400


def test_a_list_where_a_tuple_belongs_is_read_all_the_same() -> None:
    evidence = Evidence(exception_types=["RateLimitError"], message="slow down")  # type: ignore[arg-type]
    assert classify(evidence).error_class.value == "rate_limit"


def test_a_long_chain_of_causes_is_followed_sixteen_links() -> None:
    error: BaseException = ConnectionRefusedError("end")
    for n in range(5000):
        outer = RuntimeError(f"layer {n}")
        outer.__cause__ = error
        error = outer
    _sound(verdict_of_exception(error))
