"""The normalised span: one row each. Nanoseconds since 1970; cached tokens are inside input."""

from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa

# Name -> Arrow type. The order is the store's; `INDEX` gives a column's place in it.
COLUMNS: Final[dict[str, str]] = {
    "trace_id": "string",
    "span_id": "string",
    "parent_id": "string",
    "name": "string",
    "kind": "int8",
    "start_ns": "int64",
    "end_ns": "int64",
    "status": "int8",
    "status_message": "string",
    "service": "string",
    "instance": "string",
    "scope": "string",
    "role": "string",
    "operation": "string",
    "provider": "string",
    "request_model": "string",
    "response_model": "string",
    "model": "string",
    "pool": "string",
    "input_tokens": "int64",
    "output_tokens": "int64",
    "cache_read_tokens": "int64",
    "cache_write_tokens": "int64",
    "reasoning_tokens": "int64",
    "max_tokens": "int64",
    "first_token_seconds": "float64",
    "finish_reason": "string",
    "stream": "bool",
    "conversation": "string",
    "agent": "string",
    "tool": "string",
    "server": "string",
    "method": "string",
    "http_status": "int32",
    "error_type": "string",
    "failed": "bool",
    "error_class": "string",
    "error_reason": "string",
    "retryable": "bool",
    "limit_dimension": "string",
    "retry_after_seconds": "float64",
    "attempt": "int32",
    "attempts": "int32",
    "queued_seconds": "float64",
    "end_how": "string",
    "trust": "string",
    "fallback_from": "string",
    "guard_action": "string",
    "guard_outcome": "string",
    "guard_requires": "string",
    "dedupe": "string",
    "quota_requests_limit": "float64",
    "quota_requests_remaining": "float64",
    "quota_requests_reset": "float64",
    "quota_tokens_limit": "float64",
    "quota_tokens_remaining": "float64",
    "quota_tokens_reset": "float64",
    "task_id": "string",
    "task_name": "string",
    "tenant": "string",
    "request_id": "string",
    "prefix": "string",
    "exception_type": "string",
    "exception_message": "string",
    "sampled_one_in": "float64",
    "tokens_rule": "string",
    "attrs": "string",
    "source": "int32",
    "record": "int64",
}

INDEX: Final[dict[str, int]] = {name: i for i, name in enumerate(COLUMNS)}


@cache
def arrow_schema() -> "pa.Schema":
    """Build the Arrow schema of a decoded batch."""
    import pyarrow as pa

    types = {
        "string": pa.string(),
        "int8": pa.int8(),
        "int32": pa.int32(),
        "int64": pa.int64(),
        "float64": pa.float64(),
        "bool": pa.bool_(),
    }
    return pa.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
