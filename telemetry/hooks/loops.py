"""SDKs' request loops: they send, sleep and send again, and all of it is one operation.

The loop is where one logical request begins and where its exception leaves. Stainless-generated SDKs
(openai, anthropic, groq …) share one shape; the others have theirs. A loop inside a loop (litellm over
openai, a vendor's subclass) belongs to the outer one.
"""

import inspect
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Final

from penstock.telemetry import guard
from penstock.telemetry.hooks.patching import active, wrap
from penstock.telemetry.operations import CURRENT, OperationScope, leave

Loop = tuple[str, str, bool]
"""Class (empty for a function of the module), name, and whether it is a coroutine function."""

_STAINLESS: Final[tuple[Loop, ...]] = (
    ("SyncAPIClient", "request", False),
    ("AsyncAPIClient", "request", True),
)
_SPEAKEASY: Final[tuple[Loop, ...]] = (
    ("BaseSDK", "do_request", False),
    ("BaseSDK", "do_request_async", True),
)
_LITELLM: Final[tuple[Loop, ...]] = (
    ("", "completion", False),
    ("", "acompletion", True),
    ("", "embedding", False),
    ("", "aembedding", True),
)
LOOPS: Final[dict[str, tuple[Loop, ...]]] = {
    "aiobotocore.client": (("AioBaseClient", "_make_api_call", True),),
    "anthropic._base_client": _STAINLESS,
    "botocore.client": (("BaseClient", "_make_api_call", False),),
    "cerebras.cloud.sdk._base_client": _STAINLESS,
    "cohere.core.http_client": (("HttpClient", "request", False), ("AsyncHttpClient", "request", True)),
    "google.genai._api_client": (
        ("BaseApiClient", "_request", False),
        ("BaseApiClient", "_async_request", True),
    ),
    "groq._base_client": _STAINLESS,
    "litellm": _LITELLM,
    "litellm.main": _LITELLM,
    "mistralai.basesdk": _SPEAKEASY,
    "mistralai.client.basesdk": _SPEAKEASY,
    "openai._base_client": _STAINLESS,
    "together._base_client": _STAINLESS,
}


def patch(name: str) -> Callable[[ModuleType], None]:
    """Make the patch of one module's loops."""

    def apply(module: ModuleType) -> None:
        for owner_name, method, asynchronous in LOOPS[name]:
            owner = getattr(module, owner_name, None) if owner_name else module
            if owner is None:
                continue
            copies = list(_copies(owner, owner.__dict__.get(method), method))
            for place in (owner, *copies):
                wrap(place, method, _loop_async if asynchronous else _loop)

    return apply


def _copies(owner: Any, original: object, method: str) -> Iterator[type]:
    """Find subclasses where an instrumentor that came first keeps the method as it was before us.

    OpenInference wraps `OpenAI.request`, and by that copies what `SyncAPIClient` had.
    """
    subclasses: list[type] = owner.__subclasses__() if isinstance(owner, type) else []
    for subclass in subclasses:
        override = subclass.__dict__.get(method)
        if override is not None and inspect.unwrap(override) is original:
            yield subclass
        yield from _copies(subclass, original, method)


def _scope() -> OperationScope | None:
    engine, outer = active(), CURRENT.get()
    if engine is None or (outer is not None and outer.going):
        return None  # an outer loop has this request already
    try:
        return engine.scope()
    except guard.OURS as error:
        guard.failed("loops.scope", error)
        return None


def _loop(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    scope = _scope()
    if scope is None:
        return wrapped(*args, **kwargs)
    token = CURRENT.set(scope)
    try:
        result = wrapped(*args, **kwargs)
    except BaseException as error:
        guard.quietly("operation.raised", scope.raised, error)
        raise
    else:
        guard.quietly("operation.returned", scope.close_one)
        return result
    finally:
        leave(token)


async def _loop_async(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    scope = _scope()
    if scope is None:
        return await wrapped(*args, **kwargs)
    token = CURRENT.set(scope)
    try:
        result = await wrapped(*args, **kwargs)
    except BaseException as error:
        guard.quietly("operation.raised", scope.raised, error)
        raise
    else:
        guard.quietly("operation.returned", scope.close_one)
        return result
    finally:
        leave(token)
