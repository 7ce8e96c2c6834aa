"""`penstock run`: an untouched program, seen from outside; its exit code, signals and stdout stay its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from dataclasses import replace

import pytest

from penstock.cli.app import main
from penstock.errors import UsageError
from penstock.simulator import Config, Distribution, profile, serve
from penstock.telemetry.export import Spool
from penstock.telemetry.launcher import prepare

TWICE_REFUSED = [{"status": 429, "headers": {"retry-after-ms": "20"}, "times": 2}, {"status": 200}]

CALL = """
import openai, os
client = openai.OpenAI(base_url=os.environ["SIM"] + "/v1", api_key="sk-t")
client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}])
"""
OPENAI = """
import asyncio, openai, os
url = os.environ["SIM"] + "/v1"
ask = dict(model="gpt-5", messages=[{"role": "user", "content": "hi"}])
client = openai.OpenAI(base_url=url, api_key="sk-t")
client.chat.completions.create(**ask)
list(client.chat.completions.create(**ask, stream=True))
async def main():
    async with openai.AsyncOpenAI(base_url=url, api_key="sk-t") as client:
        await client.chat.completions.create(**ask)
        async for _ in await client.chat.completions.create(**ask, stream=True):
            pass
asyncio.run(main())
print("done")
"""
ANTHROPIC = """
import asyncio, anthropic, os
ask = dict(model="claude-sonnet-4-5", max_tokens=64, messages=[{"role": "user", "content": "hi"}])
client = anthropic.Anthropic(base_url=os.environ["SIM"], api_key="sk-t")
client.messages.create(**ask)
list(client.messages.create(**ask, stream=True))
async def main():
    async with anthropic.AsyncAnthropic(base_url=os.environ["SIM"], api_key="sk-t") as client:
        await client.messages.create(**ask)
        async for _ in await client.messages.create(**ask, stream=True):
            pass
asyncio.run(main())
print("done")
"""


@pytest.fixture(scope="module")
def simulator():
    fast = Distribution("constant", 0.02)
    pools = tuple(replace(profile(name), latency_seconds=fast) for name in ("openai", "anthropic"))
    with serve(Config(pools=pools)) as running:
        yield running


class Shell:
    def __init__(self, folder, url):
        self.folder = folder
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "PENSTOCK_", "_PENSTOCK"))}
        self.env = {**clean, "SIM": url}

    def start(self, *arguments, **options):
        command = [sys.executable, "-m", "penstock", "run", *map(str, arguments)]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.env,
            text=True,
            stdout=-1,
            stderr=-1,
            start_new_session=True,
            **options,
        )

    def run(self, *arguments):
        with self.start(*arguments) as process:
            try:
                out, err = process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        return process.returncode, out, err

    def script(self, text, name="app.py"):
        path = self.folder / name
        path.write_text(text)
        return path

    def spans(self, name="penstock-spans.jsonl"):
        return [read(line) for line in (self.folder / name).read_text().splitlines()]


def read(line):
    span = json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    span["attributes"] = {a["key"]: next(iter(a["value"].values())) for a in span["attributes"]}
    return span


@pytest.fixture
def shell(tmp_path, simulator):
    return Shell(tmp_path, simulator.url)


@pytest.mark.parametrize(
    "flags", [(), ("--limit",), ("--limit=observe",)], ids=["sense", "enforce", "observe"]
)
@pytest.mark.parametrize(("code", "provider"), [(OPENAI, "openai"), (ANTHROPIC, "anthropic")])
def test_each_call_is_one_operation_with_its_attempts(shell, simulator, code, provider, flags):
    simulator.script(*TWICE_REFUSED * 4)
    served = len(simulator.entries())
    status, out, err = shell.run(*flags, "--spans", "s.jsonl", sys.executable, shell.script(code))
    assert (status, out) == (0, "done\n"), err
    assert err.count("s.jsonl") == 1
    assert ("penstock: observed only: " in err) == ("--limit=observe" in flags)
    assert len(simulator.entries()) - served == 12
    spans = shell.spans("s.jsonl")
    ours = [s for s in spans if "penstock.span.kind" in s["attributes"]]
    operations = {s["spanId"] for s in ours if s["attributes"]["penstock.span.kind"] == "operation"}
    attempts = defaultdict(list)
    for span in ours:
        if span["attributes"]["penstock.span.kind"] == "attempt":
            attempts[span["parentSpanId"]].append(span)
    assert len(operations) == 4
    assert set(attempts) == operations
    for group in attempts.values():
        group.sort(key=lambda s: int(s["attributes"]["penstock.attempt.number"]))
        facts = [s["attributes"] for s in group]
        assert [f["penstock.attempt.number"] for f in facts] == ["1", "2", "3"]
        assert [f.get("penstock.error.class") for f in facts] == ["rate_limit", "rate_limit", None]
        assert [f.get("penstock.retry_after_seconds") for f in facts] == [0.02, 0.02, None]
        assert all("penstock.quota.requests.limit" in f for f in facts)
        assert {f["penstock.provider"] for f in facts} == {provider}


def test_a_refusal_reaches_the_app_as_its_sdks_own_error(shell, simulator):
    (shell.folder / "penstock.toml").write_text(
        'max_wait_seconds = 0\n[pools."openai:gpt-5"]\nrequests_per_minute = 2\nheadroom_ratio = 0\n'
    )
    code = """
