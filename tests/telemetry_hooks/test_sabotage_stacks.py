"""As `test_sabotage`, for what that does not pass through: other stacks, the app's spans, tools, tasks."""

import asyncio
import json
from contextlib import suppress
from contextvars import copy_context

import aiohttp
import boto3
import pytest
import requests
from botocore.config import Config
from opentelemetry.sdk.trace import TracerProvider

import penstock
from penstock.telemetry import guard
from penstock.telemetry.desk import Desk, close_desk, open_desk
from penstock.telemetry.hooks import Engine, install, uninstall

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

KINDS = [ValueError, RuntimeError, MemoryError, RecursionError, StopIteration, asyncio.CancelledError]
_HOOKS = "penstock.telemetry.hooks"
PLACES = {
    "aiohttp": [
        f"{_HOOKS}.aiohttp_stack.describe",
        f"{_HOOKS}.aiohttp_stack._body",
        f"{_HOOKS}.aiohttp_stack._target",
        f"{_HOOKS}.aiohttp_stack._Exchange.tap",
    ],
    "requests": [
        f"{_HOOKS}.requests_stack.describe",
        f"{_HOOKS}.requests_stack._Exchange.tap",
    ],
    "botocore": [f"{_HOOKS}.botocore_stack.describe", f"{_HOOKS}.botocore_stack._Exchange.tap"],
    "work": [
        f"{_HOOKS}.otel_spans.span_started",
        f"{_HOOKS}.otel_spans.span_ending",
        "penstock.telemetry.tasks.TaskRun.resume",
        "penstock.telemetry.tasks.TaskRun.suspend",
        "penstock.telemetry.tasks.TaskRun.end",
        "penstock.telemetry.tools.ToolScope._enter",
        "penstock.telemetry.tools.ToolScope._leave",
        "penstock.telemetry.tools.ToolScope.failed",
        "penstock.telemetry.tools.current_task",
        "penstock.telemetry.tools.tool_span",
        "penstock.telemetry.desk.WorkSpan.attach",
        "penstock.telemetry.desk.WorkSpan.detach",
        "penstock.telemetry.desk.verdict_of_exception",
    ],
}
EVERYWHERE = [
    f"{_HOOKS}.engine.Engine.landed",
    f"{_HOOKS}.engine.Engine.open",
    f"{_HOOKS}.engine.Engine.start",
    f"{_HOOKS}.live.LiveAttempt.feed",
    f"{_HOOKS}.live.LiveAttempt.head",
    f"{_HOOKS}.live.LiveAttempt.moved",
    f"{_HOOKS}.live.LiveAttempt._end",
    f"{_HOOKS}.live.LiveAttempt._release",
    f"{_HOOKS}.sending.Sending.__init__",
    f"{_HOOKS}.sending.Sending.launch",
    f"{_HOOKS}.sending.Sending.leave",
    "penstock.telemetry.operations.OperationScope.attempt_ended",
    "penstock.telemetry.operations.OperationScope.close_one",
    "penstock.telemetry.spans.SpanWriter.attempt_started",
]
CASES = [
    (stack, place)
    for stack, places in PLACES.items()
    for place in (places if stack == "work" else [*places, *EVERYWHERE])
]
ASK = {"model": "gpt-5", "messages": [{"role": "user", "content": "x"}]}
DOCUMENT = {"id": "c", "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}
EVENTS = [json.dumps(DOCUMENT), '{"error":{"message":"x"}}', "[DONE]"]
REFUSED = {"error": {"code": "rate_limit_exceeded", "message": "slow down"}}
CONVERSE = {
    "output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 3, "outputTokens": 1, "totalTokens": 4},
    "metrics": {"latencyMs": 1},
}


def saw(call):
    try:
        return ("returned", call())
    except Exception as error:  # noqa: BLE001 - what the app saw
        return ("raised", type(error).__name__, str(error))


class Apps:
    """What an app does over each stack; every answer is fixed."""

    def __init__(self, canned):
        self.canned = canned
        self.chat = f"{canned.url}/v1/chat/completions"
        self.tracer = TracerProvider(shutdown_on_exit=False).get_tracer("app")
        self.bedrock = boto3.client(
            "bedrock-runtime", endpoint_url=canned.url, region_name="us-east-1", aws_access_key_id="A",
            aws_secret_access_key="b", config=Config(retries={"total_max_attempts": 1}),
        )  # fmt: skip

    def answers(self):
        canned = self.canned
        return [canned.document(DOCUMENT), canned.document(REFUSED, 429), canned.stream(*EVENTS)]

    def requests(self):
        told = []
        for answer in (*self.answers(), *self.answers()):
            self.canned.tell(answer)
            stream = len(told) >= 3
            with requests.post(self.chat, json=ASK, stream=stream, timeout=10) as response:
                body = list(response.iter_content(7)) if stream else response.content
            told.append((response.status_code, response.headers["content-type"], body))
        return told

    def aiohttp(self):
        return asyncio.run(self._aiohttp())

    async def _aiohttp(self):
        told = []
        async with aiohttp.ClientSession() as session:
            for answer in (*self.answers(), *self.answers()):
                self.canned.tell(answer)
                async with session.post(self.chat, json=ASK) as response:
                    if len(told) < 3:
                        body = await response.read()
                    else:
                        body = b"".join([piece async for piece in response.content.iter_chunked(7)])
                told.append((response.status, response.headers["content-type"], body))
        return told

    def botocore(self):
        told = []
        refused = {"message": "Too many requests"}, 429
        for answer in (self.canned.document(CONVERSE), self.canned.document(*refused)):
            self.canned.tell(answer)
            told.append(saw(self._converse))
        return told

    def _converse(self):
        answer = self.bedrock.converse(
            modelId="nova", messages=[{"role": "user", "content": [{"text": "x"}]}]
        )
        return answer["output"], answer["usage"]

    def work(self):
        sync = [saw(lambda fails=fails: self._task(fails)) for fails in (False, True)]
        return sync, asyncio.run(self._tasks())

    def _task(self, fails):
        @penstock.tool
        def look_up(word):
            if fails:
                raise LookupError(word)
            return word * 2

        with penstock.task("books"), self.tracer.start_as_current_span("inner") as span:
            span.set_attribute("gen_ai.operation.name", "chat")
            return look_up("a"), span.is_recording()

    async def _tasks(self):
        @penstock.tool
        async def count(to):
            for n in range(to):
                yield n

        @penstock.task("later")
        async def main():
            return [n async for n in count(3)]

        return await main()


@pytest.fixture
def apps(canned):
    return Apps(canned)


@pytest.mark.parametrize(("stack", "place"), CASES, ids=[f"{s} {p.rsplit('.', 2)[-1]}" for s, p in CASES])
def test_nothing_differs_when_a_place_raises(apps, spans, monkeypatch, stack, place):
    uninstall()
    run = getattr(apps, stack)
    plain = run()
    hit = 0
    desk = Desk(spans.tracer, ())
    install(Engine(tracer_source=spans.tracer))
    open_desk(desk)
    try:
        for kind in KINDS:

            def broken(*args, kind=kind, **kwargs):
                nonlocal hit
                hit += 1
                raise kind("sabotage")

            with monkeypatch.context() as patch:
                patch.setattr(place, broken)
                assert copy_context().run(run) == plain, kind  # what is not detached stays in there
    finally:
        close_desk(desk)
        with suppress(Exception):
            uninstall()
        guard.errors.clear()
    assert hit


def test_nothing_differs_with_healthy_hooks(apps, hook, spans):
    uninstall()
    plain = {stack: getattr(apps, stack)() for stack in PLACES}
    seen = hook(tracer_source=spans.tracer)
    assert {stack: getattr(apps, stack)() for stack in PLACES} == plain
    assert len(seen.attempts) == 6 + 6 + 2
