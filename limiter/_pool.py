"""One pool: one quota, its controllers and its queue. Sans-IO: events and `now` in, decisions out."""

import random
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Final

from penstock.classifiers import Verdict
from penstock.limiter._cap import Cap
from penstock.limiter._changes import Change, Changes
from penstock.limiter._entry import Entry
from penstock.limiter._eta import Overtaking
from penstock.limiter._gate import Gate, GateState
from penstock.limiter._kinds import Kind, kind_of
from penstock.limiter._lift import Lift
from penstock.limiter._mirror import Mirror
from penstock.limiter._outlook import Outlook
from penstock.limiter._oversize import Oversize
from penstock.limiter._pacer import Pacer
from penstock.limiter._queue import Queue
from penstock.limiter._ramp import Ramp
from penstock.limiter._reactions import DOUBT_SECONDS, Reactions
from penstock.limiter._settings import PoolSettings
from penstock.limiter._stated import Stated, same_quota
from penstock.providers import Quota, Usage

if TYPE_CHECKING:
    from penstock.limiter.fleet import Share

_TIMED: Final = frozenset({"mirror", "pacer", "ramp", "stated"})
"""What lets a call go at a time, whoever ends before. Tokens that are given back are another matter."""
_REFUSED: Final = frozenset(
    {Kind.RATE, Kind.CONCURRENCY, Kind.SLOPE, Kind.OVERLOAD, Kind.EXHAUSTED, Kind.TOO_LARGE}
)
_OPEN, _HALF_OPEN, _CLOSED = GateState.OPEN, GateState.HALF_OPEN, GateState.CLOSED


