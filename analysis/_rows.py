"""One span in any dialect -> one row of `COLUMNS`."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from penstock.analysis._columns import COLUMNS, INDEX
from penstock.analysis._dialect import dialects
from penstock.analysis._verdicts import judge

Attributes = Mapping[str, object]
Event = tuple[str, int | None, Attributes]
Row = list[object]

STATUS_ERROR: Final = 2
KIND_CLIENT: Final = 3
_BLANK: Final[Row] = [None] * len(COLUMNS)
_FIRST_TOKEN_EVENTS: Final = frozenset(
    {"First Token Stream Event", "gen_ai.content.completion.chunk", "ai.stream.firstChunk"}
)
_MILLISECONDS: Final = {"ai.response.msToFirstChunk": 1e-3}


@dataclass(frozen=True, slots=True)
class Origin:
    """What all spans of one batch share."""

    service: str | None
    instance: str | None
    scope: str | None
    source: int
    record: int


def row_of(
    origin: Origin,
    ids: tuple[str | None, str | None, str | None],
    name: str | None,
    kind: int,
    times: tuple[int | None, int | None],
    status: tuple[int, str | None],
    attributes: Attributes,
    events: Sequence[Event] = (),
    trace_state: str | None = None,
) -> Row:
    """Normalise one span.

    `ids` are trace, span, parent; `times` start and end in nanoseconds; `status` OTLP's code and the
    description.
    """
    row = _BLANK.copy()
    row[_TRACE : _TRACE + 3] = ids
    row[_NAME], row[_KIND] = name, kind
    row[_START], row[_END] = times
    row[_STATUS], row[_MESSAGE] = status
    row[_SERVICE], row[_INSTANCE], row[_SCOPE] = origin.service, origin.instance, origin.scope
    row[_SOURCE], row[_RECORD] = origin.source, origin.record
    rest = _promote(row, attributes)
    for event in events:
        _read_event(row, event, times[0])
    role = row[_ROLE] = _role(attributes, row)
    if trace_state:
        row[_SAMPLED] = _sampling(trace_state)
    if rest:
        row[_ATTRS] = orjson.dumps(rest, default=str, option=orjson.OPT_NON_STR_KEYS).decode(
            "utf-8", "replace"
        )
    if role != "other":
        _complete(row, attributes)
    row[_FAILED] = _is_failure(row, attributes)
    if row[_FAILED] and role not in {"other", "queue"}:
        _judge(row, role, attributes, events)
    return row


def _promote(row: Row, attributes: Attributes) -> dict[str, object]:
    """Move known attributes into their columns, best spelling first; return the others."""
    rest: dict[str, object] = {}
    second_best: list[tuple[int, int, object, str, object]] = []
    columns, json = _COLUMN_OF, _JSON_OF
    for key, value in attributes.items():
        if (rule := columns.get(key)) is not None:
            index, rank = rule
            if (read := _READERS[index](value)) is None:
                if value is not None and value != "":
                    rest[key] = value
            elif rank == 0:
                row[index] = read
            else:
                second_best.append((rank, index, read, key, value))
        elif key in json:
            second_best += _from_json(key, value)
            rest[key] = value
        elif key in _MILLISECONDS and isinstance(value, int | float):
            second_best.append((0, _FIRST_TOKEN, value * _MILLISECONDS[key], key, value))
        else:
            rest[key] = value
    if second_best:
        second_best.sort(key=lambda found: found[0])
        for _, index, read, key, value in second_best:
            if row[index] is None:
                row[index] = read
            elif row[index] != read and key not in json:
                rest[key] = value
    return rest


def _from_json(key: str, value: object) -> list[tuple[int, int, object, str, object]]:
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return []
    if not isinstance(value, Mapping):
        return []
    found: list[tuple[int, int, object, str, object]] = []
    for name, index in _JSON_OF[key].items():
        if (read := _READERS[index](value.get(name))) is not None:
            found.append((1, index, read, key, value))
    return found


def _read_event(row: Row, event: Event, start: int | None) -> None:
    name, when, attributes = event
    if name == "exception":
        kind, text = attributes.get("exception.type"), attributes.get("exception.message")
        row[_EXC_TYPE] = _text(kind) or row[_EXC_TYPE]
        row[_EXC_MESSAGE] = _text(text) or row[_EXC_MESSAGE]
    elif name in _FIRST_TOKEN_EVENTS and row[_FIRST_TOKEN] is None and when is not None and start:
        row[_FIRST_TOKEN] = max(0, when - start) / 1e9


def _role(attributes: Attributes, row: Row) -> str:
    for attribute, values in dialects().roles:
        said = attributes.get(attribute)
        if said is not None:
            word = str(said).strip('"').lower()
            role = values.get(word) or values.get("*")
            if role is not None:
                return role
    if row[_REQUEST_MODEL] is not None and row[_NAME] != "raw_gen_ai_request":
        if row[_AGENT] is not None and row[_INPUT] is None:
            return "task"
        return "operation"
    if row[_METHOD] is not None or (row[_HTTP] is not None and row[_KIND] == KIND_CLIENT):
        return "http" if row[_KIND] == KIND_CLIENT else "other"
    return "task" if row[_AGENT] is not None else "other"


def _complete(row: Row, attributes: Attributes) -> None:
    """Fill what follows from other columns: model, pool, and tokens that leave out cached ones."""
    provider = row[_PROVIDER]
    model = row[_MODEL] = row[_REQUEST_MODEL] or row[_RESPONSE_MODEL]
    if isinstance(provider, str):
        provider = row[_PROVIDER] = _PROVIDERS.get(provider.lower(), provider.lower())
    elif isinstance(model, str) and "/" in model:
        provider = row[_PROVIDER] = model.split("/", 1)[0]
    if row[_POOL] is None and (provider or model):
        row[_POOL] = f"{provider or 'unknown'}:{model or 'unknown'}"
    cached = (row[_READ] or 0) + (row[_WRITE] or 0)  # type: ignore[operator]
    given = row[_INPUT]
    if given is not None and cached:
        excluded = "botocore" in str(row[_SCOPE] or "") and "rpc.service" in attributes
        if excluded or cached > given:
            row[_INPUT] = given + cached
            row[_TOKENS_RULE] = "cached_added"


def _is_failure(row: Row, attributes: Attributes) -> bool:
    if row[_CLASS] is not None:
        return row[_CLASS] != "cancelled"
    status = row[_HTTP]
    if row[_STATUS] == STATUS_ERROR or (isinstance(status, int) and status >= 400):
        return True
    level = attributes.get("langfuse.observation.level")
    return (row[_ERROR_TYPE] is not None and row[_STATUS] != 1) or level == "ERROR"


def _judge(row: Row, role: str, attributes: Attributes, events: Sequence[Event]) -> None:
    """Name the failure where the span does not; a cancellation is no failure."""
    if row[_CLASS] is not None:
        return
    verdict = judge(role, attributes, _text(row[_MESSAGE]), events, _text(row[_NAME]))
    row[_CLASS], row[_REASON], row[_RETRYABLE] = verdict.error_class.value, verdict.reason, verdict.retryable
    row[_DIMENSION] = row[_DIMENSION] or verdict.limit_dimension
    if row[_RETRY_AFTER] is None:
        row[_RETRY_AFTER] = verdict.retry_after
    row[_FAILED] = verdict.error_class.value != "cancelled"


def _sampling(trace_state: str) -> float | None:
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


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value or None
    if isinstance(value, list | tuple):
        return _text(value[0]) if value else None
    return None if value is None else str(value)


def _plain(value: object) -> str | None:
    """Text, a list's first element, or a list that travelled as JSON text (`["stop"]`)."""
    text = _text(value)
    if text and text[0] in '["' and text[-1] in ']"':
        try:
            return _text(orjson.loads(text))
        except orjson.JSONDecodeError:
            return text
    return text


