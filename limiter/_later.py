"""Work that is left under the limiter's lock and taken up outside of it, by whichever thread comes first."""

from collections import deque
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")


def take(left: deque[T]) -> Iterator[T]:
    """Take what was left, in order; what is left meanwhile too. Where its taker raises, the rest stays."""
    while left:
        try:
            one = left.popleft()
        except IndexError:  # another thread took it
            return
        yield one
