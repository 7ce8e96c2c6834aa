"""What the pages show works: code runs or stands in an example that runs, files are read, commands exist."""

import ast
import asyncio
import inspect
import re
import shlex
import tomllib
from pathlib import Path
from types import SimpleNamespace

import openai
import pytest
import typer.main
import yaml

import penstock
from penstock.cli.app import build
from penstock.simulator import serve

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = "\n".join(path.read_text() for path in sorted((ROOT / "examples").rglob("*.py")))


def blocks(language):
    found = [
        pytest.param(
            block[2], id=f"{page.relative_to(ROOT)}:{page.read_text()[: block.start()].count(chr(10)) + 1}"
        )
        for page in PAGES
        for block in BLOCK.finditer(page.read_text())
        if block[1] == language
    ]
    assert found, f"no {language} on any page"
    return found


@pytest.mark.parametrize("text", blocks("toml"))
def test_a_configuration_is_accepted(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AZURE_KEY", "none")
    data = tomllib.loads(text)
    if "workload" in data or "scenario" in data:
        return
    Path("penstock.toml").write_text(text)
    with penstock.instrument(limit="enforce", spans="off"):
        pass


@pytest.mark.parametrize("text", blocks("yaml"))
def test_a_yaml_file_parses(text):
    assert yaml.safe_load(text)


def command_lines():
    return [
        pytest.param(line.removeprefix("$ "), id=line.removeprefix("$ ")[:60])
        for page in PAGES
        for block in BLOCK.finditer(page.read_text())
        if block[1] == "console"
        for line in block[2].splitlines()
        if re.match(r"\$ ([A-Z_]+=\S+ )*penstock ", line)
    ]


@pytest.mark.parametrize("line", command_lines())
def test_a_command_and_its_options_exist(line):
    words = shlex.split(line, comments=True)
    words = words[words.index("penstock") + 1 :]
    command = typer.main.get_command(build([]))
    while hasattr(command, "commands"):
        assert words[0] in command.commands, f"no command {words[0]!r}"
        command, words = command.commands[words[0]], words[1:]
    if "…" not in words:
        command.make_context(command.name, [word for word in words if word not in "|<>&"])


def surroundings():
    """Give what the pages' code takes for granted."""
    return {
        "TOOLS_VERSION": "1",
        "ask": lambda question: "yes",
        "bank": SimpleNamespace(transfer=lambda account, cents, idempotency_key=None: "receipt"),
        "check": lambda account, cents: True,
        "client": openai.OpenAI(),
        "data": {},
        "digest": "1",
        "invoice": SimpleNamespace(id="4711", text="10.00", account="DE1"),
        "cents": 1000,
        "ledger": penstock.MemoryLedger(),
        "messages": [{"role": "user", "content": "hi"}],
        "openai": openai,
        "penstock": penstock,
        "read_total": lambda invoice: 1000,
    }


def run(code):
    compiled = compile(code, "<page>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    names = surroundings()
    with names["client"]:
        waits = eval(compiled, names)
        if inspect.iscoroutine(waits):
            asyncio.run(waits)


@pytest.mark.parametrize("code", blocks("python"))
def test_code_stands_in_an_example_that_runs_or_runs_itself(code, tmp_path, monkeypatch):
    if all(part.strip("\n") in EXAMPLES for part in code.split("\n\n\n")):
        return
    monkeypatch.chdir(tmp_path)
    with serve() as simulator:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{simulator.url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        try:
            run(code)
        finally:
            if (running := penstock.runtime()) is not None:
                running.shutdown()


LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page):
    """Give the anchors of a page's headings as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "page",
    [
        *PAGES,
        *map(ROOT.joinpath, ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
        *ROOT.glob("benchmarks/**/*.md"),
    ],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text()):
        path, _, anchor = target.partition("#")
        if "://" in path:
            continue
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


def test_every_page_is_in_the_index():
    listed = {(ROOT / "docs" / target.partition("#")[0]).resolve() for target in LINK.findall(
        (ROOT / "docs/README.md").read_text()
    )}  # fmt: skip
    pages = {
        page for page in (ROOT / "docs").rglob("*.md") if page.parent.name not in ("runbooks", "benchmarks")
    }
    assert pages - listed == {ROOT / "docs/README.md"}


def test_no_code_in_a_table_has_a_bar_that_would_end_its_cell():
    rows = [line for page in PAGES for line in page.read_text().splitlines() if line.startswith("|")]
    assert [
        code for row in rows for code in re.findall(r"`[^`]*`", row) if re.search(r"(?<!\\)\|", code)
    ] == []
