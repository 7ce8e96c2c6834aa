"""One endpoint for all processes of a run, whichever of them live.

Every process writes its series into a shared folder once a second, and its transitions of live calls.
One of them, the leader, serves what they add up to; who holds the lock on `leader` is. A process is
dead when its own lock is free: the kernel frees it, however the process died. What the dead counted is
kept, their gauges and their live calls are not. When the leader dies, the next process takes the port.

Percentiles do not add up, so the leader follows the transitions of all processes in one tracker a pool.
It runs two seconds behind, by when every process has told its own.
"""

import contextlib
import fcntl
import heapq
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson

from penstock.errors import UsageError
from penstock.telemetry import guard
from penstock.telemetry import metrics as m
from penstock.telemetry.exposition import _meeting
from penstock.telemetry.exposition.merge import Snapshot, counts, dump, load, merge, snapshot
from penstock.telemetry.exposition.prometheus import Endpoint
from penstock.telemetry.levels import LevelTracker
from penstock.telemetry.metering import Metering
from penstock.telemetry.registry import Family, Registry

INTERVAL_SECONDS: Final = 1.0
LAG_NS: Final = 2_000_000_000
_TRIES: Final = 100

Transition = tuple[int, int, str]
"""When, up or down, which pool."""


class Crew:
    """The place of this process in its run: always a member, and the leader when it is its turn.

    Raises:
        UsageError: this is the run's first process and the port cannot be served.
    """

    def __init__(self, registry: Registry, metering: Metering, port: int, host: str) -> None:
        self._registry, self._metering = registry, metering
        self._port, self._host = port, host
        inherited = _meeting.inherited()
        self.folder = inherited or _meeting.found(host, port)
        first = inherited is None and not _someone(self.folder)
        self.endpoint: Endpoint | None = None
        self._leading: _Leader | None = None
        self._locks: list[int] = []
        self._join()
        try:
            self._lead(first=first)
        except UsageError:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        os.environ[_meeting.FOLDER_VARIABLE] = str(self.folder)
        self._run()

    @property
    def url(self) -> str | None:
        """Where this process serves, if it is the leader."""
        return self.endpoint.url if self.endpoint is not None else None

    def after_fork(self) -> None:
        """Join as a process of one's own; the socket and the locks are the parent's.

        The thread waits for the first call: a child that only forks again or execs needs none.
        """
        if self.endpoint is not None:
            self.endpoint.abandon()
        for fd in self._locks:
            os.close(fd)
        self.endpoint, self._leading, self._locks = None, None, []
        self._join()

    def flush(self) -> None:
        """Write what this process has counted, now."""
        with self._writing:
            if self.folder.is_dir():
                self._write()

    def leave(self) -> None:
        """Tell the last figures, at the end of the process; who is the last one takes the folder along."""
        self._over.set()
        self.flush()
        if self._leading is not None and self._leading.alone():
            shutil.rmtree(self.folder, ignore_errors=True)
            if os.environ.get(_meeting.FOLDER_VARIABLE) == str(self.folder):
                del os.environ[_meeting.FOLDER_VARIABLE]

    def close(self) -> None:
        """Leave before the process ends; frees the port."""
        if self.endpoint is not None:
            self.endpoint.close()
            self.endpoint = None
        self.leave()
        self._metering.on_transition = None
        for fd in self._locks:
            os.close(fd)
        self._locks.clear()

    def _join(self) -> None:
        self._name = str(os.getpid())
        self._sequence = 0
        self._running = False
        self._over = threading.Event()
        self._writing = threading.Lock()
        self._moved: list[Transition] = []
        self._held: Counter[str] = Counter()
        self._locks.extend(_keep(self.folder / f"{self._name}.lock"))
        self._metering.on_transition = self._note

    def _note(self, pool: str, at_ns: int, delta: int) -> None:
        """Take one transition; called while notes are written."""
        leader = self._leading
        if leader is not None:
            leader.moved((at_ns, delta, pool), self._name)
        else:
            self._moved.append((at_ns, delta, pool))
        if not self._running:
            self._run()

    def _run(self) -> None:
        self._running = True
        threading.Thread(target=self._loop, name="penstock-metrics", daemon=True).start()

    def _loop(self) -> None:
        over = self._over
        while not over.wait(INTERVAL_SECONDS):
            try:
                self._lead(first=False)
                self.flush()
                if self._leading is not None:
                    self._leading.read()
            except guard.OURS as error:
                guard.failed("crew", error)

    def _lead(self, *, first: bool) -> None:
        """Take the port if nobody has it. Who is first must; a later one tries again."""
        if self.endpoint is not None or self._over.is_set():
            return
        lock = _take(self.folder / "leader")
        if lock is None:
            return
        if first:
            self._clear()
        leader = _Leader(self.folder, self._name, self._registry)
        served = _bytes(self.folder / "port")  # a later leader serves where the first one did
        try:
            self.endpoint = Endpoint(leader.collect, int(served) if served else self._port, self._host)
        except UsageError:
            os.close(lock)
            if first:
                raise
            return
        _replace(self.folder / "port", str(self.endpoint.port).encode())
        self._leading = leader
        self._locks.append(lock)

    def _clear(self) -> None:
        """Drop what an earlier run has left here, killed before it could: its counts are not this run's."""
        for path in self.folder.iterdir():
            member = path.name.partition(".")[0]
            lock = self.folder / f"{member}.lock"
            if path.suffix != ".lock" and path.name != "leader" and not (lock.exists() and not _free(lock)):
                path.unlink(missing_ok=True)

    def _write(self) -> None:
        families = self._registry.collect()  # first: it tells the newest transitions
        with self._registry.backlog.written():
            moved, self._moved = self._moved, []
        if moved:
            self._sequence += 1
            for _, delta, pool in moved:
                self._held[pool] += delta
            _replace(self.folder / f"{self._name}.{self._sequence:09d}.levels", orjson.dumps(moved))
            _replace(self.folder / f"{self._name}.held", orjson.dumps([self._sequence, self._held]))
        _replace(self.folder / f"{self._name}.json", dump(families))


