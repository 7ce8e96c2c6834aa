"""Ingest one file by several ways, each in a process of its own, and time questions on the result.

    python benchmarks/ingest/measure.py --spans 200000

Every way must find the same number of spans and the same sum of input tokens. Rates move with the machine's load: compare within one run.
"""

# ruff: noqa: E501 - schemas read as the tables they are

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.ingest.generate import write


def ours(path: Path, folder: Path) -> Path:
    """Penstock: everything up to the resolved store, a process a core."""
    from penstock.analysis import open_spans

    with open_spans([str(path)], store=folder):
        pass
    return next(folder.rglob("spans.parquet"))


def pyarrow_json(path: Path, folder: Path) -> Path:
    """pyarrow's JSON reader; the nested columns are flattened, attributes stay lists."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.json as pj
    import pyarrow.parquet as pq

    table = pj.read_json(path, read_options=pj.ReadOptions(block_size=64 << 20))
    batches = pc.list_flatten(table["resourceSpans"].combine_chunks())
    spans = pc.list_flatten(pc.struct_field(pc.list_flatten(pc.struct_field(batches, "scopeSpans")), "spans"))
    target = folder / "spans.parquet"
    pairs = pc.struct_field(spans, "attributes")
    owners, flat = pc.list_parent_indices(pairs), pc.list_flatten(pairs)
    mask = pc.equal(pc.struct_field(flat, "key"), "gen_ai.usage.input_tokens")
    values = pc.cast(pc.struct_field(pc.filter(flat, mask), ["value", "intValue"]), pa.int64())
    tokens = pa.array([None] * len(spans), pa.int64()).to_pylist()
    for owner, value in zip(pc.filter(owners, mask).to_pylist(), values.to_pylist(), strict=True):
        tokens[owner] = value
    columns = {name: pc.struct_field(spans, name) for name in ("traceId", "spanId", "name", "attributes")}
    pq.write_table(pa.table({**columns, "input_tokens": pa.array(tokens)}), target, compression="zstd")
    return target


WAYS = {way.__name__: way for way in (ours, pyarrow_json)}


def floor(path: Path) -> None:
    """Time parsing alone, which no decoder in Python can beat."""
    import msgspec
    import orjson

    lines = path.read_bytes().splitlines()[:40]
    size = sum(map(len, lines)) / 1e6
    for name, parse in (("orjson", orjson.loads), ("msgspec", msgspec.json.decode)):
        began = time.process_time()
        for line in lines:
            parse(line)
        print(
            json.dumps({"parse only": name, "mb_per_cpu_second": round(size / (time.process_time() - began))})
        )


def one(way: str, path: Path) -> None:
    """Run one way in this process and print what it cost."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        target = WAYS[way](path, Path(folder))
        seconds = time.perf_counter() - began
        import duckdb

        spans, tokens = duckdb.execute(f"SELECT count(*), sum(input_tokens) FROM '{target}'").fetchone()
        size = target.stat().st_size
        usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        print(json.dumps({
            "way": way, "seconds": round(seconds, 2), "cpu_seconds": round(sum(u.ru_utime + u.ru_stime for u in usage), 2),
            "spans_per_second": round(spans / seconds), "peak_rss_mb": max(u.ru_maxrss for u in usage) // 1024,
            "size_ratio": round(size / path.stat().st_size, 4), "spans": spans, "tokens": int(tokens),
        }))  # fmt: skip


def questions(path: Path, store: str) -> None:
    """Time each verb from a new process on a store that is filled."""
    base = _timed([sys.executable, "-c", "import typer, rich, duckdb"], {})
    print(json.dumps({"import typer, rich, duckdb": round(base, 3)}))
    env = {"XDG_CACHE_HOME": store}
    command = [sys.executable, "-m", "penstock", "traces"]
    print(json.dumps({"first summary": round(_timed([*command, "summary", str(path)], env), 2)}))
    for verb in ("errors", "concurrency", "summary", "storms", "fanout", "quota"):
        seconds = sorted(_timed([*command, verb, str(path)], env) for _ in range(3))[1]
        print(json.dumps({verb: round(seconds, 3), "over imports": round(seconds - base, 3)}))


def _timed(command: list[str], env: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **env})
    return time.perf_counter() - began


def main() -> None:
    """Generate, then run each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=200_000)
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    if options.way:
        one(options.way, options.file)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = options.file or Path(folder) / "spans.jsonl"
        if not options.file:
            print(write(path, options.spans), "spans,", path.stat().st_size >> 20, "MiB")
        for way in WAYS:
            subprocess.run(
                [sys.executable, "-m", "benchmarks.ingest.measure", "--way", way, "--file", path], check=False
            )
        floor(path)
        questions(path, folder)


if __name__ == "__main__":
    main()
