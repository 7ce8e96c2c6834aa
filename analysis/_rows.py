"""One span in any dialect -> one row of `COLUMNS`."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import orjson

from penstock.analysis._columns import COLUMNS, INDEX
from penstock.analysis._plan import BASE, COLUMN_OF, JSON_OF, MILLISECONDS, ROLES, Plan, Roles, compile_plan
from penstock.analysis._values import READERS, as_text
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
_MOST_PLANS: Final = 4096
_UNSEEN: Final = object()
_PLANS: Final[dict[object, object]] = {}


class Origin(NamedTuple):
    """What all spans of one batch share, in the order of `BASE`'s end."""

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
    row, rest, roles = _fill((None, *ids, name, kind, *times, *status, *origin), attributes)
    for event in events:
        _read_event(row, event, times[0])
    role = row[_ROLE] = _role(attributes, row, roles)
    if trace_state:
        row[_SAMPLED] = _sampling(trace_state)
    if rest:
        row[_ATTRS] = _dumps(rest)
    if role != "other":
        _complete(row, attributes)
    row[_FAILED] = _is_failure(row, attributes)
    if row[_FAILED] and role not in {"other", "queue"}:
        _judge(row, role, attributes, events)
    return row


def _fill(base: tuple[object, ...], attributes: Attributes) -> tuple[Row, dict[str, object], Roles]:
    """Lay out a row from None and `BASE`: by the plan of the attributes' shape, or one by one without."""
    values = attributes.values()
    shape = (tuple(attributes), tuple(map(type, values)))
    plan = _PLANS.get(shape, _UNSEEN)
    if plan is _UNSEEN:
        plan = compile_plan(*shape)
        if len(_PLANS) < _MOST_PLANS:
            _PLANS[shape] = plan
    if isinstance(plan, Plan):
        whole = (*base, *values)
        row = plan.fill(whole)
        if row is not None:
            return row, plan.rest(whole), plan.roles
    row = _BLANK.copy()
    for index, value in zip(BASE, base[1:], strict=True):
        row[index] = value
    return row, _promote(row, attributes), ROLES


def _promote(row: Row, attributes: Attributes) -> dict[str, object]:
    """Move known attributes into their columns, best spelling first; return the others."""
    rest: dict[str, object] = {}
    found: list[tuple[int, int, object, str, object]] = []
    for key, value in attributes.items():
        if (rule := COLUMN_OF.get(key)) is not None:
            index, rank = rule
            if (read := READERS[index](value)) is not None:
                found.append((rank, index, read, key, value))
            elif value is not None and value != "":
                rest[key] = value
        elif key in JSON_OF:
            found += _from_json(key, value)
            rest[key] = value
        elif key in MILLISECONDS and isinstance(value, int | float):
            found.append((0, _FIRST_TOKEN, value * MILLISECONDS[key], key, value))
        elif value is not None:
            rest[key] = value
    found.sort(key=lambda one: one[0])
    for _, index, read, key, value in found:
        if row[index] is None:
            row[index] = read
        elif key not in JSON_OF:
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
    for name, index in JSON_OF[key].items():
        if (read := READERS[index](value.get(name))) is not None:
            found.append((1, index, read, key, value))
    return found


def _read_event(row: Row, event: Event, start: int | None) -> None:
    name, when, attributes = event
    if name == "exception":
        kind, text = attributes.get("exception.type"), attributes.get("exception.message")
        row[_EXC_TYPE] = as_text(kind) or row[_EXC_TYPE]
        row[_EXC_MESSAGE] = as_text(text) or row[_EXC_MESSAGE]
    elif name in _FIRST_TOKEN_EVENTS and row[_FIRST_TOKEN] is None and when is not None and start:
        row[_FIRST_TOKEN] = max(0, when - start) / 1e9


def _role(attributes: Attributes, row: Row, roles: Roles) -> str:
    for attribute, values in roles:
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
    verdict = judge(role, attributes, as_text(row[_MESSAGE]), events, as_text(row[_NAME]))
    row[_CLASS], row[_REASON], row[_RETRYABLE] = verdict.error_class.value, verdict.reason, verdict.retryable
    row[_DIMENSION] = row[_DIMENSION] or verdict.limit_dimension
    if row[_RETRY_AFTER] is None:
        row[_RETRY_AFTER] = verdict.retry_after
    row[_FAILED] = verdict.error_class.value != "cancelled"


def _dumps(rest: dict[str, object]) -> str:
    return orjson.dumps(rest, default=str, option=orjson.OPT_NON_STR_KEYS).decode("utf-8", "replace")


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
