"""Retry-After in every form seen, and the implausible ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.classifiers import retry_after

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "20"}, 20),
        ({"retry-after": " 2.5 "}, 2.5),
        ({"retry-after-ms": "174", "retry-after": "1"}, 0.174),
        ({"x-ms-retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "1m30s"}, 90),
        ({"retry-after": "18s"}, 18),
        ({"retry-after": "PT1M30S"}, 90),
        ({"retry-after": "P1DT1H"}, 90_000),
        ({"retry-after": "Tue, 14 Nov 2023 22:14:20 GMT"}, 60),
        ({"retry-after": "2023-11-14T22:14:20Z"}, 60),
        ({"retry-after": "1700000030"}, 30),
        ({"retry-after": "1700000030500"}, 30.5),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "86400"}, 86_400),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360),
        ({"x-ratelimit-remaining-tokens": "5", "x-ratelimit-reset-tokens": "6m0s"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1700000060000"}, 60),
        (
            {
                "anthropic-ratelimit-tokens-remaining": "0",
                "anthropic-ratelimit-tokens-reset": "2023-11-14T22:14:20Z",
            },
            60,
        ),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "99999999"}, None),
        ({"retry-after": "1e30"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT"}, None),
        ({"retry-after": "P"}, None),
        ({}, None),
    ],
)
def test_a_header_is_read(headers: dict[str, str], seconds: float | None) -> None:
    found = retry_after(headers, None, None, now_unix=NOW)
    assert found == (None if seconds is None else pytest.approx(seconds))


def test_a_date_is_measured_by_the_servers_own_clock() -> None:
    headers = {"date": "Tue, 14 Nov 2023 22:13:20 GMT", "retry-after": "Tue, 14 Nov 2023 22:13:50 GMT"}
    assert retry_after(headers, None, None, now_unix=NOW + 3600) == pytest.approx(30)
    assert retry_after(headers, None, None, now_unix=None) == pytest.approx(30)


def test_a_point_in_time_without_a_clock_is_no_hint() -> None:
    assert retry_after({"retry-after": "1700000030"}, None, None, now_unix=None) is None


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Rate limit reached. Please try again in 26.604s. Visit", 26.604),
        ("Please try again in 174ms.", 0.174),
        ("Please try again in 7m12s.", 432),
        ("Please retry after 86400 seconds. Please contact", 86_400),
        ("Please retry in 43.53s.", 43.53),
        ("(reset after 3s)", 3),
        ("All accounts are currently limited. Please wait 8s.", 8),
        ("Your rate limit resets in ~5s.", 5),
        ("Please wait 8 hours 24 minutes and try again", 30_240),
        ("try again in 1 minute and 30 seconds", 90),
        ("{'@type': 'RetryInfo', 'retryDelay': '28s'}", 28),
        ("retry_delay {\n  seconds: 44\n}", 44),
        ("Retry-After: 12", 12),
        ("API Error · Retrying in 1 seconds… (attempt 1/10)", None),
        ("the client will retry in 5s", None),
        ("in 5 seconds", None),
        ("wait", None),
    ],
)
def test_a_message_is_read_where_it_asks_the_caller_to_wait(message: str, seconds: float | None) -> None:
    found = retry_after({}, None, message, now_unix=NOW)
    assert found == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"error": {"details": [{"@type": "RetryInfo", "retryDelay": "18s"}]}}, 18),
        ({"retry_after": 9}, 9),
        ({"retry_after_ms": 250}, 0.25),
        ({"error": "loading", "estimated_time": 20.5}, 20.5),
        ({"error": {"resets_in_seconds": 9000}}, 9000),
        ({"error": {"metadata": {"headers": {"X-RateLimit-Reset": "1700000060000"}}}}, 60),
        ({"retry_after": -1}, None),
        ({"retry_after": True}, None),
        ("text", None),
    ],
)
def test_a_body_is_read(body: object, seconds: float | None) -> None:
    found = retry_after({}, body, None, now_unix=NOW)
    assert found == (None if seconds is None else pytest.approx(seconds))


def test_the_longest_of_header_and_message_counts() -> None:
    assert retry_after({"retry-after": "2"}, None, "try again in 26s", now_unix=NOW) == 26


@given(st.text(max_size=60), st.text(max_size=200))
def test_whatever_is_sent_the_wait_is_plausible(header: str, message: str) -> None:
    found = retry_after({"retry-after": header}, {"retry_after": header}, message, now_unix=NOW)
    assert found is None or 0 <= found <= 31 * 86_400
