"""Read one file by several ways, each in a process of its own, and time questions on the result.

    python -m benchmarks.ingest --spans 200000 1000000 --repeat 2
    python -m benchmarks.ingest --spans 1000000 5000000 --ways penstock --no-questions   # is memory flat?

Every way must find the same number of spans and the same sum of input tokens. Rates move with the
machine's load: compare within one run. `peak MB` is the largest process of a way.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.ingest import usage
from benchmarks.ingest.generate import write
from benchmarks.ingest.ways import WAYS

VERBS: Final = (
    "summary", "errors", "concurrency", "storms", "fanout", "bursts", "quota", "trust", "quality",
)  # fmt: skip


def one(way: str, path: Path) -> None:
    """Run one way in this process and print what it cost."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        target = WAYS[way](path, Path(folder))
        seconds = time.perf_counter() - began
        files = sorted(target.glob("*.parquet")) if target.is_dir() else [target]
        import duckdb

        found = duckdb.execute(
            "SELECT count(*), sum(input_tokens::BIGINT)::BIGINT FROM read_parquet(?)",
            [[str(file) for file in files if not file.name.startswith("found-")]],
        ).fetchone()
        assert found is not None
        print(json.dumps({
            "way": way, "spans": found[0], "tokens": found[1], "seconds": round(seconds, 2),
            "spans/s": round(found[0] / seconds),
            "of the JSON": f"{sum(file.stat().st_size for file in files) / path.stat().st_size:.1%}",
        }))  # fmt: skip


def compare(path: Path, ways: list[str], repeat: int, limit_seconds: float) -> list[dict[str, Any]]:
    """Run the ways in turn, several times; the quickest run of each counts."""
    found: dict[str, dict[str, Any]] = {}
    for _ in range(repeat):
        for way in ways:
            told = _run(way, path, limit_seconds)
            if way not in found or told.get("seconds", 0) < found[way].get("seconds", 0):
                found[way] = told
    whole = {(told["spans"], told["tokens"]) for told in found.values() if "error" not in told}
    assert len(whole) <= 1, f"the ways disagree: {whole}"
    return list(found.values())


def _run(way: str, path: Path, limit_seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.ingest", "--way", way, "--file", str(path)]
    code, out, err, used = usage.run(command, limit_seconds)
    cost = {"cpu s": round(used.cpu_seconds, 1), "peak MB": round(used.peak_mb)}
    if code is None:
        return {"way": way, **cost, "error": f"not done in {limit_seconds:g} s"}
    if code:
        return {"way": way, **cost, "error": (err.strip().splitlines() or ["killed"])[-1][:80]}
    told: dict[str, Any] = json.loads(out)
    return {**told, **cost}


def questions(path: Path, store: str) -> list[dict[str, Any]]:
    """Time a first command from cold, then each verb, in new processes; and the exact levels alone.

    A verb is asked for the first time with answers that the summary left, then again, three times.
    """
    env = {"XDG_CACHE_HOME": store}
    penstock = [sys.executable, "-m", "penstock", "traces"]
    rows = [{"what": "first summary, cold", "first": _timed([*penstock, "summary", str(path)], env)}]
    imports = _middle([sys.executable, "-c", "import typer, rich, duckdb"], {})
    rows.append({"what": "import typer, rich, duckdb", "again": imports})
    for verb in VERBS:
        command = [*penstock, verb, str(path)]
        first, again = _timed(command, env), _middle(command, env)
        rows.append({
            "what": verb, "first": first, "over imports": round(first - imports, 3),
            "again": again, "again over imports": round(again - imports, 3),
        })  # fmt: skip
    rows.append({"what": "exact levels of all attempts, in process", "again": _levels(path, store)})
    return rows


def _levels(path: Path, store: str) -> float:
    """Ask for something that no kept answer has: `where` is always asked anew."""
    from penstock.analysis import Selection, concurrency, open_spans

    everything = Selection(where="true")
    with open_spans([str(path)], store=Path(store) / "penstock", selection=everything) as spans:
        return sorted(_clocked(lambda: concurrency(spans, ())) for _ in range(5))[2]


def _middle(command: list[str], env: dict[str, str]) -> float:
    return sorted(_timed(command, env) for _ in range(3))[1]


def _timed(command: list[str], env: dict[str, str]) -> float:
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "env": {**os.environ, **env}}
    return _clocked(lambda: subprocess.run(command, check=True, **quiet))


def _clocked(act: Any) -> float:
    began = time.perf_counter()
    act()
    return round(time.perf_counter() - began, 3)


def table(rows: list[dict[str, Any]]) -> str:
    """Write rows as a Markdown table."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names)]
    lines += [[_cell(row.get(name, "")) for name in names] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def main() -> None:
    """Generate, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--spans", type=int, nargs="+", default=[200_000])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--limit-seconds", type=float, default=600, help="how long a way may take")
    parser.add_argument("--no-questions", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--file", type=Path, help="read this file instead of a generated one")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        one(options.way, options.file)
        return
    told = []
    for count in options.spans if not options.file else [0]:
        with tempfile.TemporaryDirectory() as folder:
            path = options.file or Path(folder) / "spans.jsonl"
            if not options.file:
                write(path, count)
            said: dict[str, Any] = {"bytes": path.stat().st_size}
            said["ingest"] = compare(path, options.ways, options.repeat, options.limit_seconds)
            said["questions"] = [] if options.no_questions else questions(path, folder)
            told.append(said)
            if not options.json:
                print(f"\n{said['bytes'] / 1e6:,.0f} MB of OTLP/JSON, {os.cpu_count()} cores\n")
                print(
                    "\n\n".join(table(said[part]) for part in ("ingest", "questions") if said[part]),
                    flush=True,
                )
    if options.json:
        print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
