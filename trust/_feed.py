"""Feed the lineage from finished attempts, and count answers by where they came from."""

from collections.abc import Callable

from penstock.telemetry.records import Attempt
from penstock.trust._levels import Level, Origin
from penstock.trust._lineage import Cell, cell


class AnswerFeed:
    """An `AttemptSink`: what came back whole and without a verdict is an answer; nothing else is.

    It notes the primary's answers, also where nothing but telemetry runs. Answers of fallbacks and
    caches are noted earlier, at their head, by the `Lineage` interceptor. `on_answer` is told pool and
    trust of each.
    """

    def __init__(self, on_answer: Callable[[str, str], None] = lambda pool, trust: None) -> None:
        self._on_answer = on_answer
        self._cells: dict[int, Cell] = {}

    def attempt_started(self, attempt: Attempt) -> None:
        """Remember whose attempt it is: its end may come in another context."""
        self._cells[id(attempt)] = cell()

    def attempt_ended(self, attempt: Attempt) -> None:
        """Note an answer."""
        owner = self._cells.pop(id(attempt), None)
        if attempt.verdict is not None or attempt.status is None or attempt.status >= 400:
            return
        level = Level.of(attempt.trust)
        self._on_answer(attempt.pool, level)
        if owner is not None and level is Level.PRIMARY:
            owner.add(Origin(level=level, pool=attempt.pool, model=attempt.model))
