"""Everything that senses, put together: hooks, tasks, spans, metrics, the endpoint."""

import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final

from penstock.telemetry import adoption, collecting, guard
from penstock.telemetry import metrics as m
from penstock.telemetry.burst_watch import BurstWatch
from penstock.telemetry.desk import Desk, close_desk, open_desk
from penstock.telemetry.exits import on_exit
from penstock.telemetry.export import SpanFile, standard_processors
from penstock.telemetry.exposition import Crew, OtelMetrics
from penstock.telemetry.hooks import Engine, install, uninstall
from penstock.telemetry.interceptor import Interceptor
from penstock.telemetry.metered import Metered
from penstock.telemetry.metering import Metering
from penstock.telemetry.pools import PoolNamer
from penstock.telemetry.records import AttemptSink
from penstock.telemetry.registry import Registry
from penstock.telemetry.roots import TraceRoots
from penstock.telemetry.tasks import current_task
from penstock.telemetry.tracing import Tracing

_PATIENCE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryOptions:
    """Where spans and metrics go. None is nowhere."""

    spans: Path | None = None
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"
    names: Mapping[str, str] = field(default_factory=dict)


class Telemetry:
    """Sense every attempt of this process until `shutdown`.

    `interceptor` decides about calls; None only senses. `finished` is called once with the span file
    when the process ends or telemetry is shut down.

    Raises:
        UsageError: the metrics port cannot be served. Nothing is hooked then.
    """

    def __init__(
        self,
        options: TelemetryOptions,
        *,
        interceptor: Interceptor | None = None,
        sinks: Sequence[AttemptSink] = (),
        finished: Callable[[SpanFile], None] = lambda file: None,
    ) -> None:
        self.registry = Registry()
        self.metering = Metering(self.registry, version=version("penstock"))
        self.crew = self._serve(options)
        self.bursts = BurstWatch(self.registry, self.metering)
        self.otel = OtelMetrics(self.registry, version("penstock"))
        self.spans = SpanFile(options.spans, on_drop=self._dropped) if options.spans else None
        self.roots = TraceRoots(self.metering.task_ended)
        keepers = [self.spans] if self.spans is not None else []
        self.tracing = Tracing(keepers, standard_processors, watchers=[self.roots])
        self._metered = Metered(interceptor, self.registry) if interceptor is not None else None
        work_sinks = (self.metering, self.roots)
        self.engine = Engine(
            interceptor=self._metered,
            attempt_sinks=(self.metering, *sinks),
            work_sinks=work_sinks,
            tracer_source=self.tracing.tracer,
            task_source=current_task,
            burst_source=self.bursts.burst,
            pools=PoolNamer(options.names),
        )
        self._desk = Desk(self.tracing.tracer, work_sinks, self.roots.task)
        self._finished = finished
        self._over = False
        self._undo = self._start()

    @property
    def metrics_url(self) -> str | None:
        """Where to scrape, if anywhere."""
        return self.crew.url if self.crew is not None else None

    def flush(self) -> None:
        """Hand over the spans that have ended, to the file and the exporters. Blocks while it does."""
        if not self._over:
            self.tracing.force_flush()

    def shutdown(self) -> None:
        """Take the hooks out, write what is left, free the port. Idempotent."""
        if self._over:
            return
        self._over = True
        for undo in reversed(self._undo):
            undo()
        self._flush()
        if self.crew is not None:
            self.crew.close()

    def finish(self) -> None:
        """Write what is left, at the end of the process. Hooks stay: other exit handlers may still call."""
        if not self._over:
            self._over = True
            self._flush()
            if self.crew is not None:
                self.crew.leave()

    def after_fork(self) -> None:
        """Begin anew in a child: the parent's calls, spans, counts and socket are not ours."""
        self.registry.clear()
        self.metering.after_fork()
        self.bursts.after_fork()
        self.otel.after_fork()
        self.roots.after_fork()
        if self._metered is not None:
            self._metered.after_fork()
        if self.spans is not None:
            self.spans.after_fork()
        self.tracing.after_fork()
        if self.crew is not None:
            self.crew.after_fork()

    def _start(self) -> list[Callable[[], None]]:
        undo = [
            guard.listen(lambda place: self.registry.inc(m.HOOK_ERRORS, (place,))),
            adoption.listen(lambda role: self.registry.inc(m.SPANS_DEDUPED, (role,))),
        ]
        self.registry.create(m.SPANS_DROPPED, ("file",))
        self.registry.create(m.HOOK_ERRORS, ("httpx.launch",), ("httpx.answered",))
        self.registry.create(m.SPANS_DEDUPED, ("inner",), ("outer",))
        open_desk(self._desk)
        undo.append(lambda: close_desk(self._desk))
        install(self.engine)
        undo.append(uninstall)
        undo.append(on_exit(self.finish))
        _running.add(self)
        undo.append(lambda: _running.discard(self))
        return undo

    def _serve(self, options: TelemetryOptions) -> Crew | None:
        if options.metrics_port is None:
            return None
        return Crew(self.registry, self.metering, options.metrics_port, options.metrics_host)

    def _flush(self) -> None:
        collecting.wait(_PATIENCE_SECONDS)
        self.bursts.close()
        self.otel.close()
        self.tracing.shutdown()
        if self.spans is not None:
            self._finished(self.spans)

    def _dropped(self, n: int) -> None:
        self.registry.inc(m.SPANS_DROPPED, ("file",), n)


_running: Final["weakref.WeakSet[Telemetry]"] = weakref.WeakSet()


def _in_child() -> None:
    for telemetry in tuple(_running):
        try:
            telemetry.after_fork()
        except guard.OURS as error:
            guard.failed("runtime.after_fork", error)


os.register_at_fork(after_in_child=_in_child)
