"""How much longer calls wait than the queue before them says, because older tasks overtake them."""

from typing import Final

_PLACES: Final = 4
_MEMORY: Final = 0.7
_LEAST_SECONDS: Final = 1.0


class Overtaking:
    """A factor on a first-come estimate, learnt from what such estimates turned into.

    Kept per quarter of the queue: a call at its head is overtaken by nobody, one of the youngest task by
    everyone who comes while it waits.
    """

    __slots__ = ("_factors",)

    def __init__(self) -> None:
        self._factors = [1.0] * _PLACES

    def factor(self, ahead: int, queued: int) -> float:
        """Give the factor for a call with `ahead` of `queued` calls before it."""
        return self._factors[_place(ahead, queued)]

    def learn(self, ahead: int, queued: int, told: float, waited: float) -> None:
        """Compare a first-come estimate with what came of it."""
        if told >= _LEAST_SECONDS:
            place = _place(ahead, queued)
            self._factors[place] += (1 - _MEMORY) * (waited / told - self._factors[place])


def _place(ahead: int, queued: int) -> int:
    return min(_PLACES - 1, _PLACES * ahead // max(1, queued))
