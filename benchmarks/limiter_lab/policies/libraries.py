"""Libraries as they ship, each talking to the virtual provider: nothing of theirs is rewritten."""

import asyncio
from contextvars import ContextVar
from typing import Any, Final

from benchmarks.limiter_lab.policies._shared import each_process
from benchmarks.limiter_lab.world import Call, GaveUpError, Reply, World


class CallFailedError(Exception):
    """What the app's function raises when an attempt fails; the retry libraries see only this."""


class Tenacity:
    """tenacity: `wait_random_exponential(1, 60)` and six tries, as OpenAI's cookbook shows it."""

    def __init__(self, world: World) -> None:
        import tenacity

        self._world = world
        self._attempt = tenacity.retry(
            wait=tenacity.wait_random_exponential(min=1, max=60), stop=tenacity.stop_after_attempt(6)
        )(_attempt)
        self._error = tenacity.RetryError

    async def call(self, call: Call) -> None:
        try:
            await self._attempt(self._world, call)
        except self._error:
            raise GaveUpError from None


class Stamina:
    """stamina with its defaults: ten tries within 45 seconds."""

    def __init__(self, world: World) -> None:
        import stamina
        from stamina import instrumentation

        instrumentation.set_on_retry_hooks([])  # it logs every retry
        self._world = world
        self._attempt = stamina.retry(on=CallFailedError)(_attempt)

    async def call(self, call: Call) -> None:
        try:
            await self._attempt(self._world, call)
        except CallFailedError:
            raise GaveUpError from None


async def _attempt(world: World, call: Call) -> None:
    if not (await world.send(call)).ok:
        raise CallFailedError


class Botocore:
    """botocore's adaptive mode: its own bucket, clocker and CUBIC; three attempts, then nine to be fair.

    Its bucket blocks a thread, so the wait alone is ours: the time that the bucket itself says.
    """

    def __init__(self, world: World, attempts: int) -> None:
        from botocore.retries import adaptive, bucket, standard, throttling

        self._world, self._attempts = world, attempts
        clock = bucket.Clock()
        self._bucket = bucket.TokenBucket(max_rate=1, clock=clock)
        self._limiter = adaptive.ClientRateLimiter(
            rate_adjustor=throttling.CubicCalculator(starting_max_rate=0, start_time=clock.current_time()),
            rate_clocker=adaptive.RateClocker(clock),
            token_bucket=self._bucket,
            throttling_detector=self,
            clock=clock,
        )
        self._backoff = standard.ExponentialBackoff()

    def is_throttling_error(self, *, reply: Reply) -> bool:
        """Tell botocore's limiter what it would read from a response."""
        return reply.status == 429

    async def call(self, call: Call) -> None:
        for number in range(1, self._attempts + 1):
            await self._acquire()
            reply = await self._world.send(call)
            self._limiter.on_receiving_response(reply=reply)
            if reply.ok:
                return
            if number < self._attempts:
                pause = min(self._world.rng.random() * 2 ** (number - 1), 20.0)
                await self._world.sleep(pause)
        raise GaveUpError

    async def _acquire(self) -> None:
        if not self._take():
            turn = self._world.loop.create_future()
            self._look_again(turn)
            await turn

    def _take(self) -> bool:
        bucket = self._bucket
        if not self._limiter._enabled:
            return True
        bucket._refill()  # as `acquire` does first, which raises when there is no token
        return bucket._current_capacity >= 1 and bucket.acquire(block=False)

    def _look_again(self, turn: "asyncio.Future[None]") -> None:
        """Wake the call when it has its token: hundreds look at one bucket, so none is woken to look."""
        self._world.loop.call_later(max(1e-3, self._bucket._sleep_amount(1)), self._look, turn)

    def _look(self, turn: "asyncio.Future[None]") -> None:
        if turn.done():
            return
        if self._take():
            turn.set_result(None)
        else:
            self._look_again(turn)


def _http_of(base_client: Any) -> Any:
    """Find the HTTP library that an SDK is built on: httpx2, or httpx in its older majors."""
    return getattr(base_client, "httpx2", None) or base_client.httpx


_SENT: Final[ContextVar[Call]] = ContextVar("call")


class Sdk:
    """A real SDK client above the virtual provider: its own retries, its own sleep, its own errors.

    Only what it does not decide by is cut short: a request is spelled once, not at each attempt, and all
    good answers are one and the same.
    """

    def __init__(self, world: World, client: type[Any], http: Any, path: str, body: object) -> None:
        self._world, self._http, self._path, self._body = world, http, path, body
        self._request = request = http.Request("POST", "https://provider.invalid")
        self._answer = http.Response(200, content=b"{}", request=request)
        policy = self

        class Client(client):  # type: ignore[misc]
            def _build_request(self, *args: object, **given: object) -> Any:
                return request

        class Provider(http.AsyncClient):  # type: ignore[misc, name-defined]
            async def send(self, request: object, **given: object) -> Any:
                return await policy.respond()

        self._client = Client(api_key="lab", http_client=Provider())

    async def respond(self) -> Any:
        """Put the call at hand to the virtual provider."""
        reply = await self._world.send(_SENT.get())
        if reply.ok:
            return self._answer
        if reply.status is None:
            raise self._http.ReadTimeout("no answer", request=self._request)
        body = b'{"error":{"message":"The server had an error","type":"server_error"}}'
        if reply.refused is not None:
            body = reply.body()[1]
        headers = {"content-type": "application/json", **reply.headers}
        return self._http.Response(reply.status, headers=headers, content=body, request=self._request)

    async def call(self, call: Call) -> None:
        _SENT.set(call)
        try:
            await self._client.post(self._path, cast_to=self._http.Response, body=self._body)
        except self.errors() as error:
            raise GaveUpError from error

    def errors(self) -> type[Exception]:
        """What the SDK raises when it gives up."""
        raise NotImplementedError


class OpenAISdk(Sdk):
    """`openai.AsyncOpenAI()` with its defaults."""

    def __init__(self, world: World) -> None:
        import openai
        from openai import _base_client

        super().__init__(
            world,
            openai.AsyncOpenAI,
            _http_of(_base_client),
            "/chat/completions",
            {"model": "m", "messages": [{"role": "user", "content": "go"}]},
        )

    def errors(self) -> type[Exception]:
        import openai

        return openai.APIError


class AnthropicSdk(Sdk):
    """`anthropic.AsyncAnthropic()` with its defaults."""

    def __init__(self, world: World) -> None:
        import anthropic
        from anthropic import _base_client

        super().__init__(
            world,
            anthropic.AsyncAnthropic,
            _http_of(_base_client),
            "/v1/messages",
            {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "go"}]},
        )

    def errors(self) -> type[Exception]:
        import anthropic

        return anthropic.APIError


tenacity = each_process(Tenacity)
stamina = each_process(Stamina)
botocore_3 = each_process(lambda world: Botocore(world, 3))
botocore_9 = each_process(lambda world: Botocore(world, 9))
openai_sdk = each_process(OpenAISdk)
anthropic_sdk = each_process(AnthropicSdk)
