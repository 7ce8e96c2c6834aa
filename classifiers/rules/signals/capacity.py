# ruff: noqa: E501 - a pattern is read whole, and a table has its columns
"""The provider lacks room, or a window says wait."""

from functools import partial
from typing import Final

from penstock.classifiers._rule import Rule, Tier, rule

_signal = partial(rule, tier=Tier.SIGNAL)

_OPENAI = "https://platform.openai.com/docs/guides/error-codes"
_ANTHROPIC = "https://github.com/anthropics/anthropic-sdk-python (src/anthropic/_exceptions.py)"
_AWS = "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html"
_DASHSCOPE = "https://help.aliyun.com/zh/model-studio/error-code"

CAPACITY: Final[tuple[Rule, ...]] = (
    # Capacity of the provider.
    _signal(
        "overloaded.code", "overloaded.overloaded", source=_ANTHROPIC,
        signals="overloaded_error OverloadedError engine_overloaded_error engine_overloaded server_overloaded "
        "ServerOverloaded model_overloaded server_is_overloaded ModelOverloadedError "
        "ServerOverloadedError overloaded_exception",
        example={"status_code": 500, "body": {"type": "error", "error": {"type": "overloaded_error"}}},
        not_example={"status_code": 500, "body": {"type": "error", "error": {"type": "api_error"}}},
    ),
    _signal(
        "overloaded.capacity_code", "overloaded.capacity",
        source="https://developers.cloudflare.com/workers-ai/platform/errors/; Google ErrorInfo reasons; Cerebras",
        signals="MODEL_CAPACITY_EXHAUSTED capacity_exceeded NoCapacity no_capacity insufficient_capacity "
        "service_tier_capacity_exceeded ModelServingOverloaded resource_unavailable_error "
        "InsufficientModelCapacity model_capacity_exceeded ServerOverload over_capacity queue_exceeded",
        example={"status_code": 503, "body": {"error": {"status": "UNAVAILABLE", "details": [
            {"reason": "MODEL_CAPACITY_EXHAUSTED"}]}}},
        not_example={"status_code": 503, "body": {"error": {"code": "service_unavailable"}}},
    ),
    _signal(
        "cloudflare.capacity", "overloaded.capacity",
        source="https://developers.cloudflare.com/workers-ai/platform/errors/",
        providers="cloudflare", signals="3040",
        example={"provider": "cloudflare", "status_code": 429, "body": {"errors": [{"code": 3040}]}},
        not_example={"provider": "zhipu", "status_code": 429, "body": {"errors": [{"code": 3040}]}},
    ),
    _signal(
        "zhipu.busy", "overloaded.overloaded", source="https://docs.z.ai/api-reference/api-code",
        providers="zhipu zai", signals="1305 1312",
        example={"provider": "zhipu", "status_code": 429, "body": {"error": {"code": "1305"}}},
        not_example={"provider": "zhipu", "status_code": 429, "body": {"error": {"code": "1302"}}},
    ),
    _signal(
        "bedrock.not_ready", "overloaded.model_loading", source=_AWS,
        signals="ModelNotReadyException model_loading ModelLoadingError estimated_time",
        example={"status_code": 429, "exception_type": "botocore.errorfactory.ModelNotReadyException"},
        not_example={"status_code": 429, "exception_type": "botocore.errorfactory.ThrottlingException"},
    ),
    # Windows.
    _signal(
        "rate.ramp", "rate_limit.ramp", source=f"{_OPENAI} (slow_down); {_ANTHROPIC}; {_DASHSCOPE} (limit_burst_rate)",
        signals="ramp_limit_exceeded RampLimitExceededError acceleration_limit_exceeded slope_limit_exceeded "
        "slow_down limit_burst_rate BurstRate",
        limit_dimension="ramp",
        example={"status_code": 429, "body": {"error": {"type": "rate_limit_error",
                 "details": {"error_code": "ramp_limit_exceeded"}}}},
        not_example={"status_code": 429, "body": {"error": {"type": "rate_limit_error"}}},
    ),
    _signal(
        "penstock.backpressure", "rate_limit.client_side", source="penstock: refused by its own queue",
        signals="penstock_backpressure Backpressure WouldExceedDeadline", limit_dimension="client_queue",
        scope="local",
        example={"status_code": 429, "body": {"error": {"code": "penstock_backpressure", "message": "queue full"}}},
        not_example={"status_code": 429, "body": {"error": {"code": "rate_limit_exceeded", "message": "queue"}}},
    ),
    _signal(
        "zhipu.concurrency", "rate_limit.concurrency", source="https://docs.bigmodel.cn/cn/api/api-code",
        providers="zhipu zai", signals="1302", text="concurren(cy|t)",
        limit_dimension="concurrency",
        example={"provider": "zhipu", "status_code": 429, "message": "High concurrency usage of this API",
                 "body": {"error": {"code": "1302", "message": "High concurrency usage of this API"}}},
        not_example={"provider": "zhipu", "status_code": 429, "body": {"error": {"code": "1302"}}},
    ),
    _signal(
        "zhipu.rate", "rate_limit.rpm", source="https://docs.bigmodel.cn/cn/api/api-code",
        providers="zhipu zai", signals="1302 1303", limit_dimension="requests_per_minute",
        example={"provider": "zhipu", "status_code": 429, "body": {"error": {"code": "1302"}}},
        not_example={"provider": "zhipu", "status_code": 429, "body": {"error": {"code": "1113"}}},
    ),
    _signal(
        "mistral.rate", "rate_limit.rpm", source="https://docs.mistral.ai/api/ (code 1300)",
        signals="rate_limited 1300", providers="mistral", limit_dimension="requests_per_minute",
        example={"provider": "mistral", "status_code": 429, "body": {"type": "rate_limited", "code": "1300"}},
        not_example={"provider": "mistral", "status_code": 429, "body": {"type": "invalid_request_error", "code": "3505"}},
    ),
    _signal(
        "rate.code", "rate_limit", source=f"{_OPENAI}; {_DASHSCOPE}",
        signals="rate_limit_exceeded RateLimitReached rate_limit_reached_error rate_limit_reached rateLimitExceeded "
        "RATE_LIMIT_EXCEEDED limit_requests Throttling.RateQuota RateQuota "
        "AllocationQuota rate_limited user_rate_limited too_many_requests_error rate_limit_reached_requests "
        "REQUEST_LIMIT_EXCEEDED userRateLimitExceeded RateLimitExceeded rate_limit_exceeded_error "
        "requests_limit_reached FreeUserRateLimit",
        example={"status_code": 413, "body": {"error": {"type": "tokens", "code": "rate_limit_exceeded", "message": ""}}},
        not_example={"status_code": 413, "body": {"error": {"type": "invalid_request_error", "message": ""}}},
    ),
)  # fmt: skip
