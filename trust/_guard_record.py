"""What is said of one piece of guarded work: a span of its own, and a count."""

import time
from typing import Self

from penstock.telemetry import semconv as names
from penstock.telemetry.desk import WorkSpan
from penstock.trust import _lineage, _settings
from penstock.trust._levels import Trust
from penstock.trust._policy import Outcome, Policy


class GuardRecord:
    """The guard's span, and the outcome that it and the metric are told. Nothing on it is the app's text."""

    def __init__(self, policy: Policy, key: str | None) -> None:
        self.facts: dict[str, str] = {}
        head = {
            names.SPAN_KIND: names.KIND_GUARD,
            names.GUARD_ACTION: policy.action,
            names.GUARD_REQUIRES: str(policy.requires),
        }
        if key is not None:
            head[names.GUARD_KEY] = _settings.fingerprint(key)
        # Judged by where the work was called: inside our own span the context could look like another.
        self.cell = _lineage.scoped_cell()
        self._span = WorkSpan(f"irreversible {policy.action}", time.time_ns(), head)

    def __enter__(self) -> Self:
        self._span.attach()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._span.detach()
        self._span.end(time.time_ns(), None, None, self.facts)

    def saw(self, trust: Trust) -> None:
        """Note the trust that was found."""
        self.facts[names.TRUST] = trust.level
        if trust.weakest is not None and trust.weakest.pool:
            self.facts[names.GUARD_ANSWERED_BY] = trust.weakest.pool

    def report(self, outcome: Outcome) -> None:
        """Note how it ended."""
        self.facts[names.GUARD_OUTCOME] = outcome
        _settings.current().on_outcome(outcome)
