"""Quota headers in every spelling that providers send, and their lies."""

import time

import pytest

from penstock.providers import Anthropic, OpenAICompatible, lookup
from penstock.providers.quota import seconds_until

NOW = 1_760_000_000.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12ms", 0.012),
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("2m59.56s", 179.56),
        ("1h2m3s", 3723.0),
        ("0s", 0.0),
        ("2d", 172_800.0),
        ("250us", 0.00025),
        ("7.66", 7.66),
        ("30", 30.0),
        ("2025-10-09T08:53:50Z", 30.0),
        ("1760000030", 30.0),
        ("1760000030000", 30.0),
    ],
)
def test_a_reset_is_seconds_from_now_in_every_spelling(text, seconds):
    assert seconds_until(text, lambda: NOW) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["-1", "0", "", "soon", "as", "-5ms", "2020-01-01T00:00:00Z", "1759999999", "nan", "inf"]
)
def test_a_reset_that_says_nothing_is_none(text):
    assert seconds_until(text, lambda: NOW) is None


def test_openai_headers_fill_both_windows():
    quota = OpenAICompatible().quota(
        {
            "x-ratelimit-limit-requests": "500",
            "x-ratelimit-remaining-requests": "499",
            "x-ratelimit-reset-requests": "120ms",
            "x-ratelimit-limit-tokens": "200000",
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-reset-tokens": "1m0s",
        }
    )
    assert (quota.requests.limit, quota.requests.remaining, quota.requests.reset_seconds) == (500, 499, 0.12)
    assert (quota.tokens.limit, quota.tokens.remaining, quota.tokens.reset_seconds) == (200_000, 0, 60)


def test_minus_one_and_zero_limits_say_nothing():
    headers = {"x-ratelimit-limit-requests": "-1", "x-ratelimit-remaining-requests": "0"}
    assert OpenAICompatible().quota(headers) is None
    headers = {"x-ratelimit-limit-tokens": "0", "x-ratelimit-remaining-tokens": "0"}
    assert OpenAICompatible().quota(headers) is None


def test_anthropic_resets_are_read_against_the_servers_clock():
    quota = Anthropic().quota(
        {
            "date": "Thu, 09 Oct 2025 08:53:20 GMT",
            "anthropic-ratelimit-requests-limit": "50",
            "anthropic-ratelimit-requests-remaining": "49",
            "anthropic-ratelimit-requests-reset": "2025-10-09T08:53:21Z",
            "anthropic-ratelimit-input-tokens-limit": "20000",
            "anthropic-ratelimit-input-tokens-remaining": "18000",
        }
    )
    assert quota.requests.reset_seconds == 1.0
    assert (quota.input_tokens.limit, quota.input_tokens.remaining) == (20_000, 18_000)
    assert quota.tokens is None


def test_a_wrong_date_header_falls_back_to_our_clock():
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 100))
    quota = Anthropic().quota(
        {
            "date": "yesterday",
            "anthropic-ratelimit-requests-limit": "50",
            "anthropic-ratelimit-requests-reset": later,
        }
    )
    assert 90 < quota.requests.reset_seconds <= 101


def test_groqs_request_window_is_a_day():
    provider, _ = lookup("api.groq.com", "/openai/v1/chat/completions")
    quota = provider.quota({"x-ratelimit-limit-requests": "14400", "x-ratelimit-limit-tokens": "6000"})
    assert quota.requests.period_seconds == 86_400
    assert quota.tokens.period_seconds == 60


def test_no_quota_headers_are_none():
    assert OpenAICompatible().quota({"content-type": "application/json"}) is None
    assert Anthropic().quota({}) is None
