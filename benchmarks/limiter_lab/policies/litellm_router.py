"""litellm's Router as it ships, above the virtual provider."""

import os
import random
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final

from benchmarks.limiter_lab.policies._shared import each_process
from benchmarks.limiter_lab.world import Call, GaveUpError, World

_SENT: Final[ContextVar[Call]] = ContextVar("call")


class LitellmRouter:
    """litellm's Router with its defaults over one deployment a pool.

    Retries, back-off, picks and what counts towards a cooldown are the Router's own. It reaches the provider
    through its host, and the host here is the virtual provider: litellm's spends 4 ms an attempt on logging,
    prices and spelling, by which the Router decides nothing.
    """

    def __init__(self, world: World) -> None:
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # it asks the network for prices
        drawn = random.getstate()
        import httpx
        import litellm
        import openai
        from litellm.router import router_arguments
        from litellm.router_config import build_router_config
        from litellm.router_python_host import PythonHost
        from litellm.types.router import RouterRateLimitError

        random.setstate(drawn)  # litellm draws from the run's seed when it is first imported
        litellm.suppress_debug_info = True
        litellm.custom_provider_map = [{"provider": "lab", "custom_handler": litellm.CustomLLM()}]
        litellm.utils.custom_llm_setup()
        self._world, self._errors, self._response = world, litellm, httpx.Response
        self._gives_up = openai.APIError, RouterRateLimitError  # the provider's errors, and all pools at rest
        self._answer = litellm.ModelResponse(choices=[{"message": {"role": "assistant", "content": "ok"}}])
        policy = self

        class Host(PythonHost):  # type: ignore[misc, name-defined]
            def invoke(self, op: str) -> Any:
                return policy.respond if op == "acompletion" else super().invoke(op)

        deployments = [
            {"model_name": "lab", "litellm_params": {"model": f"lab/pool-{index}"}}
            for index in range(len(world.quotas))
        ]
        config = build_router_config(router_arguments(model_list=deployments))
        self._router = litellm.Router.from_config(config, Host())
        self._router.health().cooldowns.cooldown_store = Cooldowns(world)

    async def respond(self, *, model: str, **given: object) -> Any:
        """Put the call at hand to the pool that the Router picked."""
        reply = await self._world.send(_SENT.get(), int(model.rsplit("-", 1)[1]))
        if reply.ok:
            return self._answer
        kind = self._errors.RateLimitError if reply.status == 429 else self._errors.InternalServerError
        response = self._response(reply.status or 500, headers=reply.headers)  # it reads Retry-After
        raise kind(message="refused", llm_provider="lab", model=model, response=response)

    async def call(self, call: Call) -> None:
        _SENT.set(call)
        try:
            await self._router.acompletion(model="lab", messages=[{"role": "user", "content": "go"}])
        except self._gives_up as error:
            raise GaveUpError from error


Cooldown = Mapping[str, Any]


class Cooldowns:
    """The Router's store of cooldowns: what it ships with is native and goes by the machine's clock."""

    has_redis = False

    def __init__(self, world: World) -> None:
        self._world = world
        self._resting: dict[str, tuple[float, Cooldown]] = {}

    async def async_put(self, model_id: str, value: Cooldown, ttl: float) -> None:
        """Rest a deployment for `ttl` seconds."""
        self._resting[model_id] = self._world.now() + ttl, value

    async def active(self, model_ids: Sequence[str], **given: object) -> list[tuple[str, Cooldown]]:
        """Give those that rest now."""
        return self.active_sync(model_ids)

    def active_sync(self, model_ids: Sequence[str]) -> list[tuple[str, Cooldown]]:
        """Give those that rest now."""
        now, resting = self._world.now(), self._resting
        return [(id, resting[id][1]) for id in model_ids if id in resting and resting[id][0] > now]


litellm_router = each_process(LitellmRouter)
