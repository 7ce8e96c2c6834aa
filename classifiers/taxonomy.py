"""The error classes, what they mean, and what people filter by.

Thirteen classes and `unknown`. Each belongs to a *group* (the four words people filter by: 429,
timeout, tool, model; everything else is other) and to a *layer*: what to fix.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

TAXONOMY_VERSION: Final = "1"


class ErrorClass(StrEnum):
    """What a failed attempt, operation or tool call was."""

    RATE_LIMIT = "rate_limit"
    QUOTA = "quota"
    OVERLOADED = "overloaded"
    TIMEOUT = "timeout"
    NETWORK = "network"
    SERVER_ERROR = "server_error"
    AUTH = "auth"
    INVALID_REQUEST = "invalid_request"
    CONTEXT_LENGTH = "context_length"
    CONTENT_FILTER = "content_filter"
    MODEL = "model"
    TOOL = "tool"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class Group(StrEnum):
    """The words people filter by."""

    RATE = "429"
    TIMEOUT = "timeout"
    TOOL = "tool"
    MODEL = "model"
    OTHER = "other"


class Layer(StrEnum):
    """What the summary tells people to fix."""

    CAPACITY = "capacity"
    TOOL = "tool"
    MODEL = "model"
    APP = "app"


class Fault(StrEnum):
    """Who has to act."""

    CALLER_LIMIT = "caller_limit"
    ACCOUNT = "account"
    PROVIDER_CAPACITY = "provider_capacity"
    PROVIDER_FAULT = "provider_fault"
    NETWORK = "network"
    CALLER = "caller"
    POLICY = "policy"
    MODEL = "model"
    TOOL = "tool"
    UNKNOWN = "unknown"


class SideEffects(StrEnum):
    """Whether the work may have been done although the caller saw an error."""

    NONE = "none"
    POSSIBLE = "possible"
    CERTAIN = "certain"


@dataclass(frozen=True, slots=True)
class ClassFacts:
    """What holds for a whole class unless a rule says otherwise.

    `retryable`: the same request, unchanged, may succeed later. Whether repeating it is *safe* is
    `side_effects`.
    """

    group: Group
    layer: Layer
    retryable: bool
    fault: Fault
    side_effects: SideEffects
    meaning: str


CLASSES: Final[dict[ErrorClass, ClassFacts]] = {
    ErrorClass.RATE_LIMIT: ClassFacts(
        Group.RATE, Layer.CAPACITY, True, Fault.CALLER_LIMIT, SideEffects.NONE,
        "a window (requests, tokens, concurrency, growth, shared pool) said wait",
    ),
    ErrorClass.QUOTA: ClassFacts(
        Group.RATE, Layer.CAPACITY, False, Fault.ACCOUNT, SideEffects.NONE,
        "money, plan or hard cap: time alone will not fix it in this run",
    ),
    ErrorClass.OVERLOADED: ClassFacts(
        Group.RATE, Layer.CAPACITY, True, Fault.PROVIDER_CAPACITY, SideEffects.NONE,
        "the provider lacks capacity",
    ),
    ErrorClass.TIMEOUT: ClassFacts(
        Group.TIMEOUT, Layer.CAPACITY, True, Fault.NETWORK, SideEffects.POSSIBLE,
        "a deadline passed on an LLM call",
    ),
    ErrorClass.NETWORK: ClassFacts(
        Group.TIMEOUT, Layer.CAPACITY, True, Fault.NETWORK, SideEffects.POSSIBLE,
        "DNS, connect, TLS, reset, or a stream dropped",
    ),
    ErrorClass.SERVER_ERROR: ClassFacts(
        Group.OTHER, Layer.CAPACITY, True, Fault.PROVIDER_FAULT, SideEffects.POSSIBLE,
        "the provider failed",
    ),
    ErrorClass.AUTH: ClassFacts(
        Group.OTHER, Layer.APP, False, Fault.CALLER, SideEffects.NONE,
        "key, permission, region or suspended account",
    ),
    ErrorClass.INVALID_REQUEST: ClassFacts(
        Group.OTHER, Layer.APP, False, Fault.CALLER, SideEffects.NONE,
        "a bad parameter, unknown model or malformed history",
    ),
    ErrorClass.CONTEXT_LENGTH: ClassFacts(
        Group.OTHER, Layer.APP, False, Fault.CALLER, SideEffects.NONE,
        "the input (and output) exceeds the model's window",
    ),
    ErrorClass.CONTENT_FILTER: ClassFacts(
        Group.OTHER, Layer.APP, False, Fault.POLICY, SideEffects.NONE,
        "policy blocked the prompt or the output",
    ),
    ErrorClass.MODEL: ClassFacts(
        Group.MODEL, Layer.MODEL, True, Fault.MODEL, SideEffects.NONE,
        "the model's output was wrong: malformed call, unknown tool, schema-invalid, truncated, empty",
    ),
    ErrorClass.TOOL: ClassFacts(
        Group.TOOL, Layer.TOOL, False, Fault.TOOL, SideEffects.POSSIBLE,
        "the tool ran, or was dialled, and failed; its own 429 and timeout included",
    ),
    ErrorClass.CANCELLED: ClassFacts(
        Group.OTHER, Layer.APP, False, Fault.CALLER, SideEffects.POSSIBLE,
        "caller, user or framework cancelled: not an error",
    ),
    ErrorClass.UNKNOWN: ClassFacts(
        Group.OTHER, Layer.APP, True, Fault.UNKNOWN, SideEffects.POSSIBLE,
        "too little evidence; never guessed silently",
    ),
}  # fmt: skip
