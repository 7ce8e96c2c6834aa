"""The façade's one object: what `instrument()` starts and `shutdown()` ends."""

import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from penstock import _closing as closing
from penstock._config import Settings, load
from penstock._memory import write
from penstock.errors import PenstockError, UsageError
from penstock.telemetry import Telemetry
from penstock.telemetry.exits import on_exit
from penstock.telemetry.launcher import LAUNCHED

if TYPE_CHECKING:
    from penstock.limiter import Limiter
    from penstock.limiter._permit import PoolHandle
    from penstock.trust import TrustRoom

_lock = threading.RLock()
_current: "Runtime | None" = None
_LOCK_SECONDS: Final = 1.0


class Runtime:
    """A running Penstock. Also a context manager, which shuts it down.

    Raises:
        UsageError: the metrics port cannot be served, or an option of a pool or of `[trust]` is wrong.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.limiter: Limiter | None = None
        self.trust: TrustRoom | None = None
        self.telemetry: Telemetry | None = None
        self._forget_exits: list[Callable[[], None]] = []
        self.would: Counter[str] = Counter()
        if settings.disabled:
            return
        from penstock._wiring import start

        finished = closing.note if os.environ.get(LAUNCHED) else None
        self.limiter, self.trust, self.telemetry = start(settings, finished, self.would)
        if settings.state is not None and settings.limit == "enforce":
            self._forget_exits.append(on_exit(self._remember))
        if self.limiter is not None and self.limiter.fleet is not None:
            self._forget_exits.append(on_exit(self.limiter.fleet.close))

    @property
    def spans(self) -> Path | None:
        """The span file of this process, if one is written."""
        file = self.telemetry.spans if self.telemetry is not None else None
        return file.path if file is not None else None

    @property
    def metrics_url(self) -> str | None:
        """Where to scrape, if anywhere."""
        return self.telemetry.metrics_url if self.telemetry is not None else None

    def headroom(self, pool: str) -> int | None:
        """Say how many more calls could start now in `pool`; None while nothing is limited."""
        return self.limiter.headroom(pool) if self.limiter is not None else None

    def flush(self) -> None:
        """Hand over the spans that have ended: before a serverless platform freezes the process, say."""
        if self.telemetry is not None:
            self.telemetry.flush()

    def _remember(self) -> None:
        """Keep what was learnt. A signal may have stopped this very thread while it held the lock."""
        if self.limiter is None or self.settings.state is None or self.settings.limit != "enforce":
            return
        if self.limiter.lock.acquire(timeout=_LOCK_SECONDS):
            self.limiter.lock.release()
            write(self.settings.state, self.limiter.remember())

    def shutdown(self) -> None:
        """Take every hook out and write what is left. Idempotent."""
        global _current
        with _lock:
            if _current is self:
                _current = None
        for forget in self._forget_exits:
            forget()
        self._forget_exits.clear()
        self._remember()
        if self.limiter is not None:
            self.limiter.close()
        if self.trust is not None:
            self.trust.close()
        if self.telemetry is not None:
            self.telemetry.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()


def instrument(
    *,
    limit: str | None = None,
    spans: str | os.PathLike[str] | None = None,
    metrics_port: int | None = None,
    metrics_host: str | None = None,
    names: Mapping[str, str] | None = None,
    pools: Mapping[str, object] | None = None,
    store: str | None = None,
    **knobs: object,
) -> Runtime:
    """See every LLM attempt of this process; with `limit`, queue and retry them.

    What is None comes from the environment, then from `penstock.toml` (docs/configuration.md). `limit`
    is off, observe or enforce; `spans` a file or "off"; `metrics_port` 0 picks a free port; `names` maps
    patterns of `provider:model` to pool names; `pools` holds each pool's options; `knobs` are the
    options of all other pools; `store` is the URL of the Redis through which a fleet shares its quota.
    Called again, it replaces the running Runtime, unless nothing changed.

    Raises:
        UsageError: an unknown option, a bad value, or a metrics port that cannot be served.
    """
    global _current
    given: dict[str, object] = {
        "limit": limit, "spans": spans, "metrics_port": metrics_port, "metrics_host": metrics_host,
        "names": names, "pools": pools, "store": store, **knobs,
    }  # fmt: skip
    settings = load(given)
    with _lock:
        if _current is not None:
            if _current.settings == settings:
                return _current
            _current.shutdown()
        _current = Runtime(settings)
        return _current


def runtime() -> Runtime | None:
    """Find what is running."""
    return _current


def pool(name: str, **knobs: object) -> "PoolHandle":
    """Give a pool to code, for calls that no hook sees: `async with penstock.pool("tool:search").permit(): …`.

    `knobs` are options of the pool (docs/configuration.md), such as `wait_up_to_seconds=2`.

    Raises:
        UsageError: nothing is limited, or a knob is unknown.
    """
    running = _current
    if running is None or running.limiter is None:
        raise UsageError(
            f"pool {name!r}: nothing is limited; call penstock.instrument(limit='enforce') first"
        )
    return running.limiter.pool(name, **knobs)


def awake() -> None:
    """Instrument a process that `penstock run` started. A bad setting is one line, and the program runs."""
    global _current
    try:
        with _lock:
            _current = Runtime(load())
        on_exit(_end_run)
    except PenstockError as error:
        _say(str(error))


class Instrumentor:
    """What `opentelemetry-instrument` loads by entry point: the environment says what to do."""

    def instrument(self, **_: object) -> None:
        """Start, unless `penstock run` or the app has."""
        if _current is None:
            awake()

    def uninstrument(self, **_: object) -> None:
        """Stop."""
        if _current is not None:
            _current.shutdown()


def _end_run() -> None:
    """Say where the spans are."""
    if _current is not None and _current.telemetry is not None:
        _current.telemetry.finish()
    observed = _current is not None and _current.settings.limit == "observe"
    for line in closing.lines(_current.would if observed and _current is not None else None):
        _say(line)


def _say(text: str) -> None:
    try:
        print(f"penstock: {text}", file=sys.stderr, flush=True)  # noqa: T201
    except (OSError, ValueError, AttributeError):
        pass  # stderr may be closed or gone at the end of a process


def _in_child() -> None:
    """Start and stop in a forked child also where another thread of its parent was about to."""
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_in_child)
