"""One endpoint for all processes of a run: sums, exact levels, no ghosts of killed workers."""

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from penstock.telemetry import metrics as m
from penstock.telemetry.exposition import Crew, crew
from penstock.telemetry.exposition.merge import counts, dump, load, merge, snapshot
from penstock.telemetry.metering import Metering
from penstock.telemetry.registry import Histogram, Registry

# Workers hold records as the hooks would: what is tested is what a kill leaves behind.
WORKERS = """
import os, random, signal, sys, time
import penstock
from penstock.telemetry.records import Attempt, Operation

runtime = penstock.instrument(spans="off", metrics_port=int(sys.argv[1]))
metering = runtime.telemetry.metering
print(runtime.metrics_url, flush=True)

def attempt():
    now = time.time_ns()
    call = Operation(provider="openai", operation="chat", model="m", pool="openai:m", started_ns=now)
    one = Attempt(operation=call, number=1, provider="openai", host="h", port=1, pool="openai:m", model="m",
                  started_ns=now)
    metering.attempt_started(one)
    return one

def end(one):
    one.ended_ns = time.time_ns()
    metering.attempt_ended(one)

def work(n):
    for _ in range(3):
        end(attempt())
    held = [attempt() for _ in range(n)]
    signal.signal(signal.SIGUSR1, lambda *_: [end(one) for one in held])
    while True:
        time.sleep(0.1)  # a signal that another thread takes does not wake this one, which runs the handler

def spawn(n):
    pid = os.fork()
    if not pid:
        work(n)
    print(pid, flush=True)

for line in sys.stdin:
    word, number = line.split()
    if word == "spawn":
        spawn(int(number))
    elif word == "die":
        print("dying", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    else:
        os.kill(int(number), signal.SIGKILL)
        os.waitpid(int(number), 0)
        print("killed", flush=True)
"""


