"""What the columns of a span say together: its role, whose call it was, whether it failed, and why."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from penstock.analysis._columns import INDEX
from penstock.analysis._dialect import dialects
from penstock.analysis._layout import Block
from penstock.analysis._values import as_text, each
from penstock.analysis._verdicts import Judge, Span
from penstock.classifiers import SPAN_KEYS

STATUS_OK: Final = 1
STATUS_ERROR: Final = 2
KIND_CLIENT: Final = 3
FIRST_TOKEN_EVENTS: Final = frozenset(
    {"First Token Stream Event", "gen_ai.content.completion.chunk", "ai.stream.firstChunk"}
)
_UNNAMED: Final = frozenset({"other", "queue"})
_ROLES: Final = dialects().roles
_JUDGE: Final = Judge()
Names = tuple[str | None, str | None, str | None]


def conclude(block: Block) -> None:
    """Fill the columns that follow from others."""
    _read_events(block)
    _sampling(block)
    roles = block.columns[_ROLE] = _roles(block)
    _names(block, roles)
    if _READ in block.columns or _WRITE in block.columns:
        _tokens(block, roles)
    failed = block.columns[_FAILED] = _failures(block)
    blamed = [
        row
        for row, (bad, role, known) in enumerate(zip(failed, roles, block.column(_CLASS), strict=True))
        if bad and known is None and role not in _UNNAMED
    ]
    if blamed:
        _judge(block, blamed, roles)


def _editable(block: Block, *indexes: int) -> list[list[Any]]:
    """Give columns that may be written to."""
    found = [list(block.column(index)) for index in indexes]
    block.columns.update(zip(indexes, found, strict=True))
    return found


def _read_events(block: Block) -> None:
    if not block.events:
        return
    types, messages, first_tokens = _editable(block, _EXC_TYPE, _EXC_MESSAGE, _FIRST_TOKEN)
    for row, events in block.events.items():
        start = block.told.starts[row]
        for name, when, attributes in events:
            if name == "exception":
                types[row] = as_text(attributes.get("exception.type")) or types[row]
                messages[row] = as_text(attributes.get("exception.message")) or messages[row]
            elif name in FIRST_TOKEN_EVENTS and first_tokens[row] is None and when is not None and start:
                first_tokens[row] = max(0, when - start) / 1e9


def _sampling(block: Block) -> None:
    states = block.told.trace_states
    if any(states):
        block.columns[_SAMPLED] = [_one_in(state) if state else None for state in states]


def _one_in(trace_state: str) -> float | None:
    """Read OpenTelemetry's `ot=th:…` rejection threshold as "one in N"; None when nothing was dropped."""
    for member in trace_state.split(","):
        vendor, _, value = member.partition("=")
        if vendor.strip() != "ot":
            continue
        for part in value.split(";"):
            key, _, threshold = part.partition(":")
            if key == "th" and threshold and set(threshold) <= set("0123456789abcdef"):
                kept = 1 - int(threshold[:14].ljust(14, "0"), 16) / 16**14
                return 1 / kept if 0 < kept < 1 else None
    return None


def _roles(block: Block) -> list[str]:
    """Take the role that attributes tell; what no attribute tells, the other columns do."""
    told = _told_roles(block)
    if None not in told:
        return told  # type: ignore[return-value]
    columns = zip(
        block.told.names,
        block.told.kinds,
        *(block.column(index) for index in (_REQUEST_MODEL, _AGENT, _INPUT, _METHOD, _HTTP)),
        strict=True,
    )
    return [role or _likely_role(*row) for role, row in zip(told, columns, strict=True)]


def _told_roles(block: Block) -> list[str | None]:
    told: list[str | None] = [None] * len(block)
    for attribute, values in _ROLES:
        said = block.said(attribute)
        if said is None:
            continue
        meant = each(partial(_role_of, values), said)
        told = (
            list(meant) if not any(told) else [role or word for role, word in zip(told, meant, strict=True)]
        )
    return told


def _role_of(values: Mapping[str, str], word: object) -> str | None:
    told = "" if word is None else str(word)
    return (values.get(told.strip('"').lower()) or values.get("*")) if told else None


def _likely_role(
    name: object, kind: object,
    request_model: object, agent: object, tokens: object, method: object, status: object,
) -> str:  # fmt: skip
    if request_model is not None and name != "raw_gen_ai_request":
        return "task" if agent is not None and tokens is None else "operation"
    client = kind == KIND_CLIENT
    if method is not None or (status is not None and client):
        return "http" if client else "other"
    return "task" if agent is not None else "other"


def _names(block: Block, roles: Sequence[str]) -> None:
    """Settle provider, model and pool; recordings repeat few of them."""
    known: dict[tuple[object, ...], Names] = {}
    told = zip(
        roles,
        *(block.column(index) for index in (_PROVIDER, _REQUEST_MODEL, _RESPONSE_MODEL, _POOL)),
        strict=True,
    )
    settled = [known.get(row) or known.setdefault(row, _name(*row)) for row in told]
    for index, values in zip((_PROVIDER, _MODEL, _POOL), zip(*settled, strict=True), strict=True):
        block.columns[index] = values


