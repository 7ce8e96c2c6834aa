"""The SDK matrix: every SDK, sync and async, plain and streamed, over every way a call can go.

    python -m benchmarks.sdk_matrix [--sdk openai] [--json] [--no-other]

In each cell: the attempts seen are the attempts that the server served, each with the right class, numbered
within its operation, and nothing stays in flight. SDKs that need openai 2 run in .venv-openai2 (`--no-other`
leaves them out). Exit 1 if a cell fails.
"""

import argparse
import json
import os
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any, Final

from benchmarks.sdk_matrix.cells import SERVED, matrix
from benchmarks.sdk_matrix.drivers import installed
from penstock.simulator import serve
from penstock.telemetry import guard

ROOT: Final = Path(__file__).parents[2]
OTHER: Final = ROOT / ".venv-openai2" / "bin" / "python"


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sdk_matrix")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sdk", action="append", help="only this one; may be repeated")
    parser.add_argument("--no-other", action="store_true", help="only what this environment has")
    options = parser.parse_args()
    result = _here(options.sdk)
    if not options.no_other and OTHER.exists() and Path(sys.executable) != OTHER:
        other = _there(options.sdk)
        result["cells"] += other["cells"]
        result["hook_errors"] |= other["hook_errors"]
    failed = [row for row in result["cells"] if row["wrong"]]
    if options.json:
        print(json.dumps(result))
    else:
        _print(result["cells"], result["hook_errors"])
    return 1 if failed or result["hook_errors"] or not result["cells"] else 0


def _here(only: list[str] | None) -> dict[str, Any]:
    warnings.simplefilter("ignore")
    drivers = [driver for driver in installed() if not only or driver.name in only]
    with serve(SERVED) as sim:
        cells = [row for driver in drivers for row in matrix(sim, driver)]
    return {"cells": cells, "hook_errors": dict(guard.errors)}


def _there(only: list[str] | None) -> dict[str, Any]:
    command = [str(OTHER), "-m", "benchmarks.sdk_matrix", "--json", "--no-other"]
    for name in only or ():
        command += ["--sdk", name]
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _print(rows: list[dict[str, Any]], hook_errors: dict[str, int]) -> None:
    for row in rows:
        mark = "ok  " if not row["wrong"] else "FAIL"
        classes = ", ".join(f"{count} {name}" for name, count in Counter(row["classes"]).items())
        print(
            f"{mark} {row['sdk']:<16} {row['version']:<8} {row['mode']:<13} {row['outcome']:<20}"
            f" served {row['served']} seen {row['seen']} in flight {row['in_flight']}"
            f"  {classes:<22} {row['raised'] or '-':<22} {'; '.join(row['wrong'])}"
        )
    for sdk in dict.fromkeys((row["sdk"], row["version"]) for row in rows):
        own = [row for row in rows if (row["sdk"], row["version"]) == sdk]
        right, served = sum(not row["wrong"] for row in own), sum(row["served"] for row in own)
        print(f"{sdk[0]:<16} {sdk[1]:<8} {right} of {len(own)} cells right, {served} attempts served")
    right = sum(not row["wrong"] for row in rows)
    print(f"{right} of {len(rows)} cells right; hook errors {sum(hook_errors.values())}")


if __name__ == "__main__":
    sys.exit(main())
