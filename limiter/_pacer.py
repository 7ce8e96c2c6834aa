"""The send rate, learnt from deliveries: for pools whose quota no header tells.

Between two refusals that found the same bucket empty, what was delivered is exactly what it refilled:
delivered / elapsed is the quota's rate, free of the bucket's depth (the idea of BBR's delivery rate,
taken between two empties instead of over a fixed window). The curve between them is CUBIC's
(RFC 9438), scale-free in K so that it is as calm at 1 call a second as at 100.
"""

from math import inf
from typing import Final

from penstock.limiter._bucket import Bucket

_START: Final = 10.0
_DOUBLING_SECONDS: Final = 0.5
_K_SECONDS: Final = 10.0
_K_CALLS: Final = 40.0
"""A refusal each so many calls, or each 2 K seconds, whichever is rarer."""
_LONGEST_K_SECONDS: Final = 90.0
_DIP: Final = 0.1
_SWING: Final = 1.2
_HURRY: Final = 3.0
_OVERDUE: Final = 2.5
"""So many K without a refusal: a steady quota refuses near 2 K."""
_BASELINE_SECONDS: Final = 2.0
_HASTE: Final = 0.7
_CARE: Final = 0.8
"""One cut is no deeper than this once a rate was measured: windows end, and others take what is left."""
_MEMORY_SECONDS: Final = 60.0
_LEAST_SHARE: Final = 0.5
"""No cut goes below so much of what a minute delivered: an empty window is no lower rate."""
_BURST_SECONDS: Final = 0.25
_MOST: Final = 10_000.0
_LEAST: Final = 0.02


