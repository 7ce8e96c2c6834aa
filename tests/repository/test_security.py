"""An app with everything switched on: nothing secret in what it wrote, nothing open but to this machine."""

import os
import socket
import subprocess
import sys
from dataclasses import replace

import pytest

from penstock.simulator import Config, Distribution, profile, serve

KEY, PROMPT, ARGUMENT, PASSWORD = "sk-walrus-5521", "zebra-7431", "ocelot-9044", "heron-3187"
APP = f"""
import contextlib, logging, openai, os, penstock, sys, urllib.request
logging.basicConfig(level=logging.DEBUG, filename="app.log")
logging.getLogger("openai").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)
client = openai.OpenAI(base_url=os.environ["SIM"] + "/v1")

@penstock.irreversible(action="pay", requires="fallback", key="{{to}}", ledger=penstock.MemoryLedger())
def pay(to):
    return to

@penstock.tool
def look_up(to):
    raise ValueError(to)

with penstock.task("books"):
    for _ in range(3):
        client.chat.completions.create(
            model="gpt-5", user="{PROMPT}", temperature=0,
            messages=[{{"role": "user", "content": "{PROMPT}"}}],
        )
    pay("{ARGUMENT}")
    with contextlib.suppress(ValueError):
        look_up("{ARGUMENT}")
with open("sockets", "w") as file:
    file.write("".join(open(f"/proc/self/net/{{table}}").read() for table in ("tcp", "tcp6")))
with open("inodes", "w") as file:
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            print(os.readlink(f"/proc/self/fd/{{fd}}"), file=file)
with open("metrics", "wb") as file:
    file.write(urllib.request.urlopen(os.environ["METRICS"]).read())
"""
SETTINGS = """
limit = "enforce"
state = "state"
[trust]
[trust.cache]
store = "memory"
every_call = true
[trust.tools."look_*"]
requires = "fallback"
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def wrote(tmp_path_factory):
    folder = tmp_path_factory.mktemp("app")
    (folder / "app.py").write_text(APP)
    (folder / "penstock.toml").write_text(SETTINGS)
    fast = replace(profile("openai"), latency_seconds=Distribution("constant", 0.01))
    port = free_port()
    with serve(Config(pools=(fast,))) as simulator:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("PENSTOCK", "OTEL_"))
        }
        done = subprocess.run(
            [sys.executable, "-m", "penstock", "run", "--metrics-port", str(port), sys.executable, "app.py"],
            env={
                **kept,
                "SIM": simulator.url,
                "METRICS": f"http://127.0.0.1:{port}/metrics",
                "OPENAI_API_KEY": KEY,
                "PENSTOCK_CACHE_SECRET": PASSWORD * 2,
            },
            cwd=folder,
            capture_output=True,
            timeout=60,
        )  # fmt: skip
    (folder / "stdout").write_bytes(done.stdout)
    (folder / "stderr").write_bytes(done.stderr)
    assert done.returncode == 0, done.stderr.decode()
    return folder


def test_the_app_did_what_could_tell(wrote):
    spans = (wrote / "penstock-spans.jsonl").read_text()
    assert '"chat gpt-5"' in spans
    assert "look_up" in spans
    assert b'penstock_cache_lookups_total{result="hit"} 2.0' in (wrote / "metrics").read_bytes()
    assert list((wrote / "state").iterdir())


WITH_PASSWORD = f"://someone:{PASSWORD}@127.0.0.1:1/0"


@pytest.mark.parametrize(
    "words",
    [
        ["pools", "--store", f"redis{WITH_PASSWORD}"],
        ["pools", "--store", f"http{WITH_PASSWORD}"],
        ["traces", "summary", f"clickhouse{WITH_PASSWORD}"],
        ["traces", "summary", f"clickhose{WITH_PASSWORD}"],
        ["traces", "summary", "--where", f"model = 'x{WITH_PASSWORD}'", "nowhere.jsonl"],
        ["dashboards", "check", "--prometheus", f"http{WITH_PASSWORD}"],
    ],
    ids=" ".join,
)
def test_a_password_in_an_address_is_not_printed(words, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "penstock", *words], cwd=tmp_path, capture_output=True, timeout=60
    )
    assert done.returncode == 2
    assert PASSWORD.encode() not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "text",
    [
        f'store = "redis{WITH_PASSWORD}"',
        f'store = "http{WITH_PASSWORD}"',
        f'[trust]\nledger = "redis{WITH_PASSWORD}"',
        f'[trust.cache]\nevery_call = true\nstore = "redis{WITH_PASSWORD}"',
    ],
)
def test_a_stores_password_is_in_no_repr_log_or_span(text, tmp_path):
    (tmp_path / "penstock.toml").write_text(f'limit = "enforce"\n{text}\n')
    (tmp_path / "app.py").write_text(
        "import logging, penstock, openai, os; logging.basicConfig(level=logging.DEBUG)\n"
        "running = penstock.runtime() or penstock.instrument()\n"
        "print(running, running.settings, running.limiter, running.trust)\n"
        "openai.OpenAI().chat.completions.create(model='m', messages=[{'role': 'user', 'content': 'hi'}])\n"
    )
    with serve() as simulator:
        done = subprocess.run(
            [sys.executable, "-m", "penstock", "run", sys.executable, "app.py"],
            cwd=tmp_path,
            capture_output=True,
            timeout=60,
            env={
                **os.environ,
                "OPENAI_BASE_URL": f"{simulator.url}/v1",
                "OPENAI_API_KEY": "none",
                "PENSTOCK_CACHE_SECRET": "s" * 32,
            },
        )
    assert (done.returncode == 0) == ("http" not in text), done.stderr.decode()
    spans = b"".join(file.read_bytes() for file in tmp_path.glob("*.jsonl"))
    assert bool(spans) == (done.returncode == 0)
    assert PASSWORD.encode() not in done.stdout + done.stderr + spans


@pytest.mark.parametrize("secret", [KEY, PROMPT, ARGUMENT, PASSWORD])
def test_nothing_secret_is_written_anywhere(wrote, secret):
    ours = {"app.py", "penstock.toml"}
    files = [path for path in wrote.rglob("*") if path.is_file() and path.name not in ours]
    assert len(files) > 5
    assert [str(path) for path in files if secret.encode() in path.read_bytes()] == []


def test_every_listening_socket_is_of_this_machine_alone(wrote):
    held = {
        line.split("[")[1].rstrip("]")
        for line in (wrote / "inodes").read_text().split()
        if "socket:[" in line
    }
    rows = [line.split() for line in (wrote / "sockets").read_text().splitlines() if ": " in line]
    listening = [row[1] for row in rows if row[3] == "0A" and row[9] in held]
    assert listening
    assert all(address.startswith("0100007F:") for address in listening)
