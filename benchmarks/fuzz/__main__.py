"""Look for input that breaks a parser: every target in turn, time-boxed (needs atheris)."""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.fuzz.targets import SEEDS, TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of: {', '.join(TARGETS)} (default: all)"
    )
    parser.add_argument("--seconds", type=int, default=600, help="for all together (default: 600)")
    parser.add_argument(
        "--findings", type=Path, default=Path("fuzz-findings"), help="where inputs go that break"
    )
    args = parser.parse_args()
    if unknown := set(args.targets) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are: {', '.join(TARGETS)}")
    chosen = args.targets or list(TARGETS)
    print(f"{'target':14} {'runs':>10} {'coverage':>8}  finding", flush=True)
    broken = [name for name in chosen if not _fuzz(name, max(1, args.seconds // len(chosen)), args.findings)]
    return 1 if broken else 0


def _fuzz(name: str, seconds: int, findings: Path) -> bool:
    """Fuzz one target in a process of its own, print its row, and say whether it stood."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        for number, seed in enumerate(SEEDS[name]):
            Path(folder, f"seed-{number}").write_bytes(seed)
        findings.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "benchmarks.fuzz.one", name, folder]
        command += [f"-max_total_time={seconds}", "-max_len=4096", f"-artifact_prefix={findings}/{name}-"]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    runs, coverage = (
        re.findall(r"^#(\d+)\s", done.stderr, re.MULTILINE),
        re.findall(r"cov: (\d+)", done.stderr),
    )
    finding = "none" if done.returncode == 0 else _finding(done)
    print(
        f"{name:14} {runs[-1] if runs else '0':>10} {coverage[-1] if coverage else '':>8}  {finding}",
        flush=True,
    )
    return done.returncode == 0


def _finding(done: subprocess.CompletedProcess[str]) -> str:
    written = re.findall(r"Test unit written to (\S+)", done.stderr)
    said = re.findall(
        r"^(?:\w+\.)*\w*(?:Error|Exception)\b.*|^.*ERROR: .*", done.stderr + done.stdout, re.MULTILINE
    )
    return f"{said[0] if said else f'exit {done.returncode}'} ({', '.join(written) or 'no input kept'})"


if __name__ == "__main__":
    sys.exit(main())
