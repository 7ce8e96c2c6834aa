"""What a wire format must spell: a request read, an answer, a refusal, an error inside a stream."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from penstock.simulator._answers import Answer, Asked
from penstock.simulator.facts import Refused


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL asks for: the endpoint's name, and what Google's and Amazon's paths say besides."""

    endpoint: str
    model: str = ""
    query: str = ""


class Wire(ABC):
    """One endpoint of one provider. What is not spelled here is the same for all: quota, pace, faults."""

    id_prefix: ClassVar[str] = ""
    tells_wait: ClassVar[bool] = False
    """Refusals name the wait in their body, whether or not a header does."""

    @abstractmethod
    def asked(self, body: Mapping[str, Any], target: Target) -> Asked:
        """Read a request. Raises BadRequestError."""

    @abstractmethod
    def document(self, asked: Asked, answer: Answer) -> bytes:
        """Spell an answer in one piece."""

    def events(self, asked: Asked, answer: Answer) -> Sequence[bytes]:
        """Spell an answer as the pieces of a stream, the first of which is its head."""
        return [self.document(asked, answer)]

    @abstractmethod
    def refusal(self, refused: Refused, model: str, request_id: str) -> tuple[int, bytes]:
        """Spell a refusal: its status and body."""

    @abstractmethod
    def in_band_error(self, refused: Refused, model: str, request_id: str) -> bytes:
        """Spell an error that arrives inside a stream after a 200."""

    @abstractmethod
    def bad_request(self, message: str) -> bytes:
        """Spell the body of a 400."""

    def headers(self, request_id: str, answer: Answer | None) -> dict[str, str]:
        """Give the headers beside quota and type; `answer` is None on an error."""
        return {}

    def refusal_headers(self, refused: Refused) -> dict[str, str]:
        """Give the headers that only an error has."""
        return {}
