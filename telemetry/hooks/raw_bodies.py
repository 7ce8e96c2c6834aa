"""urllib3's raw bodies, as requests and botocore hand them on."""

from collections.abc import Iterator
from types import FunctionType
from typing import Any

import wrapt

from penstock.telemetry.guard import quietly
from penstock.telemetry.hooks.live import LiveAttempt


class RawBody(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """Stands for a urllib3 response; tells of bytes that pass and how they ended.

    `stream` gives decoded content where the caller asked for it; what is `read` straight off a
    compressed body is not looked into.
    """

    def __init__(self, raw: Any, live: LiveAttempt, encoded: bool) -> None:
        super().__init__(raw)
        self._self_live = live
        self._self_encoded = encoded

    def stream(self, amt: int | None = 2**16, decode_content: bool | None = None) -> Iterator[bytes]:
        """Iterate as urllib3 does."""
        live = self._self_live
        plain = bool(decode_content) or not self._self_encoded
        try:
            for chunk in self.__wrapped__.stream(amt, decode_content=decode_content):
                self._self_passed(chunk, plain)
                yield chunk
        except GeneratorExit:
            quietly("raw.closed", live.closed)
            raise
        except BaseException as error:
            quietly("raw.broke", live.broke, error)
            raise
        quietly("raw.finished", live.finished)

    def read(self, *args: Any, **kwargs: Any) -> Any:
        """Read as urllib3 does; nothing read, or all of it, is the end."""
        try:
            data = self.__wrapped__.read(*args, **kwargs)
        except BaseException as error:
            quietly("raw.broke", self._self_live.broke, error)
            raise
        amount = args[0] if args else kwargs.get("amt")
        if data:
            self._self_passed(data, bool(kwargs.get("decode_content")) or not self._self_encoded)
        if amount is None or (not data and amount != 0):
            quietly("raw.finished", self._self_live.finished)
        return data

    def close(self) -> None:
        """Close as urllib3 does."""
        try:
            self.__wrapped__.close()
        finally:
            quietly("raw.closed", self._self_live.closed)

    def release_conn(self) -> None:
        """Give the connection back as urllib3 does: what was not read then never will be."""
        try:
            self.__wrapped__.release_conn()
        finally:
            quietly("raw.closed", self._self_live.closed)

    def readinto(self, buffer: bytearray) -> int:
        """Read into a buffer as urllib3 does."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def __iter__(self) -> Iterator[bytes]:
        """Iterate as urllib3 does: by lines, out of our `stream`."""
        lines = type(self.__wrapped__).__iter__
        return lines(self) if isinstance(lines, FunctionType) else iter(self.__wrapped__)

    def _self_passed(self, chunk: bytes, plain: bool) -> None:
        quietly("raw.moved", self._self_live.moved)
        if plain:
            quietly("raw.feed", self._self_live.feed, chunk)

    def __del__(self) -> None:
        quietly("raw.collected", self._self_live.collected)