import openai, os
client = openai.OpenAI(base_url=os.environ["SIM"] + "/v1", api_key="sk-t")
for _ in range(50):
    try:
        client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}])
    except openai.RateLimitError as error:
        print(error.code, float(error.response.headers["retry-after"]) > 0)
        break
"""
    served = len(simulator.entries())
    status, out, err = shell.run("--limit", sys.executable, shell.script(code))
    assert (status, out) == (0, "penstock_backpressure True\n"), err
    sent = len(simulator.entries()) - served
    spans = shell.spans()
    operations = [s for s in spans if s["attributes"].get("penstock.span.kind") == "operation"]
    assert len(operations) == sent + 1
    assert operations[-1]["attributes"]["penstock.error.class"] == "rate_limit"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("raise SystemExit(7)", 7),
        ("raise ValueError", 1),
        ("import os; os._exit(5)", 5),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    ],
)
def test_the_exit_code_is_the_programs(shell, code, status):
    assert shell.run(sys.executable, "-c", code)[0] == status


def test_spans_survive_a_sigterm(shell):
    code = """
import openai, os, time
client = openai.OpenAI(base_url=os.environ["SIM"] + "/v1", api_key="sk-t")
client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}])
print("ready", flush=True)
time.sleep(60)
"""
    process = shell.start(sys.executable, shell.script(code))
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM
    assert err == "penstock: 2 spans in penstock-spans.jsonl\n"
    assert len(shell.spans()) == 2


@pytest.mark.parametrize(
    ("stop", "status"),
    [
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
        ("signal.signal(signal.SIGUSR1, lambda *_: os._exit(3)); os.kill(os.getpid(), signal.SIGUSR1)", 3),
    ],
)
def test_a_signal_that_stops_a_thread_inside_our_locks_ends_the_process_all_the_same(shell, stop, status):
    code = f"""
import os, signal, time
import penstock
from penstock.telemetry import exits
exits._LONGEST_SECONDS = exits._PATIENCE_SECONDS = 0.2
runtime = penstock.runtime()
with runtime.telemetry.registry.lock:
    {stop}
    time.sleep(0)
time.sleep(60)
"""
    ended_with, _, err = shell.run("--metrics-port", "0", sys.executable, "-c", code)
    assert ended_with == status, err


def test_a_program_that_instruments_itself_is_told_of_its_file_once(shell):
    code = """
import openai, os, penstock
def call():
    client = openai.OpenAI(base_url=os.environ["SIM"] + "/v1", api_key="sk-t")
    client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}])
