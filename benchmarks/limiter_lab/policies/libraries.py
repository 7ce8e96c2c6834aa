"""Libraries as they ship, each talking to the virtual provider: nothing of theirs is rewritten."""

import itertools
import os
from collections.abc import Callable
from typing import Any

from benchmarks.limiter_lab.policies._shared import each_process
from benchmarks.limiter_lab.world import Call, GaveUpError, Reply, World


class CallFailedError(Exception):
    """What the app's function raises when an attempt fails; the retry libraries see only this."""


class Tenacity:
    """tenacity: `wait_random_exponential(1, 60)` and six tries, as OpenAI's cookbook shows it."""

    def __init__(self, world: World) -> None:
        import tenacity

        self._world = world
        self._retry = tenacity.retry(
            wait=tenacity.wait_random_exponential(min=1, max=60), stop=tenacity.stop_after_attempt(6)
        )
        self._error = tenacity.RetryError

    async def call(self, call: Call) -> None:
        try:
            await self._retry(_attempt)(self._world, call)
        except self._error:
            raise GaveUpError from None


class Stamina:
    """stamina with its defaults: ten tries within 45 seconds."""

    def __init__(self, world: World) -> None:
        import stamina
        from stamina import instrumentation

        instrumentation.set_on_retry_hooks([])  # it logs every retry
        self._world = world
        self._retry = stamina.retry(on=CallFailedError)

    async def call(self, call: Call) -> None:
        try:
            await self._retry(_attempt)(self._world, call)
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
        self._refused = (
            bucket.CapacityNotAvailableError if hasattr(bucket, "CapacityNotAvailableError") else None
        )
        if self._refused is None:
            from botocore.exceptions import CapacityNotAvailableError

            self._refused = CapacityNotAvailableError
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
        while self._limiter._enabled:
            try:
                self._bucket.acquire(block=False)
                return
            except self._refused:
                await self._world.sleep(max(1e-3, self._bucket._sleep_amount(1)))


def _http_of(base_client: Any) -> Any:
    """Find the HTTP library that an SDK is built on: httpx2, or httpx in its older majors."""
    return getattr(base_client, "httpx2", None) or base_client.httpx


class Sdk:
    """A real SDK client over a transport that is the virtual provider: its own retries, its own sleep."""

    def __init__(self, world: World, client: Callable[[Any], Any], http: Any, answer: bytes) -> None:
        self._world, self._http, self._answer = world, http, answer
        self._calls: dict[str, Call] = {}
        self._numbers = itertools.count()
        policy = self

        class Transport(http.AsyncBaseTransport):  # type: ignore[misc, name-defined]
            async def handle_async_request(self, request: Any) -> Any:
                return await policy.respond(request)

        self._client = client(http.AsyncClient(transport=Transport()))

    async def respond(self, request: Any) -> Any:
        """Put one HTTP request to the virtual provider."""
        reply = await self._world.send(self._calls[request.headers["x-lab-call"]])
        if reply.status is None:
            raise self._http.ReadTimeout("no answer", request=request)
        body = self._answer
        if reply.refused is not None:
            body = reply.body()[1]
        elif not reply.ok:
            body = b'{"error":{"message":"The server had an error","type":"server_error"}}'
        headers = {"content-type": "application/json", **reply.headers}
        return self._http.Response(reply.status, headers=headers, content=body, request=request)

    async def call(self, call: Call) -> None:
        key = str(next(self._numbers))
        self._calls[key] = call
        try:
            await self.create(key)
        except self.errors() as error:
            raise GaveUpError from error
        finally:
            del self._calls[key]

    async def create(self, key: str) -> None:
        """Make one SDK call."""
        raise NotImplementedError

    def errors(self) -> type[Exception]:
        """What the SDK raises when it gives up."""
        raise NotImplementedError


class OpenAISdk(Sdk):
    """`openai.AsyncOpenAI()` with its defaults."""

    ANSWER = (
        b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":'
        b'{"role":"assistant","content":"ok"},"finish_reason":"stop"}]}'
    )

    def __init__(self, world: World) -> None:
        import openai
        from openai import _base_client

        super().__init__(
            world,
            lambda http: openai.AsyncOpenAI(api_key="lab", http_client=http),
            _http_of(_base_client),
            self.ANSWER,
        )

    async def create(self, key: str) -> None:
        await self._client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "go"}], extra_headers={"x-lab-call": key}
        )

    def errors(self) -> type[Exception]:
        import openai

        return openai.APIError


class AnthropicSdk(Sdk):
    """`anthropic.AsyncAnthropic()` with its defaults."""

    ANSWER = (
        b'{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"ok"}],'
        b'"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}'
    )

    def __init__(self, world: World) -> None:
        import anthropic
        from anthropic import _base_client

        super().__init__(
            world,
            lambda http: anthropic.AsyncAnthropic(api_key="lab", http_client=http),
            _http_of(_base_client),
            self.ANSWER,
        )

    async def create(self, key: str) -> None:
        await self._client.messages.create(
            model="m",
            max_tokens=9,
            messages=[{"role": "user", "content": "go"}],
            extra_headers={"x-lab-call": key},
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


class LitellmRouter:
    """litellm's Router with its defaults over one deployment a pool, through a custom provider."""

    def __init__(self, world: World) -> None:
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # it asks the network for prices
        import litellm

        litellm.suppress_debug_info = True
        self._calls: dict[str, Call] = {}
        self._numbers = itertools.count()
        policy, errors = self, litellm

        class Handler(litellm.CustomLLM):  # type: ignore[misc, name-defined]
            async def acompletion(self, *args: Any, **given: Any) -> Any:
                call = policy._calls[given["messages"][0]["content"]]
                reply = await world.send(call, int(given["model"].rsplit("-", 1)[1]))
                if reply.ok:
                    return errors.ModelResponse(
                        choices=[{"message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}]
                    )
                kind = errors.RateLimitError if reply.status == 429 else errors.InternalServerError
                raise kind(message="refused", llm_provider="lab", model=given["model"])

        litellm.custom_provider_map = [{"provider": "lab", "custom_handler": Handler()}]
        litellm.utils.custom_llm_setup()
        self._router = litellm.Router(
            model_list=[
                {"model_name": "lab", "litellm_params": {"model": f"lab/pool-{index}"}}
                for index in range(len(world.quotas))
            ]
        )

    async def call(self, call: Call) -> None:
        key = str(next(self._numbers))
        self._calls[key] = call
        try:
            await self._router.acompletion(model="lab", messages=[{"role": "user", "content": key}])
        except Exception as error:  # litellm raises its own and the provider's
            raise GaveUpError from error
        finally:
            del self._calls[key]


litellm_router = each_process(LitellmRouter)