class Pool:
    """Decides when calls of one quota may be sent, and learns from how they end."""

    def __init__(
        self,
        name: str,
        settings: PoolSettings,
        *,
        now: float,
        rng: random.Random,
        emit: Callable[[Change], None] = lambda change: None,
    ) -> None:
        self.name = name
        self.settings = settings
        self.queue = Queue()
        self.gate = Gate()
        self.cap = Cap(settings.max_concurrency)
        self.ramp = Ramp()
        self.pacer = Pacer(now)
        self.mirror = Mirror()
        self.oversize = Oversize()
        self.overtaking = Overtaking()
        self.live: dict[int, Entry] = {}
        self.share: Share | None = None
        """This process's part of the quota, where a fleet shares it."""
        self.parked_until = -inf
        self.doubt_at = inf
        """When one call is to find out whether a mirror that lets nothing go is right."""
        self.attempts = self.refusals = 0
        self._changes = Changes(name, emit)
        self._lift = Lift(self.mirror, self.pacer, self._changes)
        self._reactions = Reactions(self, self._lift, self._changes, rng)
        self._blocked = ""
        self._refusal_seconds = 0.1
        self._order = 0
        self.outlook = Outlook(self, now)
        self._state(settings, now)

    # Asking

    def when(self, entry: Entry, now: float) -> float:
        """Say when this call could be sent if it were next: `now`, later, or inf until something ends."""
        if self.parked_until > now:
            return self._stop("parked", self.parked_until)
        if self.gate.state is not _OPEN and (at := self.gate.when(now)) > now:
            return self._stop("gate", at)
        if len(self.live) >= self.cap.limit:
            return self._stop("cap", inf)
        if self.share is not None:
            at = self.share.when(now)
            if at > now:
                return self._stop("fleet", at)
            if not self.share.alone:
                self._blocked = ""
                return now
        if self.stated.known and (at := self.stated.when(entry, now)) > now:
            return self._stop("stated", at)
        if self.mirror.known and (at := self._when_told(entry, now)) > now:
            return self._stop("mirror", at)
        if self.ramp.engaged and (at := self.ramp.when(now)) > now:
            return self._stop("ramp", at)
        at = self.pacer.when(now)
        if at > now:
            return self._stop("pacer", at)
        self._blocked = ""
        return now

    def _stop(self, why: str, at: float) -> float:
        self._blocked = why
        return at

    def _when_told(self, entry: Entry, now: float) -> float:
        """Say when headers leave room; doubt them if they leave none for long, and let one call find out."""
        at = self.mirror.when(entry, now)
        if at > now and self._may_try(entry):
            at = self.mirror.when_request(now)
        return at if at < now + DOUBT_SECONDS else max(now, min(at, self.doubt_at))

    def _may_try(self, entry: Entry) -> bool:
        """Whether a call that no amount of waiting makes fit may go, so that the provider says so."""
        if entry.number < 0 or entry.attempts or not self.mirror.counts_tokens:
            return False
        size = self.mirror.windows(entry)
        return size > 1 and self.oversize.try_out(entry.number, size, self.live)

    def never_holds(self, entry: Entry, now: float) -> bool:
        """Whether no waiting makes a call fit: the user stated so, or the provider lately said so."""
        per_minute = self.settings.tokens_per_minute
        if per_minute is not None and self.mirror.cost(entry) > per_minute * (
            1 - self.settings.headroom_ratio
        ):
            return True
        return self.outgrown(entry, now)

    def outgrown(self, entry: Entry, now: float) -> bool:
        """Whether the provider has lately refused for good what was no larger than this call."""
        return self.oversize.known and self.oversize.hopeless(
            self.mirror.windows(entry), entry.declared_tokens, now
        )

    # Sending and hearing

    def send(self, entry: Entry, now: float) -> None:
        """Charge a call that goes out now."""
        self._order += 1
        entry.order = self._order
        entry.sent_at = now
        entry.live_before = len(self.live)
        if self.share is not None:
            entry.live_before = self.share.live()
            self.share.sent(entry, now)
        self.live[entry.number] = entry
        self.attempts += 1
        self.doubt_at = inf
        self.pacer.sent(now)
        self.ramp.sent(now)
        self.outlook.sent(now)
        if self.mirror.known:
            self.mirror.charge(entry, now)
        if self.stated.known:
            self.stated.take(entry)
        if self.gate.state is not _OPEN:
            self._probe(entry, now)

    def _probe(self, entry: Entry, now: float) -> None:
        if self.gate.state is _CLOSED:
            self.gate.sent(entry)
        self.gate.quiet(now + self.gate.quiet_seconds(self._refusal_seconds))

    def heard(self, entry: Entry, quota: Quota | None, verdict: Verdict | None, now: float) -> Kind | None:
        """Learn from the head of an answer, or the error instead; None is success."""
        kind = kind_of(verdict) if verdict is not None else None
        refused = kind is not None and kind in _REFUSED
        if refused:
            self._refusal_seconds += 0.2 * (min(5.0, now - entry.sent_at) - self._refusal_seconds)
            self.mirror.refused(entry)
        if self.share is not None:
            self.share.answered(entry, quota, refused=refused)
        if quota is not None:
            self.mirror.observe(entry, quota, now, refused=refused, live=self._live_after(entry))
            self._lift.follow(now)
            if self.stated.known:
                self.stated.deepen()
        if self.mirror.counts_tokens and (size := self.mirror.windows(entry)) > 1:
            lacked = (verdict.limit_dimension if verdict is not None else None) or ""
            kind = self.oversize.heard(kind, size, lacked, quota, now)
        elif kind is Kind.TOO_LARGE:
            self.oversize.told(entry.declared_tokens, now)
        if kind is None or kind is Kind.IGNORED:
            self._reactions.succeeded(entry, now)
            return kind
        assert verdict is not None
        self._reactions.failed(kind, entry, verdict, quota, now)
        if refused:
            self.live.pop(entry.number, None)
            self.mirror.unmark(entry)
        return kind

    def settle(self, entry: Entry, usage: Usage | None, now: float, *, finished: bool) -> bool:
        """End a call that was sent and not refused. False if that lets nobody go sooner."""
        if entry.number not in self.live:
            return False
        if self.share is not None:
            self.share.ended(entry, usage, now)
        del self.live[entry.number]
        if usage is not None:
            self.mirror.settle(entry, usage)
            if self.stated.counts_tokens:
                self.stated.settle(entry, usage)
        self.mirror.unmark(entry)
        if self.gate.state is _HALF_OPEN:
            self.gate.lost(entry, now)
        if finished:
            oldest = next(iter(self.live.values())).sent_at if self.live else now
            if self.cap.finished(now - entry.sent_at, now - oldest):
                self.cap.imply(self.rate(now))
        return self._blocked not in _TIMED or self.mirror.counts_tokens or self.stated.counts_tokens

    def broke(self, entry: Entry, verdict: Verdict, now: float) -> None:
        """Learn of a failure after the head, such as an overload in mid-stream."""
        kind = kind_of(verdict)
        if kind in (Kind.OVERLOAD, Kind.FAULT):
            self._reactions.failed(kind, entry, verdict, None, now)

    # Telling

    def rate(self, now: float) -> float:
        """Tell the send rate that is allowed on average, per second; inf if nothing bounds it."""
        rate = self.stated.rate
        meter = self.mirror.requests
        if meter is not None and self.pacer.lifted:
            return min(rate, meter.rate if meter.windowed else meter.net_rate)
        return rate if self.pacer.learned is None else min(rate, self.pacer.rate)

    def reason(self) -> str:
        """Name what keeps calls from being sent now."""
        return self._blocked or "wait"

    def reconfigure(self, settings: PoolSettings, now: float) -> None:
        """Take other knobs; what was learnt stays."""
        before, self.settings = self.settings, settings
        self.cap.bind(settings.max_concurrency)
        if not same_quota(before, settings):
            self._state(settings, now)

    def _state(self, settings: PoolSettings, now: float) -> None:
        """Hold to the stated quotas from the next call on; a rate that is known needs no slow start."""
        self.stated = Stated(settings, self.mirror, now)
        if settings.requests_per_minute is not None and self.pacer.learned is None:
            self.pacer.start(settings.requests_per_minute / 60, now)

    def forget_calls(self) -> None:
        """Drop every call: a forked child owns none of its parent's."""
        self.live.clear()
        self.mirror.forget_calls()
        self.queue = Queue()
        self.gate.forget()

    # The fleet

    def costs(self, entry: Entry) -> dict[str, float]:
        """Estimate what a call draws from each dimension: told by headers, and stated (`stated_…`)."""
        return {**self.mirror.costs(entry), **self.stated.costs(entry)}

    def quota_facts(self, now: float) -> dict[str, tuple[float, float, float, float, float]]:
        """Tell each dimension's rate, depth, level, window and what is left of it (0, 0: no window)."""
        facts = {
            name: (meter.rate, meter.depth, meter.level, meter.period, max(0.0, meter.reset_at - now))
            if meter.windowed and meter.reset_at < inf
            else (meter.rate, meter.depth, meter.level, 0.0, 0.0)
            for name, meter in self.mirror.meters()
        }
        return {**facts, **self.stated.facts()}

    def told_to_wait(self, seconds: float, now: float) -> None:
        """Close the gate because another process was refused."""
        self._reactions.close(seconds, "fleet", now)

    def went_alone(self, now: float) -> None:
        """Note that the store is lost."""
        self._changes.tell("mode", "down", "store_lost", 0.0, now)

    def rejoined(self, now: float) -> None:
        """Note that the store is back."""
        self._changes.tell("mode", "up", "store_back", 1.0, now)

    def _live_after(self, entry: Entry) -> list[Entry]:
        if self.mirror.requests is not None and (
            self.mirror.input is not None or not self.mirror.counts_tokens
        ):
            return []
        return [other for other in self.live.values() if other.order > entry.order]
