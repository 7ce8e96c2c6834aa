"""The Collector's `otel_traces` in ClickHouse, read as our columns by SQL.

The same table of spellings, roles and providers that reads files is written out as one SELECT, so that
nothing but answers leaves the server. Every attribute is text there, and a missing one reads ''. What
takes more than SQL, the class of a failure that does not name it, is marked `unnamed`.

Source of the table: `exporter/clickhouseexporter` of opentelemetry-collector-contrib.
"""

from collections.abc import Iterable
from typing import Final

from penstock.analysis._columns import COLUMNS
from penstock.analysis._dialect import dialects
from penstock.analysis._meaning import FIRST_TOKEN_EVENTS, KIND_CLIENT, PROVIDERS, STATUS_ERROR, STATUS_OK

NEEDED: Final = frozenset({
    "Timestamp", "TraceId", "SpanId", "ParentSpanId", "TraceState", "SpanName", "SpanKind", "ServiceName",
    "ResourceAttributes", "ScopeName", "SpanAttributes", "Duration", "StatusCode", "StatusMessage",
    "Events.Timestamp", "Events.Name", "Events.Attributes",
})  # fmt: skip
"""The columns that are read."""

SETTINGS: Final = {"cast_keep_nullable": 1, "precise_float_parsing": 1, "prefer_column_name_to_alias": 1}
"""Without these the SELECT means something else."""

_KINDS: Final = ("internal", "server", "client", "producer", "consumer")
_TYPES: Final = {
    "string": "String", "int8": "Int8", "int32": "Int32", "int64": "Int64", "float64": "Float64",
    "bool": "Bool",
}  # fmt: skip
_SETTLED_LATER: Final = {
    "provider": "told_provider", "pool": "told_pool", "input_tokens": "told_input_tokens",
}  # fmt: skip
"""Columns of which attributes have not the last word."""


def normalised(table: str, condition: str = "1") -> str:
    """Give the SELECT of `table` as our columns.

    `unnamed` marks a failure that nobody classified yet; its attributes and events go with it as JSON.
    """
    columns = ",\n  ".join(
        f"CAST({name} AS Nullable({_TYPES[kind]})) AS {name}" for name, kind in COLUMNS.items()
    )
    return f"""SELECT
  {columns},
  coalesce(failed AND error_class IS NULL AND role NOT IN ('other', 'queue'), false) AS unnamed,
  if(unnamed, toJSONString(SpanAttributes), '') AS unnamed_attributes,
  if(unnamed, toJSONString(arrayZip(`Events.Name`, `Events.Attributes`)), '') AS unnamed_events
FROM (
SELECT *,
  {_failed()} AS failed,
  {_provider()} AS provider,
  if(role = 'other', NULL, coalesce(request_model, response_model)) AS model,
  if(role = 'other' OR told_pool IS NOT NULL OR (provider IS NULL AND model IS NULL), told_pool,
    concat(coalesce(provider, 'unknown'), ':', coalesce(model, 'unknown'))) AS pool,
  coalesce(role != 'other' AND cached > 0 AND (by_botocore OR cached > told_input_tokens), false)
    AS adds_cached,
  told_input_tokens + if(adds_cached, cached, 0) AS input_tokens,
  if(adds_cached AND told_input_tokens IS NOT NULL, 'cached_added', NULL) AS tokens_rule
FROM (
SELECT *, {_role()} AS role
FROM (
SELECT
  SpanAttributes, `Events.Name`, `Events.Attributes`,
  {_read()},
  {_base()}
FROM {table}
WHERE {condition}
)))"""  # noqa: S608 - of our own words, but for the quoted table and bounds of numbers


def view(table: str, name: str) -> str:
    """Give the statement that makes a view of `table` with our columns.

    Relations between spans (duplicates, operations, attempts) take more than a view: the verbs find them.
    """
    columns = ", ".join(COLUMNS)
    settings = ", ".join(f"{setting} = {value}" for setting, value in SETTINGS.items())
    return (
        f"CREATE OR REPLACE VIEW {name} AS\nSELECT {columns} FROM (\n{normalised(table)}\n)\n"
        f"SETTINGS {settings}"
    )


