"""The limiter's one short lock, which knows whether it is this thread that holds it."""

from _thread import RLock


class Lock(RLock):  # type: ignore[misc]  # final in typeshed, and not in CPython
    """A mutex for code that may be interrupted inside of it by code that wants it.

    The garbage collector runs wherever memory is asked for, and there it may find a response that was
    dropped unread, whose finalizer ends a call; and a signal stops a thread anywhere. Both ask first whether
    it is `mine`: to wait then would be for ever, and to go on would tear the work that is under way.
    """

    @property
    def mine(self) -> bool:
        """Whether this thread holds it."""
        held: bool = self._is_owned()  # type: ignore[attr-defined]
        return held

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it, unless this very thread holds it."""
        return not self.mine and super().acquire(blocking, timeout)
