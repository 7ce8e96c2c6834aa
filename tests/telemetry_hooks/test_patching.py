"""Hooks go in and come out without a trace, and never twice."""

import httpx2
import pytest

from penstock.telemetry import guard
from penstock.telemetry.hooks import Engine, install, installed, uninstall


@pytest.fixture(autouse=True)
def clean():
    uninstall()
    yield
    uninstall()


def call():
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, json={}))
    with httpx2.Client(transport=transport) as client:
        client.post("https://api.openai.com/v1/chat/completions", json={"model": "m"})


def test_uninstall_leaves_the_classes_as_they_were():
    before = httpx2.Client.__dict__["send"], httpx2.AsyncClient.__dict__["send"]
    install(Engine())
    assert "httpx2" in installed()
    assert httpx2.Client.__dict__["send"] is not before[0]
    uninstall()
    assert (httpx2.Client.__dict__["send"], httpx2.AsyncClient.__dict__["send"]) == before
    assert installed() == ()


def test_installing_twice_counts_once(hook):
    hook()
    seen = hook()
    call()
    assert len(seen.attempts) == 1


def test_the_newest_engine_listens(hook):
    first = hook()
    second = hook()
    call()
    assert (len(first.attempts), len(second.attempts)) == (0, 1)


def test_installing_again_after_uninstall_works(hook):
    hook()
    uninstall()
    seen = hook()
    call()
    assert len(seen.attempts) == 1


def test_a_patch_over_ours_stays_and_ours_falls_silent(hook, monkeypatch):
    seen = hook()
    ours = httpx2.Client.send
    calls = []

    def theirs(self, *args, **kwargs):
        calls.append(1)
        return ours(self, *args, **kwargs)

    monkeypatch.setattr(httpx2.Client, "send", theirs)
    call()
    uninstall()
    assert httpx2.Client.send is theirs
    call()
    assert (len(calls), len(seen.attempts)) == (2, 1)
    monkeypatch.undo()
    httpx2.Client.send = ours.__wrapped__


def test_a_stream_that_outlives_its_hooks_still_ends(hook, chat):
    seen = hook()
    stream = chat.openai().chat.completions.create(**chat.request, stream=True)
    uninstall()
    assert list(stream)
    assert seen.ends() == ["eof"]


def test_our_failures_are_counted_by_place_and_logged_once(caplog):
    told = []
    stop = guard.listen(told.append)
    for _ in range(3):
        guard.failed("somewhere", ValueError("secret text"))
    stop()
    guard.failed("somewhere", ValueError("secret text"))
    assert told == ["somewhere"] * 3
    assert guard.errors.pop("somewhere") == 4
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1
    assert "secret text" not in lines[0]
