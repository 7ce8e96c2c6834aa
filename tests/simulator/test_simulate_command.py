"""`penstock simulate` from the outside."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

COMMAND = [sys.executable, "-m", "penstock", "simulate"]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_says_its_address_once_it_serves_and_ends_cleanly(stop, tmp_path, post):
    log = tmp_path / "truth.jsonl"
    arguments = ["--rpm", "500", "--tpm", "200000", "--port", "0", "--latency", "0", "--truth", str(log)]
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        url = process.stdout.readline().strip()
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        status, headers, _ = post(url, "/v1/chat/completions", body)
        assert (status, headers["x-ratelimit-limit-tokens"]) == (200, "200000")
    finally:
        process.send_signal(stop)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")
    assert [json.loads(line)["status"] for line in log.read_text().splitlines()] == [200]


def test_json_names_the_address_and_the_pools():
    arguments = ["--profile", "openai", "--profile", "anthropic", "--format", "json"]
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        told = json.loads(process.stdout.readline())
        with urllib.request.urlopen(f"{told['url']}/_sim/truth") as page:
            assert json.load(page)["attempts"] == 0
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert told["pools"] == ["openai", "anthropic"]
    assert told["openai_base_url"] == told["url"] + "/v1"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--profile", "nobody"], "unknown profile 'nobody'"),
        (["--scenario", "nowhere.toml"], "cannot read scenario 'nowhere.toml'"),
        (["--scenario", "nowhere.toml", "--rpm", "5"], "--scenario says it all"),
        (["--truth", "/nowhere/truth.jsonl"], "cannot write the truth log"),
        (["--host", "192.0.2.1"], "cannot listen on 192.0.2.1:0"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_2(arguments, said):
    done = run(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr


def run(*arguments):
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=30, check=False)


def test_a_busy_port_is_one_line_and_exit_2():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run("--port", port)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == f"penstock: cannot listen on 127.0.0.1:{port}: it is in use; choose another or use --port 0\n"
    )
