"""Which answers went into the work at hand.

A *cell* collects the origins of one task's answers. It is shared and mutable, so an answer that a
sub-agent, a tool or another thread received lowers the whole task, not only the context it came in.
A ContextVar leads to the cell; awaits, asyncio tasks and `asyncio.to_thread` inherit it, other threads
by `follow_threads`. Answers given outside any task go to one ambient cell of the process.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Final

from penstock.telemetry.records import Task
from penstock.trust._levels import Level, Origin, Trust

# Distinct origins are few (pools × models × levels); the bound only stops an app that invents names.
MAX_ORIGINS: Final = 64

LOST: Final = Trust(
    level=Level.UNKNOWN,
    note="unknown: no task is open in this context, though others are in this process; open "
    "penstock.task() around the work, or hand it over with penstock.carry()",
)


class Cell:
    """The origins of one task's answers. Thread-safe.

    What it learns, `outer` learns too; what `within` learns, counts here too.
    """

    __slots__ = ("_origins", "_outer", "_within")

    def __init__(self, outer: "Cell | None" = None, within: "Cell | None" = None) -> None:
        self._outer = outer
        self._within = within
        self._origins: dict[tuple[Level, int, str, str], Origin] = {}

    def add(self, origin: Origin) -> None:
        """Count an answer in. The newest reason of each distinct origin is kept."""
        key = (origin.level, origin.tier, origin.pool, origin.model)
        with _process.lock:
            self._origins[key] = origin
            if len(self._origins) > MAX_ORIGINS:
                del self._origins[min(self._origins, key=lambda kept: self._origins[kept].weakness)]
        if self._outer is not None:
            self._outer.add(origin)

    def trust(self) -> Trust:
        """Sum up what went in so far."""
        with _process.lock:
            origins = [*self._origins.values()]
        if self._within is not None:
            origins += self._within.trust().origins
        return Trust.from_origins(origins)

    @property
    def level(self) -> str:
        """The weakest input's level."""
        return self.trust().level

    def verify(self, by: str) -> None:
        """Raise every weaker input so far to `verified`; answers to come count as they are."""
        with _process.lock:
            raised = [
                origin
                if origin.level.meets(Level.VERIFIED)
                else replace(origin, level=Level.VERIFIED, verified_by=by)
                for origin in [*self._origins.values()]
            ]
            self._origins = {(o.level, o.tier, o.pool, o.model): o for o in raised}
        if self._within is not None:
            self._within.verify(by)


class _Process:
    """What is known outside any context: how to find the task, the ambient cell, whether tasks are used.

    `lock` is every cell's: it is held for a microsecond at a time. A finalizer may add an answer anywhere,
    also inside of it.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.reset()

    def after_fork(self) -> None:
        """Make the lock anew: a thread that is not here may have held it."""
        self.lock = threading.RLock()

    def reset(self) -> None:
        self.ambient = Cell()
        self.scoped = False
        self.current_task: Callable[[], Task | None] = lambda: None


_process = _Process()
os.register_at_fork(after_in_child=_process.after_fork)
_scope: ContextVar[Cell | None] = ContextVar("penstock_lineage", default=None)


def follow_tasks(current_task: Callable[[], Task | None]) -> None:
    """Give every root task of the telemetry a lineage; `current_task` finds the task of a context."""
    _process.current_task = current_task


def forget_process() -> None:
    """Start over: no task finder, an empty ambient cell. A runtime calls it when it shuts down."""
    _process.reset()


def _cell_of(task: Task) -> Cell:
    while task.parent is not None:  # a task inside a task is a sub-agent of the same user action
        task = task.parent
    if isinstance(task.lineage, Cell):
        return task.lineage
    # Without the lock, two first answers at once could each make a cell, and one would be lost.
    with _process.lock:
        if not isinstance(task.lineage, Cell):
            # Nobody said where a trace's root begins: what was answered outside any task counts too,
            # or a span around the payment alone would wash off the answers that led to it.
            task.lineage = Cell(within=_process.ambient if task.root else None)
            _process.scoped = True
        return task.lineage


def scoped_cell() -> Cell | None:
    """Find the cell that this context belongs to; None outside any task and lineage."""
    cell = _scope.get()
    if cell is not None:
        return cell
    task = _process.current_task()
    return None if task is None else _cell_of(task)


def cell() -> Cell:
    """Find the cell that an answer given now goes to."""
    return scoped_cell() or _process.ambient


def cell_of(task: Task | None) -> Cell:
    """Find the cell of this context, whose task is known already."""
    return _scope.get() or (_process.ambient if task is None else _cell_of(task))


def trust() -> Trust:
    """Tell how far the current task's inputs can be trusted: the weakest decides.

    Outside any task, all answers that this process got outside tasks count. Where tasks are in use
    but none is open here, the lineage was lost and the level is `unknown`.
    """
    return trust_in(scoped_cell())


def trust_in(found: Cell | None) -> Trust:
    """Sum up a context's cell; None is a context without one."""
    if found is not None:
        return found.trust()
    return LOST if _process.scoped else _process.ambient.trust()


def verified(by: str) -> None:
    """Declare the current task's inputs so far re-checked, say by a person: they count as `verified`."""
    cell().verify(by)


def distrust(reason: str, *, level: str = Level.UNKNOWN, source: str = "") -> None:
    """Lower the current task's trust by hand, as a tool does that returned second-hand data."""
    cell().add(Origin(level=Level.of(level), pool=source, reason=reason))


@contextmanager
def lineage() -> Iterator[Cell]:
    """Follow the answers given inside on their own, as for one item of a batch.

    Inside, `trust()` starts afresh; the enclosing task still learns of every answer. Work started
    inside, in asyncio tasks or followed threads, belongs to it.
    """
    _process.scoped = True
    with _entered(Cell(outer=scoped_cell())) as inner:
        yield inner


@contextmanager
def apart() -> Iterator[Cell]:
    """Follow the answers inside without telling the enclosing task: a re-check is no input."""
    with _entered(Cell()) as inner:
        yield inner


@contextmanager
def _entered(inner: Cell) -> Iterator[Cell]:
    token = _scope.set(inner)
    try:
        yield inner
    finally:
        _scope.reset(token)
