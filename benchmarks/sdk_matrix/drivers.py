"""One model call by each SDK, in its manners: sync or async, plain or streamed.

Streams are generators of chunks that close what they read, so that a cell can stop in the middle. What is
not installed is left out. How long an SDK sleeps before it tries again is cut short: it is not what a cell
is about.
"""

import importlib
import importlib.metadata
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from benchmarks.sdk_matrix.outcomes import Settings

SAY: Final = "Say where the water goes."
ASK: Final[Any] = [{"role": "user", "content": SAY}]


class Driver(ABC):
    """One SDK. A manner that it does not have is missing from `manners`."""

    name: str
    package: str
    """On PyPI."""
    module: str
    manners: tuple[str, ...] = ("sync", "sync stream", "async", "async stream")
    app_tries_again: tuple[str, ...] = ()
    """In these manners the SDK never tries again, so the app does: each of its tries is an operation."""
    limited = "rate_limit"
    """What its provider means by a 429."""
    left = {"class": (None,), "end": ("closed",)}  # noqa: RUF012
    """What becomes of a stream that the app leaves."""
    speaks_openai_or_anthropic = True

    def __init__(self) -> None:
        self._clients: dict[tuple[str, Settings], Any] = {}

    @property
    def version(self) -> str:
        return importlib.metadata.version(self.package)

    def client(self, kind: str, settings: Settings) -> Any:
        """Make a client, once for all cells with the same settings: making one costs more than a call."""
        key = (kind, settings)
        if key not in self._clients:
            self._clients[key] = self.connect(kind, settings)
        return self._clients[key]

    @abstractmethod
    def connect(self, kind: str, settings: Settings) -> Any:
        """Make a client; `kind` is `sync` or `async`."""

    async def close(self) -> None:
        """Close what was made for asyncio."""
        for (kind, _), client in self._clients.items():
            if kind == "async":
                await self.disconnect(client)

    async def disconnect(self, client: Any) -> None:
        await client.close()

    def plain(self, client: Any) -> object:
        raise NotImplementedError

    def stream(self, client: Any) -> Iterator[object]:
        raise NotImplementedError

    async def plain_async(self, client: Any) -> object:
        raise NotImplementedError

    def stream_async(self, client: Any) -> AsyncIterator[object]:
        raise NotImplementedError


def soon(*modules: str) -> None:
    """Let the Stainless SDKs that are installed try again at once."""
    for name in modules:
        module = importlib.import_module(f"{name}._base_client")
        module.BaseClient._calculate_retry_timeout = lambda *args, **kwargs: 0.005


def installed() -> list[Driver]:
    """List the drivers whose SDK this environment has."""
    from benchmarks.sdk_matrix import frameworks, stainless, vendors

    every = (*stainless.DRIVERS, *vendors.DRIVERS, *frameworks.DRIVERS)
    return [driver() for driver in every if _found(driver.module)]


def _found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its parent is missing
        return False
