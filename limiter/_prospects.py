"""What waiting would bring a call: when it would go, and whether it is in vain."""

from math import inf
from typing import Final

from penstock.limiter._ticket import Ticket

_HOPELESS: Final = 1.25
"""An estimate must exceed what a call may wait by so much to refuse it at once."""


def eta(ticket: Ticket, now: float) -> float:
    """Estimate when a call would go, in seconds, with those who would overtake it."""
    home = ticket.home
    ahead = home.queue.ahead_of(ticket)
    return home.outlook.expected_wait(ticket, ahead, now) * home.overtaking.factor(ahead, len(home.queue))


def hopeless(ticket: Ticket, now: float) -> bool:
    """Whether waiting is certain to be in vain. What overtakes only adds to this estimate."""
    home = ticket.home
    if ticket.give_up_at == inf or home.settings.fallback:
        return False
    if max(home.parked_until, home.gate.until) > ticket.give_up_at:
        return True
    if home.rate(now) == inf:
        return False  # nothing is known of the quota yet: the first answers will tell
    allowed = _HOPELESS * (ticket.give_up_at - now)
    if home.outlook.expected_wait(ticket, home.queue.waiting, now) <= allowed:
        return False  # not even at the end of the queue, so that its place does not matter
    return home.outlook.expected_wait(ticket, home.queue.ahead_of(ticket), now) > allowed
