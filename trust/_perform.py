"""The one course of irreversible work, for sync and async alike.

The order is what makes it safe: look the key up (done work is replayed whatever today's trust), judge
the inputs, claim the key, run, record.
"""

import asyncio
import contextvars
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from penstock.errors import TrustError, TrustTooLow, UsageError
from penstock.telemetry import guard as mishaps
from penstock.trust import _lineage, _settings
from penstock.trust._carry import travels
from penstock.trust._course import Course, Step
from penstock.trust._guard_record import GuardRecord
from penstock.trust._ledger import Entry, Ledger, ended, new_claim, replay
from penstock.trust._levels import Trust
from penstock.trust._marks import primary_only
from penstock.trust._policy import Outcome, Policy, Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One call of guarded work; its arguments as given, for keys and re-checks, and by name."""

    call: Callable[[], Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, object] = field(default_factory=dict)


_key: contextvars.ContextVar[str | None] = contextvars.ContextVar("penstock_idempotency_key", default=None)
travels(_key)


def idempotency_key() -> str | None:
    """Tell the key of the irreversible work that is running here, to hand to whoever takes one.

    It is the same at every repetition of the same logical operation.
    """
    return _key.get()


def perform(policy: Policy, work: Work, *, judged: Outcome | None = None) -> Course:
    """Run the work once, if its inputs can be trusted; `judged` says that this is settled."""
    key = policy.key_of(work.arguments, work.args, work.kwargs)
    if key is not None and key == idempotency_key():
        # Guarded twice, say as a tool by its name and as a function: this is the claimed work itself.
        return (yield Step(work.call))
    with GuardRecord(policy, key) as record:
        if key is None:
            outcome = judged or (yield from _judge(policy, work, record))
            result = yield Step(work.call)
            record.report(outcome)
            return result
        ledger = policy.ledger or _settings.current().ledger
        found = yield from _asked(ledger, ledger.find, key)
        if found is not None:
            return _replayed(policy, key, found, record)
        outcome = judged or (yield from _judge(policy, work, record))
        claim = new_claim()
        found = yield from _claim(ledger, key, claim)
        if found is not None:
            return _replayed(policy, key, found, record)
        result = yield from _claimed(policy, ledger, key, claim, work, record)
        record.report(outcome)
        return result


def admit(policy: Policy, work: Work) -> Course:
    """Judge before a block of code that cannot be skipped; returns the outcome, None for work on record."""
    key = policy.key_of(work.arguments, work.args, work.kwargs)
    ledger = policy.ledger or _settings.current().ledger
    if key is not None and (yield from _asked(ledger, ledger.find, key)) is not None:
        return None
    with GuardRecord(policy, key) as record:
        outcome = yield from _judge(policy, work, record)
        if key is None:  # with a key, the work itself is reported when it runs
            record.report(outcome)
        return outcome


def _judge(policy: Policy, work: Work, record: GuardRecord) -> Generator[Step, Any, Outcome]:
    """Admit, re-check, ask or refuse."""
    trust = _lineage.trust_in(record.cell)
    record.saw(trust)
    if trust.level.meets(policy.requires):
        return Outcome.RAN
    why = ""
    if policy.recheck is not None:
        why = yield from _recheck(policy, work)
        if not why:
            return Outcome.RECHECKED
    if policy.ask is not None:
        question = Question(
            action=policy.action, trust=trust, required=policy.requires, arguments=work.arguments, why=why
        )
        if (yield Step(lambda: policy.ask(question))) is True:  # type: ignore[misc]
            return Outcome.ASKED
        why = "the one who was asked said no"
    record.report(Outcome.REFUSED)
    raise TrustTooLow(_refusal(policy, trust, why), level=trust.level, required=policy.requires)


def _recheck(policy: Policy, work: Work) -> Generator[Step, Any, str]:
    """Say why the re-check did not confirm; empty when it did.

    It runs apart from the task's lineage, on the primary alone, and its own answers must be as good as
    what is demanded: a re-check that a fallback answered confirms nothing. Only `True` confirms, since
    any text a model returns is true.
    """
    with _lineage.apart() as own, primary_only():
        try:
            confirmed = yield Step(lambda: policy.recheck(*work.args, **work.kwargs))  # type: ignore[misc]
        except UsageError:
            raise
        except Exception as error:  # noqa: BLE001 - told in the refusal, or to the one who is asked
            return f"the re-check failed with {type(error).__name__}"
    found = own.trust()
    if not found.level.meets(policy.requires):
        return f"the re-check itself was answered by {found}"
    return "" if confirmed is True else "the re-check did not confirm"


def _claim(ledger: Ledger, key: str, claim: Entry) -> Generator[Step, Any, Entry | None]:
    try:
        return (yield from _asked(ledger, ledger.begin, key, claim))
    except (Exception, asyncio.CancelledError):
        # Written or not, no work followed: a claim of ours would only look like an unknown outcome.
        yield Step(lambda: _take_back(ledger, key, claim), blocking=ledger.remote)
        raise


def _take_back(ledger: Ledger, key: str, claim: Entry) -> None:
    with suppress(Exception):
        known = ledger.find(key)
        if known is not None and known.owner == claim.owner:
            ledger.end(key, None)


def _claimed(
    policy: Policy, ledger: Ledger, key: str, claim: Entry, work: Work, record: GuardRecord
) -> Course:
    """Run claimed work and record its end. What leaves the end open is reported as unknown."""
    token = _key.set(key)
    try:
        result = yield Step(work.call)
    except policy.not_done:
        yield Step(lambda: ledger.end(key, None), blocking=ledger.remote)
        raise
    except BaseException:
        record.report(Outcome.UNKNOWN)
        raise
    finally:
        _key.reset(token)
    done = ended(claim, policy.codec.keep(result))
    try:
        yield Step(lambda: ledger.end(key, done), blocking=ledger.remote)
    except Exception as error:  # noqa: BLE001 - the work is done and the app must see its result
        mishaps.failed("trust.ledger.end", error)
    return result


def _asked(
    ledger: Ledger, method: Callable[..., Entry | None], *args: object
) -> Generator[Step, Any, Entry | None]:
    try:
        entry: Entry | None = yield Step(lambda: method(*args), blocking=ledger.remote)
    except Exception as error:
        raise TrustError(
            f"{args[0]}: the ledger failed ({type(error).__name__}: {error}), so the work was not started"
        ) from error
    return entry


def _replayed(policy: Policy, key: str, entry: Entry, record: GuardRecord) -> object:
    try:
        result = replay(key, entry, policy.codec)
    except TrustError:
        record.report(Outcome.UNKNOWN)
        raise
    record.report(Outcome.REPLAYED)
    return result


def _refusal(policy: Policy, trust: Trust, why: str) -> str:
    told = f"{policy.action} requires {policy.requires} answers, and one that went in was not: {trust}"
    if why:
        return f"{told}; {why}"
    return f"{told}; give it recheck= or ask=, or lower requires="