call()
with penstock.instrument(limit="enforce"):
    call()
"""
    status, _, err = shell.run(sys.executable, shell.script(code))
    assert (status, err) == (0, "penstock: 4 spans in penstock-spans.jsonl\n")
    assert len(shell.spans()) == 4


def test_children_are_seen_however_they_are_started(shell):
    code = """
import multiprocessing, os, subprocess, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 began to warn of forks beside threads
def call(_=None):
    import openai
    client = openai.OpenAI(base_url=os.environ["SIM"] + "/v1", api_key="sk-t")
    client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}])
if __name__ == "__main__":
    call()
    for kind in ("fork", "spawn"):
        with multiprocessing.get_context(kind).Pool(1) as pool:
            pool.map(call, [0])
            pool.close()
            pool.join()
    pid = os.fork()
    if not pid:
        call()
        os._exit(0)
    os.waitpid(pid, 0)
    subprocess.run([sys.executable, "-c", "import app; app.call()"], check=True)
"""
    status, out, err = shell.run(sys.executable, shell.script(code))
    others = "4 other processes wrote penstock-spans.*.jsonl"
    assert (status, out, err) == (0, "", f"penstock: 2 spans in penstock-spans.jsonl; {others}\n")
    files = sorted(p.name for p in shell.folder.glob("*.jsonl"))
    assert len(files) == 5
    assert all(re.fullmatch(r"penstock-spans(\.\d+)?\.jsonl", name) for name in files)
    assert [len(shell.spans(name)) for name in files] == [2] * 5


def test_a_second_run_adds_to_the_file_and_says_how_to_ask_for_it_alone(shell):
    assert shell.run(sys.executable, shell.script(CALL))[2] == "penstock: 2 spans in penstock-spans.jsonl\n"
    time.sleep(1)
    _, _, err = shell.run(sys.executable, shell.script(CALL))
    said = re.fullmatch(
        r"penstock: 2 spans added to penstock-spans\.jsonl; this run alone: --since (\S+)\n", err
    )
    ask = [sys.executable, "-m", "penstock", "traces", "summary", "penstock-spans.jsonl", "--store", "store"]
    for more, operations in (([], 2), (["--since", said[1]], 1)):
        told = subprocess.run(
            [*ask, *more, "--format", "json"], cwd=shell.folder, capture_output=True, check=True
        )
        assert json.loads(told.stdout)["operations"]["total"] == operations


def test_a_run_beside_another_says_which_file_is_its_own(shell):
    owner = Spool(shell.folder / "penstock-spans.jsonl")
    owner.open()
    _, _, err = shell.run(sys.executable, shell.script(CALL))
    owner.close()
    said = re.fullmatch(r"penstock: 2 spans in (penstock-spans\.\d+\.jsonl)\n", err)
    assert len(shell.spans(said[1])) == 2


def test_the_users_own_sitecustomize_still_runs(shell):
    extra = shell.folder / "extra"
    extra.mkdir()
    (extra / "sitecustomize.py").write_text("import builtins; builtins.mine = 'yes'\n")
    shell.env["PYTHONPATH"] = str(extra)
    code = """