def _name(
    role: str, provider: str | None, request_model: str | None, response_model: str | None, pool: str | None
) -> Names:
    if role == "other":
        return provider, None, pool
    model = request_model or response_model
    if provider is not None:
        provider = PROVIDERS.get(provider.lower(), provider.lower())
    elif model is not None and "/" in model:
        provider = model.split("/", 1)[0]
    if pool is None and (provider or model):
        pool = f"{provider or 'unknown'}:{model or 'unknown'}"
    return provider, model, pool


def _tokens(block: Block, roles: Sequence[str]) -> None:
    """Count cached tokens as input where a dialect leaves them out."""
    inputs, rules = _editable(block, _INPUT, _TOKENS_RULE)
    services = block.said("rpc.service") or [None] * len(inputs)
    cached = zip(block.column(_READ), block.column(_WRITE), strict=True)
    for row, (read, write) in enumerate(cached):
        given, more = inputs[row], (read or 0) + (write or 0)
        if given is None or not more or roles[row] == "other":
            continue
        by_botocore = services[row] is not None and "botocore" in (block.told.origins[row].scope or "")
        if by_botocore or more > given:
            inputs[row], rules[row] = given + more, "cached_added"


def _failures(block: Block) -> list[bool]:
    levels = block.said("langfuse.observation.level") or [None] * len(block)
    columns = (block.column(index) for index in (_CLASS, _STATUS, _HTTP, _ERROR_TYPE))
    known: dict[tuple[object, ...], bool] = {}
    return [
        known[row] if row in known else known.setdefault(row, _is_failure(*row))
        for row in zip(*columns, levels, strict=True)
    ]


def _is_failure(
    error_class: object, status: object, http_status: object, error_type: object, level: object
) -> bool:
    if error_class is not None:
        return error_class != "cancelled"
    if status == STATUS_ERROR or (isinstance(http_status, int) and http_status >= 400):
        return True
    return (error_type is not None and status != STATUS_OK) or level == "ERROR"


def _judge(block: Block, rows: Sequence[int], roles: Sequence[str]) -> None:
    """Name failures where their spans do not; a cancellation is no failure."""
    failed, classes, reasons, retryable, dimensions, pauses = _editable(
        block, _FAILED, _CLASS, _REASON, _RETRYABLE, _DIMENSION, _RETRY_AFTER
    )
    names = [key for key in SPAN_KEYS if block.said(key) is not None]
    evidence = [block.told.names, block.told.messages, *map(block.said, names)]

    def whole(row: int) -> Span:
        span = block.span(row)
        return span.attributes, as_text(span.message), span.events, span.name

    for row in rows:
        told = [names, *(column[row] for column in evidence if column is not None)]
        verdict = _JUDGE.verdict(roles[row], told, block.events.get(row, ()), partial(whole, row))
        classes[row], reasons[row] = verdict.error_class.value, verdict.reason
        retryable[row] = verdict.retryable
        dimensions[row] = dimensions[row] or verdict.limit_dimension
        if pauses[row] is None:
            pauses[row] = verdict.retry_after
        failed[row] = verdict.error_class.value != "cancelled"


PROVIDERS: Final[Mapping[str, str]] = {
    "openai.chat": "openai",
    "openai.responses": "openai",
    "openai.completion": "openai",
    "anthropic.messages": "anthropic",
    "google.generative-ai": "gcp.gemini",
    "google.vertex.chat": "gcp.vertex_ai",
    "amazon-bedrock": "aws.bedrock",
    "mistral.chat": "mistral_ai",
}
"""The Vercel AI SDK's provider names -> OpenTelemetry's."""

(_ROLE, _STATUS, _PROVIDER, _REQUEST_MODEL, _RESPONSE_MODEL, _MODEL, _POOL, _AGENT) = (
    INDEX[name]
    for name in ("role", "status", "provider", "request_model", "response_model", "model", "pool", "agent")
)
(_INPUT, _READ, _WRITE, _FIRST_TOKEN, _TOKENS_RULE, _SAMPLED) = (
    INDEX[name]
    for name in (
        "input_tokens", "cache_read_tokens", "cache_write_tokens", "first_token_seconds", "tokens_rule",
        "sampled_one_in",
    )
)  # fmt: skip
(_METHOD, _HTTP, _ERROR_TYPE, _FAILED, _CLASS, _REASON) = (
    INDEX[name] for name in ("method", "http_status", "error_type", "failed", "error_class", "error_reason")
)
(_RETRYABLE, _DIMENSION, _RETRY_AFTER, _EXC_TYPE, _EXC_MESSAGE) = (
    INDEX[name]
    for name in (
        "retryable", "limit_dimension", "retry_after_seconds", "exception_type", "exception_message",
    )
)  # fmt: skip
