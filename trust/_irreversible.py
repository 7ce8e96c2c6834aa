"""`@irreversible` and `guard()`: the two forms in which an app marks work that cannot be undone."""

import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any, ParamSpec, TypeVar, cast

from penstock.errors import UsageError
from penstock.trust import _settings
from penstock.trust._course import Course, run, run_async
from penstock.trust._ledger import Codec, Ledger
from penstock.trust._levels import Level, Trust
from penstock.trust._lineage import trust
from penstock.trust._perform import Work, admit, perform
from penstock.trust._policy import Key, Outcome, Policy, Question, bind

P = ParamSpec("P")
R = TypeVar("R")
Check = Callable[..., object]
Ask = Callable[[Question], object]


class _Irreversible:
    """What `irreversible(...)` returns: wraps a function and keeps its signature and kind."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        action = self._policy.action or getattr(function, "__name__", type(function).__name__)
        return guarded(replace(self._policy, action=action), function)


def irreversible(
    *,
    requires: str = Level.PRIMARY,
    recheck: Check | None = None,
    ask: Ask | None = None,
    key: Key | None = None,
    ledger: Ledger | None = None,
    not_done: tuple[type[BaseException], ...] = (),
    action: str = "",
    codec: Codec | None = None,
) -> _Irreversible:
    """Guard a function that cannot be undone: it runs only on answers that can be trusted, once per key.

    When an answer that went into the task is weaker than `requires`, `recheck` (called with the
    function's arguments, on the primary alone, queueing for it) must return True; failing that, `ask`
    (called with a `Question`) must; failing that the function does not run. With a `key` (a function
    of the arguments, or a template such as "{invoice_id}") it runs at most once per key and repetitions
    return the recorded result, over the restarts that `ledger` survives. `not_done` are exceptions that
    prove that nothing happened. `action` names it, by default after the function.

    Works on sync and async functions. The function's own exceptions pass untouched.

    Raises:
        UsageError: `requires` is no trust level, or a generator is decorated.
        TrustTooLow: (when called) inputs are weaker than required, and nobody vouched for them.
        OutcomeUnknown: (when called) it was begun before under this key and never reported.
        TrustError: (when called) the ledger could not be asked.
    """
    policy = Policy(
        action=action,
        requires=Level.demanded(requires),
        recheck=recheck,
        ask=ask,
        key=key,
        ledger=ledger,
        not_done=not_done,
        codec=codec or Codec(),
    )
    return _Irreversible(policy)


def guarded(policy: Policy, function: Callable[P, R]) -> Callable[P, R]:
    """Wrap `function` by a policy."""
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise UsageError(f"{policy.action} is a generator; guard the function that takes effect instead")
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):

        @functools.wraps(function)
        async def guarded_async(*args: P.args, **kwargs: P.kwargs) -> Any:
            return await run_async(perform(policy, _work(function, args, kwargs)))

        return cast("Callable[P, R]", guarded_async)

    @functools.wraps(function)
    def guarded_sync(*args: P.args, **kwargs: P.kwargs) -> R:
        return cast("R", run(perform(policy, _work(function, args, kwargs))))

    return guarded_sync


def guard_tool(name: str, function: Callable[P, R]) -> Callable[P, R]:
    """Wrap a tool by the rule that the settings hold for its name; without one, return it as it is.

    Tool hooks call this, so that a framework's tools are guarded without code change.
    """
    policy = tool_rule(name)
    return function if policy is None else guarded(policy, function)


def tool_rule(name: str) -> Policy | None:
    """Find the rule that the settings hold for a tool."""
    return _settings.current().tools.get(name)


def run_tool(policy: Policy, call: Callable[[], Any], arguments: Mapping[str, Any]) -> Any:
    """Run a tool that a framework calls with `arguments` by name."""
    return run(perform(policy, Work(call=call, kwargs=arguments, arguments=arguments)))


async def run_tool_async(policy: Policy, call: Callable[[], Any], arguments: Mapping[str, Any]) -> Any:
    """Run a tool that a framework awaits."""
    return await run_async(perform(policy, Work(call=call, kwargs=arguments, arguments=arguments)))


def _work(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Work:
    return Work(
        call=lambda: function(*args, **kwargs),
        args=args,
        kwargs=kwargs,
        arguments=bind(function, args, kwargs),
    )


class guard:  # noqa: N801 - used as a context manager, like contextlib's
    """Guard a block: `with guard("send_money", key=invoice.id) as once: receipt = once(pay, invoice)`.

    Entering judges the inputs as `irreversible` does; `recheck` takes no arguments here. A block cannot
    be skipped, so what must happen at most once per key is called through the object that `as` gives:
    work on record is replayed, and then entering does not judge. Works with `async with` too; there,
    `await once(pay, invoice)` takes sync and async functions.

    Raises:
        UsageError: `requires` is no trust level.
        TrustTooLow: (on entering) inputs are weaker than required, and nobody vouched for them.
        OutcomeUnknown: (from `once`) it was begun before under this key and never reported.
    """

    def __init__(
        self,
        action: str,
        *,
        requires: str = Level.PRIMARY,
        recheck: Check | None = None,
        ask: Ask | None = None,
        key: str | None = None,
        ledger: Ledger | None = None,
        not_done: tuple[type[BaseException], ...] = (),
        codec: Codec | None = None,
    ) -> None:
        self._policy = Policy(
            action=action,
            requires=Level.demanded(requires),
            recheck=None if recheck is None else lambda *args, **kwargs: recheck(),
            ask=ask,
            key=None if key is None else lambda *args, **kwargs: key,
            ledger=ledger,
            not_done=not_done,
            codec=codec or Codec(),
        )
        self._judged: Outcome | None = None
        self._seen: Trust | None = None

    def __enter__(self) -> Callable[..., Any]:
        self._seen = trust()
        self._judged = run(admit(self._policy, Work(call=_nothing)))
        return self._once

    def __exit__(self, *exc_info: object) -> None:
        return None

    async def __aenter__(self) -> Callable[..., Coroutine[Any, Any, Any]]:
        self._seen = trust()
        self._judged = await run_async(admit(self._policy, Work(call=_nothing)))
        return self._once_async

    async def __aexit__(self, *exc_info: object) -> None:
        return None

    def _once(self, function: Callable[..., R], *args: Any, **kwargs: Any) -> R:
        return cast("R", run(self._course(function, args, kwargs)))

    async def _once_async(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await run_async(self._course(function, args, kwargs))

    def _course(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Course:
        # What the block itself learnt since it was entered may have lowered the trust.
        judged = self._judged if trust() == self._seen else None
        return perform(self._policy, _work(function, args, kwargs), judged=judged)


def _nothing() -> None:
    """Stand for the block, which has no function."""
