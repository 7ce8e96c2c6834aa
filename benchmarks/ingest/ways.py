"""Ways from a Collector's JSON lines to Parquet: every one keeps all attributes and gives 20 of them columns.

Each is written as its library is meant to be used, with the whole file at once where there is no other
way, and all the cores there are.
"""

# ruff: noqa: E501 - schemas read as the tables they are

from collections.abc import Callable
from pathlib import Path
from typing import Final

KEYS: Final = (
    "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model",
    "gen_ai.response.id", "gen_ai.request.max_tokens", "gen_ai.request.temperature", "gen_ai.conversation.id",
    "gen_ai.agent.name", "gen_ai.tool.name", "gen_ai.tool.call.id", "server.address", "server.port",
    "http.response.status_code", "error.type", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens",
    "gen_ai.usage.cache_read.input_tokens", "app.tenant", "app.release",
)  # fmt: skip
TOKENS: Final = "gen_ai.usage.input_tokens"
Way = Callable[[Path, Path], Path]


def penstock(path: Path, folder: Path) -> Path:
    """Read it as the verbs do, up to the related store."""
    from penstock.analysis import open_spans

    with open_spans([str(path)], store=folder):
        pass
    return next(folder.rglob("spans"))


def duckdb_read_json(path: Path, folder: Path) -> Path:
    """Use DuckDB's `read_json` with an explicit schema, as its documentation has it."""
    import duckdb

    value = "STRUCT(stringValue VARCHAR, intValue VARCHAR, doubleValue DOUBLE, boolValue BOOLEAN, arrayValue JSON)"
    span = (
        "STRUCT(traceId VARCHAR, spanId VARCHAR, parentSpanId VARCHAR, name VARCHAR, kind INTEGER, startTimeUnixNano VARCHAR, "
        f'endTimeUnixNano VARCHAR, status STRUCT(code INTEGER, message VARCHAR), attributes STRUCT("key" VARCHAR, "value" {value})[], events JSON)'
    )
    schema = f"STRUCT(resource JSON, scopeSpans STRUCT(scope JSON, spans {span}[])[])[]"
    text = "coalesce(v.stringValue, v.intValue, v.doubleValue::VARCHAR, v.boolValue::VARCHAR, v.arrayValue::VARCHAR)"
    at = "s.attributes[list_position(keys, '{key}')].value"
    columns = ", ".join(
        f'{text.replace("v.", at.format(key=key) + ".")} AS "{"input_tokens" if key == TOKENS else key}"'
        for key in KEYS
    )
    target = folder / "spans.parquet"
    duckdb.execute(f"""
        COPY (
          WITH batches AS (SELECT unnest(resourceSpans) AS r FROM read_json('{path}', format = 'newline_delimited',
                           columns = {{resourceSpans: '{schema}'}}, maximum_object_size = {16 << 20})),
          scopes AS (SELECT unnest(r.scopeSpans) AS held FROM batches), spans AS (SELECT unnest(held.spans) AS s FROM scopes),
          keyed AS (SELECT s, list_transform(s.attributes, lambda a: a.key) AS keys FROM spans)
          SELECT s.traceId, s.spanId, s.parentSpanId, s.name, s.kind, s.startTimeUnixNano::BIGINT AS start_ns, s.endTimeUnixNano::BIGINT AS end_ns,
                 s.status.code AS status, s.status.message AS message, s.events AS events, {columns},
                 map(keys, list_transform(s.attributes, lambda a: {text.replace("v.", "a.value.")})) AS attributes
          FROM keyed) TO '{target}' (FORMAT parquet, COMPRESSION zstd)""")
    return target


def chdb(path: Path, folder: Path) -> Path:
    """Use ClickHouse, embedded, with a schema of named tuples."""
    from chdb import connect

    value = "Tuple(stringValue Nullable(String), intValue Nullable(String), doubleValue Nullable(Float64), boolValue Nullable(Bool), arrayValue Tuple(values Array(Tuple(stringValue Nullable(String)))))"
    event = f"Tuple(name String, timeUnixNano UInt64, attributes Array(Tuple(key String, value {value})))"
    span = (
        "Tuple(traceId String, spanId String, parentSpanId String, name String, kind Int8, startTimeUnixNano UInt64, endTimeUnixNano UInt64, "
        f"status Tuple(code Int8, message String), attributes Array(Tuple(key String, value {value})), events Array({event}))"
    )
    schema = f"resourceSpans Array(Tuple(scopeSpans Array(Tuple(spans Array({span})))))"
    text = "coalesce(v.stringValue, v.intValue, toString(v.doubleValue), toString(v.boolValue), toString(v.arrayValue))"
    columns = ", ".join(f"held['{key}'] AS `{'input_tokens_text' if key == TOKENS else key}`" for key in KEYS)
    target = folder / "spans.parquet"
    con = connect(":memory:")
    con.query(f"""
        SELECT s.traceId, s.spanId, s.parentSpanId, s.name, s.kind, s.startTimeUnixNano AS start_ns, s.endTimeUnixNano AS end_ns,
               s.status.code AS status, s.status.message AS message, toJSONString(s.events) AS events,
               mapFromArrays(arrayMap(a -> a.key, s.attributes), arrayMap(a -> {text.replace("v.", "a.value.")}, s.attributes)) AS held,
               {columns}, toInt64OrNull(held['{TOKENS}']) AS input_tokens
        FROM (SELECT arrayJoin(arrayJoin(arrayJoin(resourceSpans).scopeSpans).spans) AS s FROM file('{path}', JSONEachRow, '{schema}'))
        INTO OUTFILE '{target}' FORMAT Parquet
        SETTINGS input_format_skip_unknown_fields = 1, input_format_json_ignore_unknown_keys_in_named_tuple = 1,
                 input_format_json_defaults_for_missing_elements_in_named_tuple = 1, output_format_parquet_compression_method = 'zstd'""")
    con.close()
    return target