def _int(value: object) -> int | None:
    number = _float(value)
    return None if number is None or abs(number) >= 2**62 else int(number)


def _small(value: object) -> int | None:
    number = _int(value)
    return None if number is None or abs(number) >= 2**31 else number


def _float(value: object) -> float | None:
    if isinstance(value, list | tuple):
        value = value[0] if value else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _bool(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False, "1": True, "0": False}.get(str(value).lower())


_BY_TYPE: Final[dict[str, Callable[[object], object]]] = {
    "string": _plain,
    "int8": _small,
    "int32": _small,
    "int64": _int,
    "float64": _float,
    "bool": _bool,
}
_READERS: Final = [_BY_TYPE[kind] for kind in COLUMNS.values()]
_COLUMN_OF: Final = dialects().columns
_JSON_OF: Final = dialects().json
_PROVIDERS: Final = {
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

(_TRACE, _NAME, _KIND, _START, _END, _STATUS, _MESSAGE) = (
    INDEX[name] for name in ("trace_id", "name", "kind", "start_ns", "end_ns", "status", "status_message")
)
(_SERVICE, _INSTANCE, _SCOPE, _ROLE, _SOURCE, _RECORD) = (
    INDEX[name] for name in ("service", "instance", "scope", "role", "source", "record")
)
(_PROVIDER, _REQUEST_MODEL, _RESPONSE_MODEL, _MODEL, _POOL, _AGENT) = (
    INDEX[name] for name in ("provider", "request_model", "response_model", "model", "pool", "agent")
)
(_INPUT, _READ, _WRITE, _FIRST_TOKEN, _TOKENS_RULE) = (
    INDEX[name]
    for name in (
        "input_tokens", "cache_read_tokens", "cache_write_tokens", "first_token_seconds", "tokens_rule",
    )
)  # fmt: skip
(_METHOD, _HTTP, _ERROR_TYPE, _FAILED, _CLASS, _REASON) = (
    INDEX[name] for name in ("method", "http_status", "error_type", "failed", "error_class", "error_reason")
)
(_RETRYABLE, _DIMENSION, _RETRY_AFTER, _EXC_TYPE, _EXC_MESSAGE, _SAMPLED, _ATTRS) = (
    INDEX[name]
    for name in (
        "retryable", "limit_dimension", "retry_after_seconds", "exception_type", "exception_message",
        "sampled_one_in", "attrs",
    )
)  # fmt: skip
