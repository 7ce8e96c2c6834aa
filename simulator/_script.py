"""Scripted outcomes: what the next requests get, whatever the quota says."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from penstock.errors import UsageError
from penstock.simulator._toml import choice, flag, integer, number, read, string
from penstock.simulator.facts import Refusal

_KINDS = tuple(kind.value for kind in Refusal)


def _strings(value: object, where: str) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where} must be an object of strings")
    return {str(name).lower(): str(item) for name, item in value.items()}


def _anything(value: object, where: str) -> object:
    return value


@dataclass(frozen=True, slots=True)
class Outcome:
    """One scripted answer.

    `model` and `header` say which requests it is for (default: the next one, whoever asks). `status`
    from 400 makes an error: `kind` chooses its words, `body` replaces them. `fault`: hang (never
    answers), reset (connection reset before the head), broken_stream (cut after `after_chunks`),
    in_band_error (an error event after `after_chunks` of a 200 stream, worded by `kind`).
    `delay_seconds` pass before the head, `stream_seconds` between the first chunk and the last.
    `retry_after_seconds` is told where and as the pool tells it: a header, or Gemini's RetryInfo.
    """

    status: Annotated[int, integer(200, 599)] = 200
    headers: Annotated[Mapping[str, str] | None, _strings] = None
    body: Annotated[Any, _anything] = None
    kind: Annotated[str | None, choice(*_KINDS)] = None
    fault: Annotated[str | None, choice("hang", "reset", "broken_stream", "in_band_error")] = None
    retry_after_seconds: Annotated[float | None, number(finite=True)] = None
    after_chunks: Annotated[int, integer(0)] = 1
    delay_seconds: Annotated[float | None, number(finite=True)] = None
    stream_seconds: Annotated[float, number(finite=True)] = 0.0
    text: Annotated[str | None, string] = None
    output_tokens: Annotated[int | None, integer(0)] = None
    tool: Annotated[bool, flag] = False
    times: Annotated[int, integer(1)] = 1
    model: Annotated[str | None, string] = None
    header: Annotated[Mapping[str, str] | None, _strings] = None

    def fits(self, model: str, headers: Mapping[str, str]) -> bool:
        """Say whether this outcome is for such a request."""
        if self.model is not None and self.model != model:
            return False
        return all(headers.get(name) == value for name, value in (self.header or {}).items())


class Script:
    """Outcomes in waiting; each request takes the first that fits it."""

    def __init__(self) -> None:
        self._waiting: deque[Outcome] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, data: object) -> int:
        """Queue outcomes from decoded JSON, one or a list; return how many wait now.

        Raises:
            UsageError: on an unknown key or a wrong value; nothing is queued then.
        """
        items = data if isinstance(data, list) else [data]
        outcomes = [read(Outcome, item, f"script[{index}]") for index, item in enumerate(items)]
        for outcome in outcomes:
            self._waiting.extend([outcome] * outcome.times)
        return len(self._waiting)

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting.clear()

    def take(self, model: str, headers: Mapping[str, str]) -> Outcome | None:
        """Take the first outcome that fits."""
        for index, outcome in enumerate(self._waiting):
            if outcome.fits(model, headers):
                del self._waiting[index]
                return outcome
        return None
