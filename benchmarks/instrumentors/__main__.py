"""Several instrumentors at once: does each call have one owner, all its attempts, and its tokens once?

    python -m benchmarks.instrumentors [--app NAME] [--quick] [--json FILE]

Every pair and triple of Penstock and the others, in every order; `--quick` leaves the triples out. The exit
code is 1 if a cell has a problem. Apps whose SDK needs another environment run in .venv-openai2.
"""

import argparse
import itertools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from benchmarks.instrumentors.cells import Cell, Finding, read_finding
from benchmarks.instrumentors.others import PENSTOCK
from penstock.simulator import Config, Distribution, profile, serve

ROOT: Final = Path(__file__).parents[2]
OPENAI_2: Final = ROOT / ".venv-openai2" / "bin" / "python"
_OPENAI: Final = ("genai/openai", "openinference/openai", "openllmetry/openai")
OTHERS_OF: Final[dict[str, tuple[str, ...]]] = {
    "openai": (*_OPENAI, "httpx2"),
    "anthropic": ("genai/anthropic", "openinference/anthropic", "openllmetry/anthropic", "httpx2"),
    "langchain": ("openinference/langchain", "openllmetry/langchain", *_OPENAI),
    "pydantic-ai": ("pydantic-ai", *_OPENAI),
    "openai-agents": ("openai-agents", *_OPENAI),
    "litellm": ("litellm", "openllmetry/openai"),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instrumentors")
    parser.add_argument("--app", action="append", choices=OTHERS_OF, help="only this one; may be repeated")
    parser.add_argument("--quick", action="store_true", help="no triples")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings there too")
    options = parser.parse_args()
    quick = Distribution("constant", 0.001)
    pools = [replace(profile(name, rpm=60_000), latency_seconds=quick) for name in ("openai", "anthropic")]
    findings: list[Finding] = []
    with serve(Config(pools=tuple(pools), tool_call_share=0.0)) as simulator:
        for app in options.app or OTHERS_OF:
            _print_head(app)
            for finding in findings_of(list(_cells(app, 1 if options.quick else 2)), simulator.url):
                findings.append(finding)
                _print_row(finding)
    wrong = sum(bool(finding.problems) for finding in findings)
    seen, served = sum(f.attempts for f in findings), sum(f.served for f in findings)
    print(f"\n{len(findings)} cells, {wrong} with a problem; {seen} attempts seen of {served} served")
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(finding) for finding in findings], indent=2))
    return 1 if wrong else 0


def findings_of(cells: Sequence[Cell], url: str) -> Iterator[Finding]:
    """Run the cells of one app, one after another, in a process of the environment that the app needs."""
    python = str(OPENAI_2) if cells[0].app == "litellm" else sys.executable
    given = "\n".join(json.dumps(asdict(cell)) for cell in cells)
    command = [python, "-m", "benchmarks.instrumentors.cells", url]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(given)
        process.stdin.close()
        yield from map(read_finding, process.stdout)


def _cells(app: str, others: int) -> Iterator[Cell]:
    for number in range(others + 1):
        for chosen in itertools.combinations(OTHERS_OF[app], number):
            for order in itertools.permutations((PENSTOCK, *chosen)):
                yield Cell(app, order)


def _print_head(app: str) -> None:
    print(
        f"\n{app}\n  {'order':<72}{'calls':>6}{'spans':>6}{'adopted':>8}{'attempts':>9}{'tokens':>8}  roles"
    )


def _print_row(finding: Finding) -> None:
    order = " + ".join(finding.cell.order)
    attempts = f"{finding.attempts}/{finding.served}"
    tokens = f"{finding.tokens_claimed}/{finding.tokens_served}"
    print(
        f"  {order:<72}{finding.calls:>6}{finding.llm_spans:>6}{finding.adopted:>8}{attempts:>9}{tokens:>8}"
        f"  {_roles(Counter(finding.roles).items())}  {'; '.join(finding.problems)}",
        flush=True,
    )


def _roles(counted: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{count} {role}" for role, count in sorted(counted))


if __name__ == "__main__":
    sys.exit(main())