import os, sitecustomize, sys
print(mine, os.path.basename(os.path.dirname(sitecustomize.__file__)), "penstock.telemetry" in sys.modules)
print(any("bootstrap" in entry for entry in sys.path), os.environ["PYTHONPATH"].split(os.pathsep)[1:])
"""
    status, out, err = shell.run(sys.executable, shell.script(code))
    assert (status, out) == (0, f"yes extra True\nFalse ['{extra}']\n"), err


def test_modules_other_programs_and_stdin_run_too(shell):
    shell.script("print(__name__)", "mod.py")
    assert shell.run("-m", "mod")[:2] == (0, "__main__\n")
    assert shell.run(shell.folder / "mod.py")[:2] == (0, "__main__\n")
    assert shell.run("--", "echo", "--spans")[:2] == (0, "--spans\n")
    assert shell.run("echo", "--limit", "-m")[:2] == (0, "--limit -m\n")


@pytest.mark.parametrize("options", [["-I"], ["-uS"], ["-X", "dev", "-E"], ["-S", "-c", "pass"]])
def test_a_python_told_to_leave_us_out_is_said_so(shell, options):
    program = options if "-c" in options else [*options, shell.script("print('own')")]
    status, _, err = shell.run("python", *program)
    assert status == 0
    assert "leaves Penstock out: nothing of this run is seen" in err


def test_options_of_the_program_and_values_leave_nobody_out(shell):
    script = shell.script("import sys; print(sys.argv[1:])")
    for options in (["-W", "ignore::ImportWarning"], ["-Xfaulthandler"], ["-s"]):
        status, out, err = shell.run(sys.executable, *options, script, "-I")
        assert (status, out) == (0, "['-I']\n")
        assert "leaves Penstock out" not in err
    assert "leaves Penstock out" not in shell.run(sys.executable, "-c", "print(1)", "-S")[2]


@pytest.mark.parametrize("words", [["--limit"], ["--limit", "--fast"], ["--limit=observe"]])
def test_our_option_behind_the_program_is_given_to_it_and_said_so(shell, words):
    script = shell.script("import sys; print(sys.argv[1:])")
    status, out, err = shell.run(sys.executable, script, *words)
    assert (status, out) == (0, f"{words}\n")
    assert "--limit after the program is the program's own; ours stands before it" in err


@pytest.mark.parametrize("words", [["--limit", "10"], ["--limit=10"], ["--limits"]])
def test_a_limit_of_the_programs_own_is_no_news(shell, words):
    status, _, err = shell.run(sys.executable, shell.script("pass"), *words)
    assert status == 0
    assert "--limit" not in err


def test_disabled_is_off(shell):
    shell.env["PENSTOCK_DISABLE"] = "1"
    status, out, err = shell.run(
        "--limit", sys.executable, "-c", "import sys; print('penstock' in sys.modules)"
    )
    assert (status, out, err) == (0, "False\n", "")


def test_metrics_are_served_while_the_program_runs(shell):
    code = """