class _Leader:
    """What only the leader knows: everyone's transitions, and what the dead have left."""

    def __init__(self, folder: Path, name: str, registry: Registry) -> None:
        self._folder, self._name, self._registry = folder, name, registry
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._began_ns = time.time_ns()
        self._trackers: dict[str, LevelTracker] = {}
        self._ahead: list[Transition] = []
        self._open: dict[str, Counter[str]] = {}
        self._shared = False
        for path in folder.glob("*.held"):
            self._take_over(path)

    def moved(self, transition: Transition, member: str) -> None:
        """Take a transition of this process, or of a member."""
        _, delta, pool = transition
        with self._lock:
            self._open.setdefault(member, Counter())[pool] += delta
            heapq.heappush(self._ahead, transition)

    def collect(self) -> list[Family]:
        """Add everyone up."""
        with self._reading:  # who is buried meanwhile would be counted twice
            self._read()
            others = [load(_bytes(self._folder / f"{name}.json")) for name in self._members()]
            departed = load(_bytes(self._folder / "departed"))
        self._advance()
        own = snapshot(self._registry.collect())
        self._shared = self._shared or bool(others) or bool(departed)
        families = merge([departed, *others, own])
        return self._with_levels(families) if self._shared else families

    def alone(self) -> bool:
        """Tell whether no other process is left."""
        return not self._members()

    def read(self) -> None:
        """Take in what members wrote, and bury the dead."""
        with self._reading:
            self._read()
        self._advance()

    def _read(self) -> None:
        for path in sorted(self._folder.glob("*.levels")):
            member = path.name.partition(".")[0]
            for at_ns, delta, pool in _json(path):
                self.moved((at_ns, delta, pool), member)
            path.unlink(missing_ok=True)
        for path in self._folder.glob("*.lock"):
            if path.stem != self._name and _free(path):
                self._bury(path.stem)

    def _take_over(self, path: Path) -> None:
        """Begin where the last leader stopped: with the calls that a member holds, as it told last."""
        sequence, held = _held(path)
        for told in self._folder.glob(f"{path.stem}.*.levels"):
            if int(told.name.split(".")[1]) <= sequence:
                told.unlink(missing_ok=True)
        for pool, level in held.items():
            for _ in range(level):
                self.moved((self._began_ns, 1, pool), path.stem)

    def _members(self) -> list[str]:
        return [path.stem for path in self._folder.glob("*.lock") if path.stem != self._name]

    def _bury(self, member: str) -> None:
        """Keep what a dead member counted. Whoever is killed at it leaves no grave that is dug twice."""
        left = self._folder / f"{member}.json"
        departed = self._folder / "departed"
        of = _version(left)
        if of is not None and of != _last(departed):
            sums = merge([load(_bytes(departed)), counts(load(_bytes(left)))])
            _replace(departed, dump(sums, last=of))
        for end in ("json", "held", "lock"):
            (self._folder / f"{member}.{end}").unlink(missing_ok=True)
        now_ns = time.time_ns()
        for pool, level in self._open.pop(member, Counter()).items():
            with self._lock:
                for _ in range(level):
                    heapq.heappush(self._ahead, (now_ns, -1, pool))
        self._shared = True

    def _advance(self) -> int:
        until_ns = time.time_ns() - LAG_NS
        with self._lock:
            while self._ahead and self._ahead[0][0] <= until_ns:
                at_ns, delta, pool = heapq.heappop(self._ahead)
                tracker = self._trackers.setdefault(pool, LevelTracker(self._began_ns))
                if delta > 0:
                    tracker.start(at_ns)
                else:
                    tracker.end(at_ns)
        return until_ns

    def _with_levels(self, families: list[Family]) -> list[Family]:
        """Replace what does not add up by the figures of all processes together."""
        until_ns = self._advance()
        scratch = Registry()
        with self._lock:
            for pool, tracker in self._trackers.items():
                Metering.show(scratch, pool, tracker, until_ns)
        levels: Snapshot = snapshot(scratch.collect())
        return [
            Family(family.metric, levels.get(family.metric.name, {}))
            if family.metric in _TOGETHER
            else family
            for family in families
        ]


