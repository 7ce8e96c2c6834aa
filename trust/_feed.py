"""Feed the lineage from finished attempts."""

from functools import lru_cache

from penstock.telemetry.records import Attempt
from penstock.trust._levels import Level, Origin
from penstock.trust._lineage import Cell, cell_of


class AnswerFeed:
    """An `AttemptSink`: what came back whole and without a verdict is an answer; nothing else is.

    It notes the primary's answers, also where nothing but telemetry runs. Answers of fallbacks and
    caches are noted earlier, at their head, by the `Lineage` interceptor.
    """

    def __init__(self) -> None:
        self._cells: dict[int, Cell] = {}

    def attempt_started(self, attempt: Attempt) -> None:
        """Remember whose attempt it is: its end may come in another context."""
        self._cells[id(attempt)] = cell_of(attempt.operation.task)

    def attempt_ended(self, attempt: Attempt) -> None:
        """Note an answer."""
        owner = self._cells.pop(id(attempt), None)
        if attempt.verdict is not None or attempt.status is None or attempt.status >= 400:
            return
        if owner is not None and (attempt.trust is None or Level.of(attempt.trust) is Level.PRIMARY):
            owner.add(_primary(attempt.pool, attempt.model))


@lru_cache(maxsize=256)
def _primary(pool: str, model: str) -> Origin:
    """Make an origin once for all answers of a pool and model: nearly all are alike."""
    return Origin(level=Level.PRIMARY, pool=pool, model=model)