class Pacer:
    """How many sends a second, now.

    Slow start doubles every half second while calls wait: a refusal comes back within one round trip,
    so that silence is already an answer. Growth stops while nobody waits.
    """

    __slots__ = (
        "_anchor",
        "_before",
        "_bucket",
        "_counted_from",
        "_cut_at",
        "_delivered",
        "_grown",
        "_measured",
        "_pressed_at",
        "_refused",
        "_sent",
        "_silent_from",
        "_w",
        "lifted",
        "rate",
    )  # fmt: skip

    def __init__(self, now: float) -> None:
        self.rate = _START
        self._bucket = Bucket(self.rate, self._depth(), now)
        self._w: float | None = None
        self._grown = 0.0
        self._cut_at = -inf
        self._anchor: tuple[float, int] | None = None
        self._measured = False
        self._refused = 0
        self._sent = 0
        self._silent_from: tuple[float, int] | None = None
        self._delivered = 0
        self._counted_from = now
        self._before = 0.0
        self.lifted = False
        self._pressed_at = inf

    @property
    def learned(self) -> float | None:
        """The quota's rate as deliveries told it, if they did."""
        return self._w

    @property
    def mean(self) -> float:
        """The rate over one swing of the curve: what was learnt, unless it grew beyond that."""
        return self.rate if self._w is None or self.rate > _SWING * self._w else self._w

    def when(self, now: float) -> float:
        """Say when the next send may go."""
        at = self._bucket.when(1.0, now)
        if at > now and self._pressed_at == inf:
            self._pressed_at = now
        return at

    def spare(self, at: float, now: float) -> None:
        """Let the next send go now as if it had waited until `at`: it is only watched, and owes nothing."""
        self._pressed_at = now - (at - now)
        self._bucket.give(self.rate * (at - now))

    def sent(self, now: float) -> None:
        """Count a send, and grow over the time in which a call waited for this pacer and nothing else."""
        if self._pressed_at < inf:
            seconds, self._pressed_at = now - self._pressed_at, inf
            if not self.lifted and seconds > 0:
                self._grow(min(seconds, 1 / self.rate), now)
        bucket = self._bucket
        if now > bucket.at:
            bucket.refill(now)
        bucket.level -= 1.0
        self._sent += 1

    def acknowledged(self) -> None:
        """Let the next call follow an admitted one: slow start spaces only what is sent on trust."""
        self._delivered += 1
        if self._w is None and not self.lifted:
            self._bucket.give(1.0)

    def refused(self, sent_at: float, order: int, now: float) -> bool:
        """Learn of a refusal for rate. True when it opened a new epoch and moved the rate.

        `order`: the refused call was the so-maniest that was sent.
        """
        self._refused += 1
        if sent_at <= self._cut_at:
            return False
        # Calls sent since then may yet be refused: only those before are known to be delivered.
        delivered = order - self._refused
        if self._anchor is None:
            self._anchor = (sent_at, delivered)
            self._w = self.rate / 2 if self._w is None else max(_LEAST, _HASTE * self._w)
        else:
            seconds = sent_at - self._anchor[0]
            least = (_CARE if self._measured else _HASTE) * (self._w or self.rate)
            if seconds >= _BASELINE_SECONDS:
                refilled = max((delivered - self._anchor[1]) / seconds, self._grew_to(sent_at, delivered))
                # Others may have taken what we left, or a window may have ended: no collapse then.
                floor = least if self._measured else _LEAST_SHARE * self._recently(now)
                self._w = max(_LEAST, floor, refilled)
                self._anchor = (sent_at, delivered)
                self._measured = True
            else:
                self._w = max(_LEAST, least, _LEAST_SHARE * self._recently(now))
        self._cut_at = now
        self._grown = 0.0
        self._silent_from = None
        self._set(self._curve(self._w), now)
        self._bucket.level = min(self._bucket.level, 0.0)
        return True

    def _grew_to(self, sent_at: float, delivered: int) -> float:
        """Tell what was delivered a second since refusals failed to come: the quota grew in between."""
        if self._silent_from is None or sent_at - self._silent_from[0] < _BASELINE_SECONDS:
            return 0.0
        return min(self.rate, (delivered - self._silent_from[1]) / (sent_at - self._silent_from[0]))

    def lift(self, rate: float, now: float) -> None:
        """Take a rate that something better than deliveries told."""
        self.lifted = True
        self._anchor = None
        self._set(rate, now)

    def drop(self, rate: float, now: float) -> None:
        """Learn from refusals again, from the rate that they told last, or else from this one."""
        self.lifted = False
        self._grown = 0.0
        self._w = self._w if self._measured and self._w is not None else rate
        self._set(self._w, now)

    def start(self, rate: float, now: float) -> None:
        """Begin at a remembered rate instead of slow start's."""
        self._set(max(rate, _START), now)

    def _recently(self, now: float) -> float:
        """Tell what was delivered a second: over the last whole minute, or so far in this one if more."""
        seconds = now - self._counted_from
        if seconds >= _MEMORY_SECONDS:
            self._before = self._delivered / seconds
            self._delivered, self._counted_from = 0, now
        return max(self._before, self._delivered / _MEMORY_SECONDS)

    def _grow(self, seconds: float, now: float) -> None:
        if self._w is None:
            self._set(min(_MOST, self.rate * 2 ** (seconds / _DOUBLING_SECONDS)), now)
            return
        self._grown += seconds
        if self._silent_from is None and self._grown > _OVERDUE * self._k(self._w):
            self._silent_from = (now, self._sent - self._refused)
        self._set(min(_MOST, self._curve(self._w)), now)

    def _curve(self, w: float) -> float:
        x = self._grown / self._k(w)
        # A steady quota refuses again near 2 K. Silence after that means that it grew: hurry.
        hurry = 1 + _HURRY * max(0.0, x - 2)
        return w * (1 + _DIP * hurry * (x - 1) ** 3)

    @staticmethod
    def _k(w: float) -> float:
        return max(_K_SECONDS, min(_LONGEST_K_SECONDS, _K_CALLS / w))

    def _set(self, rate: float, now: float) -> None:
        self._bucket.refill(now)
        self.rate = self._bucket.rate = max(_LEAST, rate)
        self._bucket.depth = self._depth()

    def _depth(self) -> float:
        return max(1.0, _BURST_SECONDS * self.rate)