import openai, os, time
client = openai.OpenAI(base_url=os.environ["SIM"] + "/v1", api_key="sk-t")
client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}])
import penstock
print(penstock.runtime().metrics_url, flush=True)
input()
"""
    process = shell.start("--metrics-port", 0, "--limit", sys.executable, shell.script(code), stdin=-1)
    url = process.stdout.readline().strip()
    with urllib.request.urlopen(url, timeout=10) as answer:
        text = answer.read().decode()
    process.communicate("\n", timeout=30)
    assert (
        'penstock_attempts_total{class="ok",model="gpt-5",pool="openai:gpt-5",provider="openai"} 1.0' in text
    )
    assert 'penstock_attempts_total{class="rate_limit"' in text
    assert 'penstock_limiter_cap_calls{pool="openai:gpt-5"}' in text
    assert process.returncode == 0


def test_otlp_variables_turn_the_file_off(shell):
    shell.env["OTEL_TRACES_EXPORTER"] = "none"
    status, _, err = shell.run(sys.executable, shell.script(OPENAI))
    assert (status, err) == (0, "")
    assert list(shell.folder.glob("*.jsonl")) == []


def complain(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["penstock", "run", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("penstock: ")
    assert printed.err.count("\n") == 1
    assert end.value.code == 2
    return printed.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope.py"], "script 'nope.py' does not exist"),
        (["python", "nope.py"], "script 'nope.py' does not exist"),
        (["python", "-u", "-X", "dev", "nope.py"], "script 'nope.py' does not exist"),
        (["no-such-program"], "program 'no-such-program' does not exist"),
        (["-m", "no_such_module"], "module 'no_such_module' does not exist"),
        ([], "nothing to run"),
        (["--limit=maybe", "python"], "limit must be one of off, observe, enforce, not 'maybe'"),
        (["--limit", "observe", "python"], "say --limit=observe"),
        (["--metrics-port", "x", "python"], "metrics_port must be a port"),
        (["--span", "x", "python"], "unknown option '--span'"),
        (["--spans", "no/such/folder/s.jsonl", "python"], "does not exist; mkdir -p"),
        (["--spans", "/", "python"], "is a folder"),
        (["--spans", "/tmp/" + 300 * "x", "python"], "cannot be written: File name too long"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(monkeypatch, capsys, tmp_path, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert said in complain(monkeypatch, capsys, *arguments)


def test_a_script_that_says_not_who_runs_it_is_told_how(monkeypatch, capsys, tmp_path):
    script = tmp_path / "app.py"
    script.write_text("print('hi')\n")
    script.chmod(0o755)
    assert f"say: penstock run python {script}" in complain(monkeypatch, capsys, script)


def test_a_folder_that_cannot_be_written_to_is_one_line_that_says_what_else_to_do(
    monkeypatch, capsys, tmp_path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # root may write everywhere
    line = complain(monkeypatch, capsys, sys.executable, "-c", "pass")
    path = tmp_path / "penstock-spans.jsonl"
    assert f"spans cannot be written to {path}; name another file by --spans, or say off" in line


def test_a_working_folder_that_is_gone_is_one_line(monkeypatch, capsys, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert "the working folder is gone" in complain(monkeypatch, capsys, "python", "-c", "pass")
    monkeypatch.chdir(tmp_path)


def test_a_program_whose_working_folder_is_gone_runs_and_hears_why_it_is_not_seen(shell, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    run = f"import os, subprocess, sys; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r});"
    run += "del os.environ['PENSTOCK_SPANS'];"
    run += "print(subprocess.run([sys.executable, '-c', 'print(7)'], text=True, stdout=-1, stderr=-1))"
    _, out, _ = shell.run(sys.executable, "-c", run)
    assert "stdout='7\\n'" in out
    assert "penstock: the working folder is gone" in out
    assert "Traceback" not in out


def test_a_busy_metrics_port_is_one_line(monkeypatch, capsys, simulator):
    port = simulator.url.rpartition(":")[2]
    line = complain(monkeypatch, capsys, "--metrics-port", port, "python", "-c", "pass")
    assert f"metrics port {port} on 127.0.0.1 is in use" in line


def test_an_unknown_pool_option_is_one_line(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "penstock.toml").write_text('[pools."openai:gpt-5"]\nrequest_per_minute = 3\n')
    line = complain(monkeypatch, capsys, "python", "-c", "pass")
    assert "unknown option 'request_per_minute' of pool 'openai:gpt-5'" in line


@pytest.mark.parametrize("receipt", ["pipx_metadata.json", "uv-receipt.toml", None])
def test_a_python_that_lacks_us_is_swapped_unless_we_are_a_tool_of_our_own(receipt, tmp_path, monkeypatch):
    other = tmp_path / "bin" / "python"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    tool = tmp_path / "tool"
    tool.mkdir()
    app = tmp_path / "app.py"
    app.write_text("")
    monkeypatch.setenv("PATH", str(other.parent))
    monkeypatch.setattr(sys, "prefix", str(tool))
    if receipt is None:
        prepared = prepare(["python", str(app)])
        assert prepared.command == [sys.executable, str(app)]
        assert f"{other} has no penstock; running {sys.executable} instead" in prepared.notices[0]
    else:
        (tool / receipt).write_text("")
        with pytest.raises(UsageError, match=f"{other} -m pip install penstock"):
            prepare(["python", str(app)])


def test_one_span_is_one_span(shell):
    app = shell.script("import penstock\nwith penstock.task('one'):\n    pass\n")
    assert shell.run(sys.executable, app)[2] == "penstock: 1 span in penstock-spans.jsonl\n"
