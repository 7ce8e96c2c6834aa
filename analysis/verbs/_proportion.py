"""Whether a share lies so far above the usual one that chance does not explain it."""

import math
from typing import Final

FEWEST_CALLS: Final = 8
Z: Final = 3.0
"""A share stands out when it lies this many standard errors above the usual one: the one-sided one-sample
proportion test, NIST/SEMATECH e-Handbook of Statistical Methods, 7.2.4."""


def stands_out(found: int, calls: int, usual: float) -> bool:
    """Tell whether `found` of `calls` is more than `usual` (0 to 1); of few calls nothing is told."""
    if calls < FEWEST_CALLS:
        return False
    share = min(max(usual, 0.5 / calls), 1 - 0.5 / calls)  # a share of 0 has no spread to test against
    return (found / calls - share) / math.sqrt(share * (1 - share) / calls) > Z
