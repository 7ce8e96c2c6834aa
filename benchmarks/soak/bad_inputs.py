"""Bad files, made of good ones: each must end in an answer or in a clear error, never in a traceback."""

import gzip
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

Mutation = Callable[[bytes, random.Random], bytes]

LINES = 200  # of a real span file are enough to break


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _flip(data: bytes, rng: random.Random) -> bytes:
    broken = bytearray(data)
    for _ in range(1 + len(broken) // 500):
        if broken:
            broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
    return bytes(broken)


def _splice(data: bytes, rng: random.Random) -> bytes:
    junk = rng.choice(
        [b"\x00" * 300, b"\xff\xfe\xfa", b'{"spans": [', b"[" * 2000, b'"' * 99, b"1e999,", b"\r\r\n"]
    )
    at = rng.randrange(len(data) + 1)
    return data[:at] + junk + data[at:]


def _shuffle(data: bytes, rng: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    rng.shuffle(lines)
    return b"".join(lines + lines[: len(lines) // 3])


def _halve_gzip(data: bytes, rng: random.Random) -> bytes:
    packed = gzip.compress(data)
    return packed[: len(packed) // 2]


MUTATIONS: dict[str, Mutation] = {
    "cut": _cut,
    "bits flipped": _flip,
    "junk spliced in": _splice,
    "out of order, twice": _shuffle,
    "half a gzip": _halve_gzip,
    "noise": lambda _, rng: rng.randbytes(3000),
    "nothing": lambda *_: b"",
}

COMMANDS: dict[str, list[str]] = {  # {} is the bad file, which is stdin too
    "traces summary": ["traces", "summary", "{}"],
    "traces errors": ["traces", "errors", "--format", "json", "{}"],
    "traces quality of stdin": ["traces", "quality", "--format", "csv", "-"],
    "classify": ["classify"],
    "run with this configuration": ["run", sys.executable, "-c", "pass"],
}


class BadInputs:
    """Keeps count of what was tried, and of what went wrong."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng = folder, rng
        self.tried = 0
        self.failures: list[str] = []

    def try_some(self, count: int = 2) -> None:
        """Give mutated span files to commands."""
        for _ in range(count):
            source = self.rng.choice(sorted(self.folder.glob("spans-*.jsonl")) or [Path(__file__)])
            mutation, command = self.rng.choice(sorted(MUTATIONS)), self.rng.choice(sorted(COMMANDS))
            good = b"".join(source.read_bytes().splitlines(keepends=True)[-LINES:])
            self._try(command, mutation, MUTATIONS[mutation](good, self.rng))

    def _try(self, command: str, mutation: str, data: bytes) -> None:
        self.tried += 1
        bad = self.folder / f"bad-{self.tried}.jsonl"
        bad.write_bytes(data)
        words = [sys.executable, "-m", "penstock", *(word.format(bad) for word in COMMANDS[command])]
        env = {**os.environ, "PENSTOCK_CONFIG": str(bad)} if words[3] == "run" else os.environ
        done = subprocess.run(words, capture_output=True, timeout=60, cwd=self.folder, env=env, input=data)
        clear = done.returncode in (0, 2) and b"Traceback" not in done.stderr
        if clear and (done.returncode == 0 or done.stderr.strip()):
            bad.unlink()
        else:
            self.failures.append(f"{command} of {mutation} ({bad.name}): exit {done.returncode}")