def pyarrow(path: Path, folder: Path) -> Path:
    """Use pyarrow's JSON reader and its kernels; the whole file is one table."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.json as pj
    import pyarrow.parquet as pq

    table = pj.read_json(path, read_options=pj.ReadOptions(block_size=64 << 20))
    batches = pc.list_flatten(table["resourceSpans"].combine_chunks())
    spans = pc.list_flatten(pc.struct_field(pc.list_flatten(pc.struct_field(batches, "scopeSpans")), "spans"))
    pairs = pc.struct_field(spans, "attributes")
    owners, flat = pc.list_parent_indices(pairs), pc.list_flatten(pairs)
    names, values = pc.struct_field(flat, "key"), pc.struct_field(flat, "value")
    columns = {
        name: pc.struct_field(spans, name)
        for name in (
            "traceId",
            "spanId",
            "parentSpanId",
            "name",
            "kind",
            "startTimeUnixNano",
            "endTimeUnixNano",
            "status",
            "attributes",
            "events",
        )
    }
    rows = pa.array(range(len(spans)), pa.int64())
    for key in KEYS:
        mask = pc.equal(names, key)
        place = pc.index_in(rows, pc.cast(pc.filter(owners, mask), pa.int64()))
        columns["input_tokens" if key == TOKENS else key] = pc.take(pc.filter(values, mask), place)
    columns["input_tokens"] = pc.cast(pc.struct_field(columns["input_tokens"], "intValue"), pa.int64())
    target = folder / "spans.parquet"
    pq.write_table(pa.table(columns), target, compression="zstd")
    return target


def polars(path: Path, folder: Path) -> Path:
    """Use polars' line reader with a schema; attributes are spread over rows and turned into columns."""
    import polars as pl

    text = pl.String
    value = pl.Struct({
        "stringValue": text, "intValue": text, "doubleValue": pl.Float64, "boolValue": pl.Boolean,
        "arrayValue": pl.Struct({"values": pl.List(pl.Struct({"stringValue": text}))}),
    })  # fmt: skip
    pairs = pl.List(pl.Struct({"key": text, "value": value}))
    span = pl.Struct({
        "traceId": text, "spanId": text, "parentSpanId": text, "name": text, "kind": pl.Int64,
        "startTimeUnixNano": text, "endTimeUnixNano": text,
        "status": pl.Struct({"code": pl.Int64, "message": text}), "attributes": pairs,
        "events": pl.List(pl.Struct({"name": text, "timeUnixNano": text, "attributes": pairs})),
    })  # fmt: skip
    scopes = pl.List(pl.Struct({"spans": pl.List(span)}))
    spans = (
        pl.read_ndjson(path, schema={"resourceSpans": pl.List(pl.Struct({"scopeSpans": scopes}))})
        .select(
            pl.col("resourceSpans")
            .explode()
            .struct.field("scopeSpans")
            .explode()
            .struct.field("spans")
            .explode()
            .alias("s")
        )
        .unnest("s")
        .with_row_index("row")
    )
    flat = spans.select("row", "attributes").explode("attributes").unnest("attributes")
    columns = flat.filter(pl.col("key").is_in(list(KEYS))).pivot(
        on="key", index="row", values="value", aggregate_function="first"
    )
    tokens = pl.col(TOKENS).struct.field("intValue").cast(pl.Int64).alias("input_tokens")
    target = folder / "spans.parquet"
    spans.join(columns, on="row", how="left").with_columns(tokens).write_parquet(target, compression="zstd")
    return target


WAYS: Final[dict[str, Way]] = {
    "penstock": penstock,
    "duckdb read_json": duckdb_read_json,
    "chdb": chdb,
    "pyarrow": pyarrow,
    "polars": polars,
}