def _base() -> str:
    """Read what does not come from attributes."""
    told = {
        "trace_id": _hex("TraceId", 32),
        "span_id": _hex("SpanId", 16),
        "parent_id": _hex("ParentSpanId", 16),
        "name": _said("SpanName"),
        "kind": f"transform(lower(SpanKind), {_list(_KINDS)}, [1, 2, 3, 4, 5], 0)",
        "start_ns": "toUnixTimestamp64Nano(Timestamp)",
        "end_ns": "start_ns + reinterpretAsInt64(Duration)",  # a negative duration wrapped around
        "status": "transform(lower(StatusCode), ['ok', 'error'], [1, 2], 0)",
        "status_message": _said("StatusMessage"),
        "service": f"coalesce({_said('ServiceName')}, {_said(_resource('service.name'))})",
        "instance": _said(_resource("service.instance.id")),
        "scope": _said("ScopeName"),
        "exception_type": _exception("type"),
        "exception_message": _exception("message"),
        "sampled_one_in": _sampled(),
        "attrs": _attrs(),
        "source": "0",
        "record": "NULL",
        "cached": "coalesce(cache_read_tokens, 0) + coalesce(cache_write_tokens, 0)",
        "by_botocore": f"{_attribute('rpc.service')} != '' AND position(ScopeName, 'botocore') > 0",
        "level": _attribute("langfuse.observation.level"),
        "told_role": _told_role(),
    }
    return ",\n  ".join(f"{sql} AS {name}" for name, sql in told.items())


def _read() -> str:
    """Read each column's best spelling; `used_…` names the attribute that it was taken from."""
    columns = []
    for column, readers in _readings().items():
        name = _SETTLED_LATER.get(column, column)
        columns += [
            f"[{', '.join(sql for _, sql in readers)}] AS said_{column}",
            f"arrayFirst(v -> v IS NOT NULL, said_{column}) AS {name}",
            f"{_list(name for name, _ in readers)}[arrayFirstIndex(v -> v IS NOT NULL, said_{column})]"
            f" AS used_{column}",
        ]
    return ",\n  ".join(columns)


def _readings() -> dict[str, list[tuple[str, str]]]:
    """Give each column's spellings, best first: the attribute and how it is read."""
    table = dialects()
    found = {
        column: [(name, _reader(column, _attribute(name))) for name in names]
        for column, names in table.spellings.items()
    }
    for attribute, keys in table.json_columns.items():
        for key, column in keys.items():  # ranks behind the second spelling, as in files; stays in attrs
            found[column].insert(2, ("", _reader(column, _member(_attribute(attribute), key))))
    found["first_token_seconds"].append(("", _first_token()))
    return found


def _reader(column: str, text: str) -> str:
    """Read text as the column's type; what cannot be read is absent."""
    number = f"toFloat64OrNull(trim({text}))"
    match COLUMNS[column]:
        case "string":
            return _plain(text)
        case "float64":
            return f"if(isFinite({number}), {number}, NULL)"
        case "bool":
            truth = f"transform(lower({text}), ['true', '1', 'false', '0'], [1, 1, 0, 0], 2)"
            return f"nullIf({truth}, 2)"
        case kind:
            most = f"exp2({62 if kind == 'int64' else 31})"
            return f"if(abs({number}) < {most}, accurateCastOrNull(trunc({number}), 'Int64'), NULL)"


def _plain(text: str) -> str:
    """Read text; of a list that travelled as JSON its first element."""
    first = f"JSONExtractRaw({text}, 1)"
    inside = (
        f"multiIf(startsWith({text}, '\"'), JSONExtractString({text}), "
        f"startsWith({first}, '\"'), JSONExtractString({text}, 1), {first} = 'null', '', {first})"
    )
    looks = f"match({text}, '^[\\\\[\"](.|\\\\n)*[\\\\]\"]$') AND isValidJSON({text})"
    return f"nullIf(if({looks}, {inside}, {text}), '')"


def _member(text: str, key: str) -> str:
    raw, word = (f"JSONExtract{form}({text}, {_text(key)})" for form in ("Raw", "String"))
    return f"multiIf(startsWith({raw}, '\"'), {word}, {raw} = 'null', '', {raw})"


