"""requests: attempts to their last byte, read at once or streamed."""

import gc
import io

import pytest
import requests

from penstock.telemetry import collecting
from penstock.telemetry.interceptor import Granted, Refused


@pytest.fixture
def post(sim, chat):
    with requests.Session() as session:

        def call(stream=False, **body):
            url = f"{sim.url}/v1/chat/completions"
            return session.post(url, json={**chat.request, **body}, stream=stream, timeout=30)

        yield call


def test_an_answer_is_seen_to_its_end(hook, post):
    seen = hook()
    answer = post().json()
    assert seen.ends() == ["eof"]
    assert seen.attempts[0].usage.output == answer["usage"]["completion_tokens"]
    assert seen.attempts[0].quota.requests.limit == 60_000


def test_a_stream_is_live_until_it_is_read(hook, post, sim):
    seen = hook()
    sim.script({"status": 200, "output_tokens": 40})
    response = post(stream=True, **{"stream_options": {"include_usage": True}})
    assert seen.live == 1
    assert b"".join(response.iter_content(100))
    assert seen.ends() == ["eof"]


def test_a_streamed_body_tells_its_usage(hook, post, sim, chat):
    seen = hook()
    sim.script({"status": 200, "output_tokens": 40})
    with requests.post(
        f"{sim.url}/v1/chat/completions",
        json={**chat.request, "stream": True, "stream_options": {"include_usage": True}},
        stream=True,
        timeout=30,
    ) as response:
        assert list(response.iter_lines())
    assert seen.attempts[0].usage.output == 40


def test_a_raw_body_gives_lines_and_fills_buffers_as_without_us(hook, post, canned, chat):
    url, lines = f"{canned.url}/v1/chat/completions", [b"one\n", b"two\n"]
    canned.tell(*[(200, canned.JSON, b"".join(lines))] * 4)

    def read():
        ask = {"json": chat.request, "stream": True, "timeout": 30}
        by_line = list(requests.post(url, **ask).raw)
        buffered = io.BufferedReader(requests.post(url, **ask).raw).read()
        return by_line, buffered

    assert read() == (lines, b"".join(lines))
    seen = hook()
    assert read() == (lines, b"".join(lines))
    assert seen.ends() == ["eof", "eof"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_broken_body_is_an_error_on_a_200(hook, post, sim, stream):
    seen = hook()
    sim.script({"fault": "broken_stream", "output_tokens": 40, "after_chunks": 0})
    with pytest.raises(requests.exceptions.RequestException):
        _ = post(stream=stream).content
    assert seen.ends() == ["broken"]
    assert seen.classes() == ["network"]


def test_left_and_dropped_streams_end(hook, post, sim):
    seen = hook()
    sim.script({"status": 200, "output_tokens": 400, "times": 2})
    post(stream=True).close()
    response = post(stream=True)
    assert seen.live == 1
    del response
    gc.collect()
    collecting.wait(30)
    assert seen.live == 0
    assert seen.classes() == [None, None]


def test_a_timeout_is_one(hook, sim, chat):
    seen = hook()
    sim.script({"fault": "hang"})
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.post(f"{sim.url}/v1/chat/completions", json=chat.request, timeout=(5, 0.1))
    assert seen.classes() == ["timeout"]


def test_a_refusal_is_a_429_and_nothing_is_sent(hook, post, sim, decider):
    decide = decider(Refused(eta_seconds=3, reason="full"))
    hook(interceptor=decide)
    before = len(sim.entries())
    response = post()
    assert (response.status_code, response.headers["Retry-After"]) == (429, "3")
    assert response.json()["error"]["code"] == "penstock_backpressure"
    with pytest.raises(requests.HTTPError):
        response.raise_for_status()
    assert len(sim.entries()) == before


def test_a_429_is_absorbed(hook, post, sim, chat, decider):
    decide = decider(Granted(), retries=1)
    seen = hook(interceptor=decide)
    sim.script(chat.limited, chat.ok)
    assert post().status_code == 200
    assert seen.classes() == ["rate_limit", None]
    assert decide.answers[0].verdict.limit_dimension == "requests_per_minute"