_TOGETHER: Final = (m.LIVE_PEAK, m.LIVE_QUANTILE, m.LIVE_SECONDS, m.LIVE_AT_ARRIVAL)


def _take(path: Path) -> int | None:
    """Lock a file for as long as this process lives; None when somebody holds it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd


def _keep(path: Path) -> Iterator[int]:
    """Lock a file that is ours to lock; who looks whether we live may have it for a moment, or bury it."""
    for _ in range(_TRIES):
        fd = _take(path)
        if fd is not None and os.fstat(fd).st_nlink:
            yield fd
            return
        if fd is not None:
            os.close(fd)
        time.sleep(0.001)


def _someone(folder: Path) -> bool:
    """Tell whether a process of the run is alive."""
    return any(not _free(path) for path in folder.glob("*.lock"))


def _free(path: Path) -> bool:
    with contextlib.suppress(OSError):
        fd = _take(path)
        if fd is not None:
            os.close(fd)
            return True
    return False


def _replace(path: Path, data: bytes) -> None:
    """Write a file that readers see whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    temporary.replace(path)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _version(path: Path) -> list[object] | None:
    """Name a file as it is now; None where there is none."""
    with contextlib.suppress(OSError):
        return [path.name, path.stat().st_mtime_ns]
    return None


def _last(departed: Path) -> object:
    """Tell whose figures were added to the others' last."""
    with contextlib.suppress(orjson.JSONDecodeError, AttributeError):
        return orjson.loads(_bytes(departed)).get("last")
    return None


def _held(path: Path) -> tuple[int, dict[str, int]]:
    """Read the calls that a member held, by pool, after its transitions up to a sequence number."""
    try:
        sequence, held = orjson.loads(_bytes(path))
        return int(sequence), {str(pool): int(level) for pool, level in held.items()}
    except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError):
        return 0, {}


def _json(path: Path) -> list[Transition]:
    try:
        return [(int(at), int(delta), str(pool)) for at, delta, pool in orjson.loads(_bytes(path))]
    except (orjson.JSONDecodeError, TypeError, ValueError):
        return []