def _first_token() -> str:
    marks = _list(sorted(FIRST_TOKEN_EVENTS))
    at = f"arrayFirst((t, n) -> has({marks}, n), `Events.Timestamp`, `Events.Name`)"
    passed = f"greatest(0, toUnixTimestamp64Nano({at}) - toUnixTimestamp64Nano(Timestamp)) / 1e9"
    return f"if(hasAny(`Events.Name`, {marks}), {passed}, NULL)"


def _exception(part: str) -> str:
    """Take the last exception's word."""
    word = f"if(n = 'exception', a[{_text(f'exception.{part}')}], '')"
    words = f"arrayMap((n, a) -> {word}, `Events.Name`, `Events.Attributes`)"
    return f"nullIf(arrayElement(arrayFilter(v -> v != '', {words}), -1), '')"


def _sampled() -> str:
    """Read OpenTelemetry's `ot=th:…` rejection threshold as "one in N"."""
    threshold = "extract(TraceState, '(?:^|,)\\\\s*ot\\\\s*=(?:[^,]*;)?th:([0-9a-f]+)(?:[;,]|$)')"
    digits = f"rightPad(substring({threshold}, 1, 14), 14, '0')"
    kept = f"(1 - reinterpretAsUInt64(reverse(unhex({digits}))) / exp2(56))"
    return f"if({threshold} != '' AND {kept} > 0 AND {kept} < 1, 1 / {kept}, NULL)"


def _attrs() -> str:
    """Keep what filled no column: unknown names, lesser spellings, values that could not be read."""
    used = ", ".join(f"used_{column}" for column in dialects().spellings)
    rest = f"mapFilter((k, v) -> v != '' AND NOT has([{used}], k), SpanAttributes)"
    return f"if(empty({rest}), NULL, toJSONString({rest}))"


def _told_role() -> str:
    rules = []
    for attribute, values in dialects().roles:
        listed = {word: role for word, role in values.items() if word != "*"}
        word = f"lower(trim(BOTH '\"' FROM {_attribute(attribute)}))"
        otherwise = f"if({_attribute(attribute)} = '', '', {_text(values.get('*', ''))})"
        rules.append(f"nullIf(transform({word}, {_list(listed)}, {_list(listed.values())}, {otherwise}), '')")
    return f"coalesce({', '.join(rules)})"


def _role() -> str:
    return f"""multiIf(
    told_role IS NOT NULL, told_role,
    request_model IS NOT NULL AND coalesce(name, '') != 'raw_gen_ai_request',
      if(agent IS NOT NULL AND told_input_tokens IS NULL, 'task', 'operation'),
    method IS NOT NULL OR (http_status IS NOT NULL AND kind = {KIND_CLIENT}),
      if(kind = {KIND_CLIENT}, 'http', 'other'),
    agent IS NOT NULL, 'task', 'other')"""


def _provider() -> str:
    word = "lower(assumeNotNull(told_provider))"
    known = f"transform({word}, {_list(PROVIDERS)}, {_list(PROVIDERS.values())}, {word})"
    asked = "coalesce(request_model, response_model)"
    return f"""multiIf(role = 'other', told_provider, told_provider IS NOT NULL, {known},
    position({asked}, '/') > 0, splitByChar('/', assumeNotNull({asked}))[1], NULL)"""


def _failed() -> str:
    return f"""if(error_class IS NOT NULL, error_class != 'cancelled', status = {STATUS_ERROR}
    OR coalesce(http_status >= 400, false) OR (error_type IS NOT NULL AND status != {STATUS_OK})
    OR level = 'ERROR')"""


def _hex(column: str, digits: int) -> str:
    padded = f"if(match({column}, '^[0-9a-fA-F]+$'), leftPad(lower({column}), {digits}, '0'), {column})"
    return f"if(replaceAll({column}, '0', '') = '', NULL, {padded})"


def _attribute(name: str) -> str:
    return f"SpanAttributes[{_text(name)}]"


def _resource(name: str) -> str:
    return f"ResourceAttributes[{_text(name)}]"


def _said(column: str) -> str:
    return f"nullIf(toString({column}), '')"


def _list(values: Iterable[str]) -> str:
    return f"[{', '.join(map(_text, values))}]"


def _text(value: str) -> str:
    """Quote text."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
