"""A span processor that writes a local file from a thread of its own."""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from penstock.telemetry.export._otlp_json import encode
from penstock.telemetry.export._spool import MAX_BYTES, Spool

logger: Final = logging.getLogger("penstock")

QUEUE_LIMIT: Final = 8192
BATCH: Final = 512
INTERVAL_SECONDS: Final = 0.5


class SpanFile(SpanProcessor):
    """Append ended, sampled spans to `path` as OTLP/JSON, one a line.

    The app's thread only puts a span into a bounded queue; encoding and writing happen behind it.
    What cannot be kept is counted: `dropped` tells how many, and `on_drop` is told of each lot.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_bytes: int = MAX_BYTES,
        queue_limit: int = QUEUE_LIMIT,
        on_drop: Callable[[int], None] = lambda n: None,
    ) -> None:
        self._spool = Spool(Path(path).absolute(), max_bytes=max_bytes)
        self._queue_limit = queue_limit
        self._on_drop = on_drop
        self.written = 0
        self.dropped = 0
        self.failure: str | None = None
        """Why the file cannot be written, once it could not."""
        self._closed = False
        self.since = time.time()
        """When this process began to write, as Unix time."""
        self._revive()
        self._attempt(self._spool.open)

    @property
    def path(self) -> Path:
        """The file of this process."""
        return self._spool.path

    @property
    def owns_main(self) -> bool:
        """True when this process writes the very file that was asked for."""
        return self._spool.owns_main

    @property
    def appended(self) -> bool:
        """True when an earlier run's spans stand in front of ours."""
        return bool(self._spool.found)

    def written_beside(self) -> int:
        """Count the files that other processes wrote beside this one meanwhile."""
        try:
            return self._spool.written_beside(self.since)
        except OSError:
            return 0

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing: only ended spans are written."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a span; never blocks."""
        context = span.context
        if context is None or not context.trace_flags.sampled:
            return
        if self._closed or len(self._queue) >= self._queue_limit:
            self._drop(1)
            return
        self._queue.append(span)
        if self._thread is None:
            self._start()
        elif len(self._queue) >= BATCH:
            self._wake.set()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Write what is queued, in the caller's thread."""
        if not self._writing.acquire(timeout=timeout_millis / 1000):
            return False
        try:
            while self._queue:
                self._write_batch()
        finally:
            self._writing.release()
        return True

    def shutdown(self) -> None:
        """Write what is queued and let go of the file. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._wake.set()
        if self.force_flush(5_000):
            with self._writing:
                self._attempt(self._spool.close)

    def after_fork(self) -> None:
        """Begin anew in a child: the parent writes its own spans, and its locks are not ours."""
        self.written = self.dropped = 0
        self.since = time.time()
        self._spool.after_fork()
        self._revive()

    def _revive(self) -> None:
        self._queue: deque[ReadableSpan] = deque()
        self._writing = threading.Lock()
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._run, name="penstock-spans", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self.force_flush()  # the interpreter is going down and starts no more threads

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait(INTERVAL_SECONDS)
            self._wake.clear()
            self.force_flush()

    def _write_batch(self) -> None:
        spans = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
        lines = [line for line in map(self._encode, spans) if line]
        if self._attempt(lambda: self._spool.append(b"".join(lines))):
            self.written += len(lines)
        else:
            self._drop(len(lines))

    def _encode(self, span: ReadableSpan) -> bytes:
        try:
            return encode(span)
        except Exception:  # attributes are the app's objects: anything may happen
            self._drop(1)
            logger.debug("a span could not be encoded", exc_info=True)
            return b""

    def _attempt(self, action: Callable[[], None]) -> bool:
        try:
            action()
        except OSError as error:
            if self.failure is None:
                self.failure = f"spans cannot be written to {self._spool.path}: {error.strerror or error}"
                logger.warning("%s (said once; dropped spans are counted)", self.failure)
            return False
        return True

    def _drop(self, n: int) -> None:
        self.dropped += n
        self._on_drop(n)
