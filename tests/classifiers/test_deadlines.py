"""A deadline cancels the work and then says what it meant: that is a timeout, not a cancel."""

import asyncio
from collections.abc import Awaitable, Callable

import anyio
import pytest

from penstock.classifiers import SpanKind, classify, evidence_of_row, verdict_of_exception


async def _timeout_block() -> None:
    async with asyncio.timeout(0):
        await asyncio.Event().wait()


async def _wait_for() -> None:
    await asyncio.wait_for(asyncio.Event().wait(), 0.001)


async def _fail_after() -> None:
    with anyio.fail_after(0):
        await anyio.sleep_forever()


@pytest.mark.parametrize("timed", [_timeout_block, _wait_for, _fail_after])
def test_what_a_timer_cancelled_is_a_timeout(timed: Callable[[], Awaitable[None]]) -> None:
    async def wrapped() -> None:
        try:
            await timed()
        except TimeoutError as error:
            raise RuntimeError("step failed") from error

    with pytest.raises(RuntimeError) as caught:
        asyncio.run(wrapped())
    assert verdict_of_exception(caught.value, span_kind=SpanKind.LLM).error_class.value == "timeout"


def test_what_the_caller_cancelled_is_cancelled() -> None:
    async def cancelled() -> None:
        task = asyncio.ensure_future(asyncio.Event().wait())
        asyncio.get_running_loop().call_soon(task.cancel)
        await task

    with pytest.raises(asyncio.CancelledError) as caught:
        asyncio.run(cancelled())
    assert verdict_of_exception(caught.value).error_class.value == "cancelled"


def test_a_printed_traceback_of_a_timer_is_a_timeout() -> None:
    text = (
        "asyncio.exceptions.CancelledError\n\nThe above exception was the direct cause of the following "
        "exception:\n\nTraceback (most recent call last):\nTimeoutError"
    )
    assert classify(evidence_of_row({"message": text, "span_kind": "llm"})).error_class.value == "timeout"
