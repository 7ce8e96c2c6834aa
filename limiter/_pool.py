"""One pool: one quota, its controllers and its queue. Sans-IO: events and `now` in, decisions out."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Final

from penstock.classifiers import Verdict
from penstock.limiter._cap import Cap
from penstock.limiter._entry import Entry
from penstock.limiter._eta import Overtaking
from penstock.limiter._gate import Gate, GateState
from penstock.limiter._kinds import Kind, kind_of
from penstock.limiter._mirror import Mirror
from penstock.limiter._outlook import Outlook
from penstock.limiter._oversize import Oversize
from penstock.limiter._pacer import Pacer
from penstock.limiter._queue import Queue
from penstock.limiter._ramp import Ramp
from penstock.limiter._settings import PoolSettings
from penstock.limiter._stated import Stated
from penstock.providers import Quota, Usage

if TYPE_CHECKING:
    from penstock.limiter.fleet import Share

_BURST: Final = (1.02, 3.0)
_BURST_CUT: Final = 0.7
_BURST_GROWTH: Final = 1.01
_OVERLOADS_CLOSE: Final = 0.5
_IN_A_ROW: Final = 8
"""So many failures without a success between: the provider is away, and no cap would help."""
_FAULTS_SHARE: Final = 0.3
_OVERLOAD_MEMORY: Final = 0.95
_PARK_SECONDS: Final = 60.0
_DOUBT_SECONDS: Final = 10.0
_STREAK: Final = 4
"""So many sends refused in a row: the window is exhausted, and a lower rate would not help."""
_ROUNDED_SECONDS: Final = 1.0
_CLAIM: Final = 0.5
"""Where others take most of a quota: the share of it to try first."""
_LONGEST_BACKOFF: Final = 6.0
_LONGEST_RATE_BACKOFF: Final = 8.0


@dataclass(frozen=True, slots=True)
class Change:
    """One decision: what moved (cap, rate, gate, ramp, mode), up or down, why, to what, and when."""

    pool: str
    what: str
    direction: str
    reason: str
    value: float
    at: float


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
        self.attempts = 0
        self.refusals = 0
        self._rng = rng
        self._emit = emit
        self._burst = _BURST[1]
        self._lifted = 0.0
        self._blocked = ""
        self._faults = self._overloads = 0
        self._overload_share = 0.0
        self._refusal_seconds = 0.1
        self._order = 0
        self._doubt_at = inf
        self._streak = 0
        self._refused_order = -1
        self.outlook = Outlook(self, now)
        self._state(settings, now)

    # Asking

    def when(self, entry: Entry, now: float) -> float:
        """Say when this call could be sent if it were next: `now`, later, or inf until something ends."""
        if self.parked_until > now:
            return self._stop("parked", self.parked_until)
        if self.gate.state is not GateState.OPEN and (at := self.gate.when(now)) > now:
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
        if self.stated and (at := self.stated.when(entry, now)) > now:
            return self._stop("stated", at)
        at = self.mirror.when(entry, now)
        if at > now and self._may_try(entry):
            at = self.mirror.when_request(now)
        if at > now:
            return self._stop("mirror", self._believed(at, now))
        if self.ramp.engaged and (at := self.ramp.when(now)) > now:
            return self._stop("ramp", at)
        at = self.pacer.when(now)
        if at > now:
            return self._stop("pacer", at)
        self._blocked = ""
        return now

    def _believed(self, at: float, now: float) -> float:
        """Doubt a mirror that says nothing goes for long, and let one call find out."""
        return at if at < now + _DOUBT_SECONDS else max(now, min(at, self._doubt_at))

    def _stop(self, why: str, at: float) -> float:
        self._blocked = why
        return at

    @property
    def _counts_tokens(self) -> bool:
        return self.mirror.counts_tokens or self.stated.counts_tokens

    def _may_try(self, entry: Entry) -> bool:
        """Whether a call that no amount of waiting makes fit may go, so that the provider says so."""
        if entry.number < 0 or entry.attempts or not self.mirror.counts_tokens:
            return False
        size = self.mirror.windows(entry)
        return size > 1 and self.oversize.try_out(entry.number, size, self.live)

    def too_large(self, entry: Entry) -> bool:
        """Whether a call can never fit into what the user stated."""
        per_minute = self.settings.tokens_per_minute
        if per_minute is None:
            return False
        return self.mirror.cost(entry) > per_minute * (1 - self.settings.headroom_ratio)

    def outgrown(self, entry: Entry, now: float) -> bool:
        """Whether the provider has lately refused for good what was no larger than this call."""
        return self.oversize.refuses(now) and self.oversize.hopeless(
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
        if self.gate.state is GateState.CLOSED:
            self.gate.sent(entry)
        self.pacer.sent(now)
        self._doubt_at = inf
        self.mirror.charge(entry, now)
        self.ramp.sent(now)
        self.stated.take(entry)
        self.outlook.sent(now)
        if self.gate.state is GateState.HALF_OPEN:
            self.gate.quiet(now + self.gate.quiet_seconds(self._refusal_seconds))

    def heard(self, entry: Entry, quota: Quota | None, verdict: Verdict | None, now: float) -> Kind | None:
        """Learn from the head of an answer, or the error instead; None is success."""
        kind = kind_of(verdict) if verdict is not None else None
        refused = kind in _REFUSED
        if refused:
            self._refusal_seconds += 0.2 * (min(5.0, now - entry.sent_at) - self._refusal_seconds)
            self.mirror.refused(entry)
        if self.share is not None:
            self.share.answered(entry, quota, refused=refused)
        if quota is not None:
            self.mirror.observe(entry, quota, now, refused=refused, live=list(self._live_after(entry)))
            self._lift(now)
            if self.stated:
                self.stated.deepen()
        if self.mirror.counts_tokens and (size := self.mirror.windows(entry)) > 1:
            lacked = (verdict.limit_dimension if verdict is not None else None) or ""
            kind = self.oversize.heard(kind, size, lacked, quota, now)
        elif kind is Kind.TOO_LARGE:
            self.oversize.told(entry.declared_tokens, now)
        if kind is None or kind is Kind.IGNORED:
            self._succeeded(entry, now)
            return kind
        assert verdict is not None
        self._react(kind, entry, verdict, quota, now)
        if refused:
            self._gone(entry)
            entry.marks = None
        return kind

    def settle(self, entry: Entry, usage: Usage | None, now: float, *, finished: bool) -> bool:
        """End a call that was sent and not refused. False if that lets nobody go sooner."""
        if entry.number not in self.live:
            return False
        if self.share is not None:
            self.share.ended(entry, usage, now)
        del self.live[entry.number]
        self.mirror.settle(entry, usage)
        entry.marks = None
        self.stated.settle(entry, usage)
        if self.gate.state is GateState.HALF_OPEN:
            self.gate.lost(entry, now)
        if finished:
            oldest = next(iter(self.live.values())).sent_at if self.live else now
            if self.cap.finished(now - entry.sent_at, now - oldest):
                self.cap.imply(self.rate(now))
        return self._blocked not in _TIMED or self._counts_tokens

    def broke(self, entry: Entry, verdict: Verdict, now: float) -> None:
        """Learn of a failure after the head, such as an overload in mid-stream."""
        kind = kind_of(verdict)
        if kind in (Kind.OVERLOAD, Kind.FAULT):
            self._react(kind, entry, verdict, None, now)

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
        self.settings = settings
        self.cap.bind(settings.max_concurrency)
        self._state(settings, now)

    def _state(self, settings: PoolSettings, now: float) -> None:
        """Hold to the stated quotas from the next call on; a rate that is known needs no slow start."""
        self.stated = Stated(settings, self.mirror, now)
        if settings.requests_per_minute is not None and self.pacer.learned is None:
            self.pacer.start(settings.requests_per_minute / 60, now)

    def forget_calls(self) -> None:
        """Drop every call: a forked child owns none of its parent's."""
        self.live.clear()
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
        self._close(seconds, "fleet", now)

    def went_alone(self, now: float) -> None:
        """Note that the store is lost."""
        self._tell("mode", "down", "store_lost", 0.0, now)

    def rejoined(self, now: float) -> None:
        """Note that the store is back."""
        self._tell("mode", "up", "store_back", 1.0, now)

    # Reactions

    def _react(self, kind: Kind, entry: Entry, verdict: Verdict, quota: Quota | None, now: float) -> None:
        match kind:
            case Kind.RATE:
                self._rate_refused(entry, verdict, quota, now)
            case Kind.CONCURRENCY:
                self.refusals += 1
                before = self.cap.limit
                if self.cap.concurrency_refused(entry.live_before, entry.sent_at, now):
                    self._moved("cap", before, self.cap.limit, "concurrency", now)
                self._close(verdict.retry_after, "concurrency", now)
            case Kind.SLOPE:
                self.refusals += 1
                self.ramp.taken_back()
                if self.ramp.refused(entry.sent_at, now):
                    self._tell("ramp", "down", "slope", self.ramp.floor, now)
                self._close(verdict.retry_after, "slope", now)
            case Kind.OVERLOAD:
                self._overloaded(entry, verdict, now)
            case Kind.EXHAUSTED:
                self._park(verdict.retry_after, now)
            case Kind.FAULT:
                self._faulted(entry, now)
            case _:
                pass

    def _rate_refused(self, entry: Entry, verdict: Verdict, quota: Quota | None, now: float) -> None:
        self.refusals += 1
        if self.share is not None:
            self.share.rate_refused(entry)
        self._streak = self._streak + 1 if entry.order == self._refused_order + 1 else 1
        self._refused_order = entry.order
        if quota is None:
            self.mirror.exhausted(entry, verdict.limit_dimension, now)
        self._doubt_at = now + (_DOUBT_SECONDS if verdict.retry_after is None else verdict.retry_after)
        before = self.pacer.rate
        soon = verdict.retry_after is not None and verdict.retry_after <= _ROUNDED_SECONDS
        if not self.pacer.lifted:
            if (
                quota is not None
                and self.mirror.counts_tokens
                and "tokens" in (verdict.limit_dimension or "")
            ):
                self.pacer.refused(
                    -inf, entry.order, now
                )  # the mirror knows the tokens: calls a second are not the cause
            elif self._streak >= _STREAK and not soon:
                self.pacer.refused(-inf, entry.order, now)
            elif self.pacer.refused(entry.sent_at, entry.order, now):
                self._moved("rate", before, self.pacer.rate, verdict.limit_dimension or "rate", now)
        else:
            self.pacer.refused(entry.sent_at, entry.order, now)
            self._burst = max(_BURST[0], self._burst * _BURST_CUT)
            self._lift(now, force=True)
            self._moved("rate", before, self.pacer.rate, verdict.limit_dimension or "rate", now)
        if verdict.retry_after is not None:
            if not soon:
                self._close(verdict.retry_after, "retry_after", now)
        elif self._streak >= _STREAK and self.gate.back_off(
            now, entry.sent_at, self._rng.random(), longest=_LONGEST_RATE_BACKOFF
        ):
            self._tell("gate", "down", "refused_in_a_row", self.gate.until - now, now)

    def _overloaded(self, entry: Entry, verdict: Verdict, now: float) -> None:
        self._overload_share = _OVERLOAD_MEMORY * self._overload_share + 1 - _OVERLOAD_MEMORY
        self._overloads += 1
        away = self._overloads >= _IN_A_ROW or self._overload_share >= _OVERLOADS_CLOSE
        before = self.cap.limit
        if not away and self.cap.overloaded(entry.live_before + 1, self._overload_share, entry.sent_at, now):
            self._moved("cap", before, self.cap.limit, "overloaded", now)
        if verdict.retry_after is not None:
            self._close(verdict.retry_after, "overloaded", now)
        elif away and self.gate.back_off(now, entry.sent_at, self._rng.random(), longest=_LONGEST_BACKOFF):
            self._tell("gate", "down", "overloaded", self.gate.until - now, now)

    def _faulted(self, entry: Entry, now: float) -> None:
        self._faults += 1
        if self._faults < _IN_A_ROW:
            return
        before = self.cap.limit
        live = before if before < inf else entry.live_before + 1
        if self._faults == _IN_A_ROW and self.cap.overloaded(live, _FAULTS_SHARE, entry.sent_at, now):
            self._moved("cap", before, self.cap.limit, "faults", now)
        if self.gate.back_off(now, entry.sent_at, self._rng.random(), longest=_LONGEST_BACKOFF):
            self._tell("gate", "down", "faults", self.gate.until - now, now)

    def _park(self, seconds: float | None, now: float) -> None:
        self.refusals += 1
        if seconds is not None:
            self.parked_until = max(self.parked_until, now + seconds)
            self._tell("gate", "down", "exhausted", seconds, now)
        elif self.settings.fallback:
            # No reset is told: route away, look again in a minute.
            self.parked_until = now + _PARK_SECONDS
            self._tell("gate", "down", "exhausted", _PARK_SECONDS, now)

    def _succeeded(self, entry: Entry, now: float) -> None:
        self._faults = self._overloads = 0
        self.pacer.acknowledged()
        self._overload_share *= _OVERLOAD_MEMORY
        if not self.gate.calm and self.gate.succeeded(entry):
            self._tell("gate", "up", "probe", 0.0, now)
        before = self.cap.limit
        if self.cap.learned < inf and self.cap.succeeded(now, entry.live_before + 1):
            self._moved("cap", before, self.cap.limit, "growth", now)

    def _close(self, seconds: float | None, reason: str, now: float) -> None:
        if seconds is not None and seconds > 0 and self.gate.close(seconds, now):
            self._tell("gate", "down", reason, seconds, now)

    def _lift(self, now: float, *, force: bool = False) -> None:
        """Headers told the rate: pace at a multiple of it, so that a full bucket is used but not at once."""
        meter = self.mirror.requests
        if meter is None:
            return
        if meter.crowded:
            if self.pacer.lifted:
                self._lifted = 0.0
                self.pacer.drop(_CLAIM * meter.rate, now)
                self._tell("rate", "down", "crowded", self.pacer.rate, now)
            return
        self._burst = min(_BURST[1], self._burst * (1 + (_BURST_GROWTH - 1) / 8))
        rate = self._burst * (3 * meter.rate if meter.windowed else meter.net_rate)
        if force or abs(rate - self._lifted) > 0.02 * self._lifted:
            if self._lifted == 0 or abs(rate - self._lifted) > 0.25 * self._lifted:
                self._moved("rate", self._lifted, rate, "headers", now)
            self._lifted = rate
            self.pacer.lift(rate, now)

    # Small things

    def _live_after(self, entry: Entry) -> list[Entry]:
        if self.mirror.requests is not None and (
            self.mirror.input is not None or not self.mirror.counts_tokens
        ):
            return []
        return [other for other in self.live.values() if other.order > entry.order]

    def _gone(self, entry: Entry) -> None:
        self.live.pop(entry.number, None)

    def _moved(self, what: str, before: float, after: float, reason: str, now: float) -> None:
        if after != before:
            self._tell(what, "up" if after > before else "down", reason, after, now)

    def _tell(self, what: str, direction: str, reason: str, value: float, now: float) -> None:
        self._emit(Change(self.name, what, direction, reason, value, now))


_TIMED: Final = frozenset({"mirror", "pacer", "ramp", "stated"})
"""What lets a call go at a time, whoever ends before. Tokens that are given back are another matter."""
_REFUSED: Final = frozenset(
    {Kind.RATE, Kind.CONCURRENCY, Kind.SLOPE, Kind.OVERLOAD, Kind.EXHAUSTED, Kind.TOO_LARGE}
)
