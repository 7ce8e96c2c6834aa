"""Kept answers, sealed into a store and taken out again."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from penstock.telemetry import guard
from penstock.trust._answers import CachedAnswer, seal, unseal
from penstock.trust._stores import AnswerStore

MAX_PENDING: Final = 256


class Shelf:
    """Puts answers into a store and finds them. What does not open under our seal is dropped."""

    def __init__(self, secret: bytes, store: AnswerStore) -> None:
        self._secret = secret
        self._store = store
        self._writer: ThreadPoolExecutor | None = None
        self._pid = os.getpid()
        self._pending = 0

    @property
    def remote(self) -> bool:
        """Whether finding waits for a network."""
        return self._store.remote

    def find(self, key: str) -> CachedAnswer | None:
        """Take an answer out, however old."""
        raw = self._store.get(key)
        if raw is None:
            return None
        answer = unseal(self._secret, key, raw)
        if answer is None:
            self._store.drop(key)
        return answer

    def keep(self, key: str, answer: CachedAnswer, keep_seconds: float, then: Callable[[], None]) -> None:
        """Put an answer in without blocking, then call `then`: whoever looks after that finds it."""
        if not self._store.remote or self._pending >= MAX_PENDING:
            self._keep(key, answer, keep_seconds, then)
            return
        if self._writer is None or self._pid != os.getpid():  # a fork has no threads of its parent's
            self._writer = ThreadPoolExecutor(1, thread_name_prefix="penstock-cache")
            self._pid, self._pending = os.getpid(), 0
        self._pending += 1
        self._writer.submit(self._keep_later, key, answer, keep_seconds, then)

    def close(self) -> None:
        """Finish what is being written."""
        if self._writer is not None and self._pid == os.getpid():
            self._writer.shutdown()
        self._writer = None

    def _keep_later(
        self, key: str, answer: CachedAnswer, keep_seconds: float, then: Callable[[], None]
    ) -> None:
        try:
            self._keep(key, answer, keep_seconds, then)
        finally:
            self._pending -= 1

    def _keep(self, key: str, answer: CachedAnswer, keep_seconds: float, then: Callable[[], None]) -> None:
        try:
            self._store.put(key, seal(self._secret, key, answer), keep_seconds)
        except Exception as error:  # noqa: BLE001 - ours; followers must be answered whatever happens here
            guard.failed("trust.cache.keep", error)
        finally:
            then()
