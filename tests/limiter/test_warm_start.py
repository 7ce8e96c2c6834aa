"""What was learnt survives a restart of the process, if the user wants it to."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

import penstock
from penstock._config import load
from penstock.providers import Quota, Window
from penstock.telemetry.interceptor import Answer, Call, Granted, Refused, Settlement


@pytest.fixture
def started(tmp_path, monkeypatch):
    """Start Penstock as an app does, with its state in a folder of this test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    running = []

    def start(**options):
        running.append(penstock.instrument(spans="off", **{"limit": "enforce", **options}))
        return running[-1]

    yield start
    for runtime in running:
        runtime.shutdown()


def use_up(runtime, say):
    """Let the day's quota of a pool end, as the provider tells it."""
    lim = runtime.limiter
    ticket = lim.admit(call())
    gone = say("rate_limit", retry_after=7200.0, limit_dimension="requests_per_day")
    at = lim.clock()
    lim.answer(ticket, Answer(sent_at=at, at=at, status=429, verdict=gone))
    lim.settle(ticket, Settlement(at=at, end="eof"))


def call():
    return Call(
        provider="openai", host="h", pool="openai:m", model="m", operation="chat", body=b"a secret prompt"
    )


def test_a_parked_pool_stays_parked_after_a_restart(started, say, tmp_path):
    first = started(state="on")
    use_up(first, say)
    first.shutdown()
    refused = started(state="on").limiter.admit(call()).admission
    assert isinstance(refused, Refused)
    assert refused.reason == "exhausted"
    kept = (tmp_path / "xdg" / "penstock" / "limiter.json").read_text()
    assert set(json.loads(kept)) == {"openai:m"}
    assert "secret" not in kept


def test_a_learnt_rate_is_kept_beside_other_pools(started, tmp_path):
    (tmp_path / "limiter.json").write_text('{"other": {"at": 1.0}}')
    runtime = started(state=str(tmp_path))
    lim = runtime.limiter
    ticket, at = lim.admit(call()), lim.clock()
    told = Quota(requests=Window(limit=6000.0, remaining=5999.0))
    lim.answer(ticket, Answer(sent_at=at, at=at, status=200, quota=told))
    lim.settle(ticket, Settlement(at=at, end="eof"))
    runtime.shutdown()
    kept = json.loads((tmp_path / "limiter.json").read_text())
    assert set(kept) == {"other", "openai:m"}
    assert kept["openai:m"]["rate_per_second"] == pytest.approx(100.0, rel=0.05)


@pytest.mark.parametrize("options", [{}, {"state": "off"}, {"state": "on", "limit": "observe"}])
def test_nothing_is_kept_unless_asked_for(started, say, tmp_path, options):
    runtime = started(**options)
    use_up(runtime, say)
    runtime.shutdown()
    assert not (tmp_path / "xdg").exists()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"openai:m": 3}', "\x00"])
def test_a_broken_state_file_is_no_ones_problem(started, tmp_path, caplog, content):
    (tmp_path / "limiter.json").write_text(content)
    with caplog.at_level(logging.INFO, "penstock"):
        runtime = started(state=str(tmp_path))
        assert isinstance(runtime.limiter.admit(call()).admission, Granted)
        runtime.shutdown()
    assert not caplog.records
    assert "openai:m" in json.loads((tmp_path / "limiter.json").read_text())


def test_a_program_that_just_ends_leaves_what_it_learnt(tmp_path):
    program = """
import penstock
penstock.instrument(limit="enforce", spans="off", state="kept").limiter.headroom("p")
"""
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=60)
    assert set(json.loads((tmp_path / "kept" / "limiter.json").read_text())) == {"p"}


def test_a_lock_held_by_who_is_being_ended_does_not_hang(started, tmp_path):
    runtime = started(state=str(tmp_path))
    runtime.limiter.headroom("p")
    with runtime.limiter.lock:
        runtime._remember()
    assert not (tmp_path / "limiter.json").exists()


def test_a_folder_that_cannot_be_written_is_no_ones_problem(started, say, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    runtime = started(state=str(tmp_path / "file"))
    use_up(runtime, say)
    with caplog.at_level(logging.INFO, "penstock"):
        runtime.shutdown()
    assert not caplog.records


@pytest.mark.parametrize("word", ["on", "ON", "1", "true", "yes"])
def test_whoever_says_yes_means_the_users_own_state_folder(word):
    environ = {"PENSTOCK_STATE": word, "XDG_STATE_HOME": "/home/of/state"}
    assert load(environ=environ).state == Path("/home/of/state/penstock")
    assert load(environ={"PENSTOCK_STATE": "off"}).state is None
    assert load(environ={"PENSTOCK_STATE": "kept"}).state == Path("kept").absolute()
