"""The span contract: every attribute name that Penstock writes or reads, in one home.

`gen_ai.*`, `http.*`, `server.*` and `error.type` are OpenTelemetry's (GenAI conventions, status
Development); `penstock.*` is ours. Dashboards, analysis and docs import these constants.
"""

from typing import Final

# OpenTelemetry GenAI and HTTP
OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
USAGE_INPUT: Final = "gen_ai.usage.input_tokens"
USAGE_OUTPUT: Final = "gen_ai.usage.output_tokens"
USAGE_CACHE_READ: Final = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_WRITE: Final = "gen_ai.usage.cache_write.input_tokens"
TOOL_NAME: Final = "gen_ai.tool.name"
AGENT_NAME: Final = "gen_ai.agent.name"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
ERROR_TYPE: Final = "error.type"
HTTP_STATUS: Final = "http.response.status_code"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"

# Penstock
SPAN_KIND: Final = "penstock.span.kind"
KIND_TASK: Final = "task"
KIND_OPERATION: Final = "operation"
KIND_ATTEMPT: Final = "attempt"
KIND_TOOL: Final = "tool"
KIND_QUEUE: Final = "queue"

POOL: Final = "penstock.pool"
ATTEMPT_NUMBER: Final = "penstock.attempt.number"
ATTEMPT_PROVIDER: Final = "penstock.provider"
"""An attempt never carries `gen_ai.operation.name` or `gen_ai.usage.*`, or other backends would
count the call twice; its provider and model therefore have names of their own."""
ATTEMPT_MODEL: Final = "penstock.model"
ATTEMPTS: Final = "penstock.attempts"
DEDUPE: Final = "penstock.dedupe"
"""owner | inner | outer: which of several LLM spans of one call claims its tokens."""

ERROR_CLASS: Final = "penstock.error.class"
ERROR_GROUP: Final = "penstock.error.group"
ERROR_REASON: Final = "penstock.error.reason"
ERROR_RETRYABLE: Final = "penstock.error.retryable"
ERROR_SIDE_EFFECTS: Final = "penstock.error.side_effects"
ERROR_TAXONOMY: Final = "penstock.error.taxonomy_version"
LIMIT_DIMENSION: Final = "penstock.limit.dimension"
RETRY_AFTER: Final = "penstock.retry_after_seconds"

QUOTA_REQUESTS_LIMIT: Final = "penstock.quota.requests.limit"
QUOTA_REQUESTS_REMAINING: Final = "penstock.quota.requests.remaining"
QUOTA_REQUESTS_RESET: Final = "penstock.quota.requests.reset_seconds"
QUOTA_TOKENS_LIMIT: Final = "penstock.quota.tokens.limit"
QUOTA_TOKENS_REMAINING: Final = "penstock.quota.tokens.remaining"
QUOTA_TOKENS_RESET: Final = "penstock.quota.tokens.reset_seconds"

QUEUED_SECONDS: Final = "penstock.queued_seconds"
FIRST_BYTE_SECONDS: Final = "penstock.first_byte_seconds"
END: Final = "penstock.end"
"""How the answer's body ended: eof | closed | broken | collected | cancelled."""
TRUST: Final = "penstock.trust"
FALLBACK_FROM: Final = "penstock.fallback_from"
PREFIX: Final = "penstock.prompt_prefix"
"""Salted hash of the prompt's head; never text."""
ATTEMPT_INPUT: Final = "penstock.attempt.input_tokens"
ATTEMPT_OUTPUT: Final = "penstock.attempt.output_tokens"
ATTEMPT_CACHE_READ: Final = "penstock.attempt.cache_read_tokens"
ATTEMPT_CACHE_WRITE: Final = "penstock.attempt.cache_write_tokens"
REQUEST_ID: Final = "penstock.request_id"

TASK_ID: Final = "penstock.task.id"
TASK_NAME: Final = "penstock.task.name"
TASK_OPERATIONS: Final = "penstock.task.operations"
TASK_ATTEMPTS: Final = "penstock.task.attempts"
TASK_FANOUT_PEAK: Final = "penstock.task.fanout_peak"
"""Most live calls that the task had at one time."""