@contextmanager
def workers(port=0, *flags):
    process = subprocess.Popen(
        [sys.executable, "-c", WORKERS, str(port), *flags],
        stdin=-1, stdout=-1, text=True, start_new_session=True,
        env={k: v for k, v in os.environ.items() if not k.startswith(("PENSTOCK", "_PENSTOCK", "OTEL"))},
    )  # fmt: skip
    with process:
        try:
            yield process.stdout.readline().strip(), lambda word, n: say(process, word, n)
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def say(process, word, number):
    process.stdin.write(f"{word} {number}\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def scrape(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        text = answer.read().decode()
    return {(s.name, s.labels.get("pool"), s.labels.get("class"), s.labels.get("le")): s.value
            for family in parse(text) for s in family.samples}  # fmt: skip


def eventually(check, seconds=30):
    until = time.monotonic() + seconds
    while True:
        try:
            return check()
        except (AssertionError, KeyError):
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def test_killed_workers_leave_counts_and_no_ghosts():
    with workers() as (url, ask):
        pids = [ask("spawn", n) for n in (1, 2, 3)]

        def live(n, ok):
            seen = scrape(url)
            assert seen["penstock_live_calls", "openai:m", None, None] == n
            assert seen["penstock_attempts_total", "openai:m", "ok", None] == ok
            return seen

        eventually(lambda: live(6, 9))
        assert ask("kill", pids[1]) == "killed"
        live(4, 9)  # at the very next scrape
        assert ask("kill", pids[2]) == "killed"
        live(1, 9)

        def together():
            seen = live(1, 9)
            assert seen["penstock_live_calls_peak", "openai:m", None, None] >= 6
            held = [
                seen["penstock_live_calls_seconds_bucket", "openai:m", None, le]
                for le in ("0.0", "4.0", "6.0")
            ]
            assert held[2] > held[1] > held[0]  # six at once, which no single process ever held
            return seen

        eventually(together)


def test_the_port_and_the_levels_outlive_the_process_that_serves_them():
    with workers() as (url, ask):
        pids = [int(ask("spawn", n)) for n in (2, 3)]
        eventually(lambda: shows(url, live=5, ok=6, peak=5))
        ask("die", 0)
        eventually(lambda: shows(url, live=5, ok=6, peak=5))  # by another process, at the same port
        for pid in pids:
            os.kill(pid, signal.SIGUSR1)
        eventually(lambda: shows(url, live=0, ok=11, peak=5))


def test_workers_that_a_server_starts_each_for_itself_share_one_endpoint():
    port = free_port()
    url = f"http://127.0.0.1:{port}/metrics"
    with workers(port) as (told, ask), workers(port) as (other, ask_other):
        assert (told, other) == (url, "None")
        ask("spawn", 2)
        ask_other("spawn", 3)
        eventually(lambda: shows(url, live=5, ok=6, peak=5))
        ask("die", 0)
        eventually(lambda: shows(url, live=5, ok=6, peak=5))
        with workers(port, "--another-program") as (refused, _):
            assert refused == ""  # it was told on stderr that the port is in use


def shows(url, live, ok, peak):
    try:
        seen = scrape(url)
    except OSError as error:
        raise AssertionError(f"nobody serves {url}") from error
    assert seen["penstock_live_calls", "openai:m", None, None] == live
    assert seen["penstock_attempts_total", "openai:m", "ok", None] == ok
    assert seen["penstock_live_calls_peak", "openai:m", None, None] == peak


def test_a_real_prometheus_never_fails_a_scrape_while_workers_die(prometheus):
    with workers() as (url, ask), prometheus(url) as query:
        for round in range(6):
            pid = ask("spawn", round % 3 + 1)
            eventually(lambda: scrape(url)["penstock_live_calls", "openai:m", None, None])
            assert ask("kill", pid) == "killed"
        eventually(lambda: scraped(query, "count_over_time(up[1m])", at_least=8))
        eventually(lambda: nothing_live(query))
        assert query("min_over_time(up[1m])") == 1.0


def scraped(query, expression, at_least):
    assert query(expression) >= at_least


def nothing_live(query):
    assert query("penstock_live_calls") == 0.0


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def filled(**values):
    registry = Registry()
    registry.inc(m.ATTEMPTS, ("p", "a", "m", "ok"), values.get("attempts", 1))
    registry.set(m.LIVE, ("a",), values.get("live", 1))
    registry.set(m.GATE, ("a",), values.get("gate", 0))
    registry.set(m.CAP, ("a",), float("inf"))
    registry.observe(m.WAIT, ("a",), 0.5)
    registry.set(m.BUILD, ("1.0",), 1)
    registry.set(m.QUOTA_SEEN, ("a",), values.get("seen", 1))
    registry.set(m.QUOTA_REMAINING, ("a", "requests"), values.get("remaining", 1))
    return snapshot(registry.collect())


def test_what_adds_is_added_and_the_rest_is_not():
    families = merge([filled(attempts=2, live=3, gate=2, seen=9, remaining=5), filled(seen=4, remaining=7)])
    found = {family.metric: family.series for family in families}
    assert found[m.ATTEMPTS][("p", "a", "m", "ok")] == 3
    assert found[m.LIVE][("a",)] == 4
    assert found[m.BUILD][("1.0",)] == 2
    assert found[m.GATE][("a",)] == 2
    assert found[m.QUOTA_REMAINING][("a", "requests")] == 5
    assert sum(found[m.WAIT][("a",)].buckets) == 2


def test_series_survive_the_folder():
    original = filled()
    families = merge([original])
    again = load(dump(families))
    assert again == {name: series for name, series in original.items() if series}
    assert counts(again)[m.LIVE.name] == {("a",): 0.0}
    assert m.GATE.name not in counts(again)
    assert isinstance(counts(again)[m.WAIT.name][("a",)], Histogram)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"penstock_attempts_total": 3}', b'{"other": [[["a"], 1]]}']
)
def test_a_torn_or_foreign_file_does_not_fail_a_scrape(data):
    assert load(data) == {}


def test_the_folder_goes_with_the_last_process():
    registry = Registry()
    crew = Crew(registry, Metering(registry), 0, "127.0.0.1")
    assert crew.folder.is_dir()
    crew.close()
    assert not crew.folder.exists()
    assert "_PENSTOCK_METRICS" not in os.environ


@pytest.fixture
def dead(tmp_path):
    """The folder of a run, with the figures of one member, and the lock that it holds until it dies."""
    registry = Registry()
    registry.inc(m.HOOK_ERRORS, ("here",))
    (tmp_path / "1.json").write_bytes(dump(registry.collect()))
    held = crew._take(tmp_path / "1.lock")
    return tmp_path, lambda: os.close(held)


def errors_told(leader):
    return snapshot(leader.collect())[m.HOOK_ERRORS.name]["here",]


def test_who_is_killed_between_two_writes_leaves_no_figures_that_are_buried_twice(dead, monkeypatch):
    folder, die = dead
    die()

    def killed(*_, **__):
        raise KeyboardInterrupt

    first = crew._Leader(folder, "2", Registry())
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            first.read()
    assert (folder / "1.json").exists()
    assert errors_told(crew._Leader(folder, "3", Registry())) == 1
    assert not (folder / "1.json").exists()


def test_who_dies_while_figures_are_added_up_is_counted_once(dead, monkeypatch):
    folder, die = dead
    leader = crew._Leader(folder, "2", Registry())
    real, buried = crew.load, threading.Thread(target=leader.read)

    def load_and_bury(data):
        if data and not buried.ident:
            die()
            buried.start()
            buried.join(0.2)
        return real(data)

    monkeypatch.setattr(crew, "load", load_and_bury)
    assert errors_told(leader) == 1
    buried.join(30)
    assert errors_told(leader) == 1
