# ruff: noqa: E501 - a pattern is read whole, and a table has its columns
"""Money and plans; and words about money that mean a window: who said it decides."""

from functools import partial
from typing import Final

from penstock.classifiers._rule import Rule, Tier, rule

_signal = partial(rule, tier=Tier.SIGNAL)

_OPENAI = "https://platform.openai.com/docs/guides/error-codes"
_ANTHROPIC = "https://github.com/anthropics/anthropic-sdk-python (src/anthropic/_exceptions.py)"
_DASHSCOPE = "https://help.aliyun.com/zh/model-studio/error-code"

MONEY: Final[tuple[Rule, ...]] = (
    # The same words, the opposite meaning: who said it decides.
    _signal(
        "dashscope.token_limit", "rate_limit.tpm", source=f"{_DASHSCOPE}#token-limit",
        signals="insufficient_quota AllocationQuota", providers="dashscope",
        unless="free tier|free quota|freetieronly", limit_dimension="tokens_per_minute",
        example={"provider": "dashscope", "status_code": 429, "body": {"error": {"code": "insufficient_quota"}}},
        not_example={"provider": "openai", "status_code": 429, "body": {"error": {"code": "insufficient_quota"}}},
    ),
    _signal(
        "dashscope.token_limit_link", "rate_limit.tpm", source=f"{_DASHSCOPE}#token-limit",
        text="aliyun com ~token limit", limit_dimension="tokens_per_minute",
        example="You exceeded your current quota. See https://help.aliyun.com/zh/model-studio/error-code#token-limit",
        not_example="You exceeded your current quota, please check your plan and billing details.",
    ),
    _signal(
        "gateway.saturated", "overloaded.capacity", source="https://github.com/QuantumNous/new-api",
        substrings=("已饱和", "负载饱和", "负载过高", "过载", "暂时不可用", "系统繁忙", "服务繁忙", "服务器繁忙", "访问量过大", "并发过高", "资源不足", "算力不足", "混雑", "混み合って", "сервер перегружен", "перегружена"),
        example={"status_code": 429, "body": {"error": {"code": "insufficient_quota", "message": "当前分组上游负载已饱和"}}},
        not_example={"status_code": 429, "body": {"error": {"code": "insufficient_quota", "message": "余额不足"}}},
    ),
    _signal(
        "together.credit_limit_words", "rate_limit.rpm",
        source="https://github.com/togethercomputer/MoA/issues/27",
        signals="credit_limit", text="rate (limited|limit) ~(queries|requests) per minute",
        limit_dimension="requests_per_minute",
        example={"status_code": 429, "body": {"error": {"type": "credit_limit",
                 "message": "You have been rate limited. Your rate limit is 60 queries per minute."}}},
        not_example={"status_code": 402, "body": {"error": {"type": "credit_limit", "message": "Credit limit exceeded"}}},
    ),
    # Money.
    _signal(
        "quota.spend", "quota.spend_limit", source=_ANTHROPIC,
        signals="enforced_spend_limit_reached contract_spend_limit_reached linked_organization_spend_limit_reached "
        "EnforcedSpendLimitReachedError ContractSpendLimitReachedError billing_hard_limit_reached "
        "BudgetExceededError budget_exceeded spend_limit_exceeded spending_limit_reached hard_limit_reached "
        "BudgetExceeded key_limit_exceeded max_budget_exceeded ExceededBudget SetLimitExceeded",
        limit_dimension="billing",
        example={"status_code": 429, "body": {"type": "error", "error": {"type": "rate_limit_error",
                 "details": {"error_code": "enforced_spend_limit_reached"}, "message": ""}}},
        not_example={"status_code": 429, "body": {"type": "error", "error": {"type": "rate_limit_error", "message": ""}}},
    ),
    _signal(
        "quota.balance", "quota.credit_balance", source=f"{_DASHSCOPE} (Arrearage); https://api-docs.deepseek.com",
        signals="Arrearage insufficient_balance InsufficientBalance InsufficientBalanceError insufficient_credits "
        "insufficient_funds PaymentRequiredError payment_required credit_balance_too_low billing_error "
        "billing_not_active NOT_ENOUGH_BALANCE insufficient_user_quota pre_consume_token_quota_failed "
        "INVALID_PAYMENT_INSTRUMENT AccountOverdueError insufficient_credit CreditsError out_of_credits "
        "balance_insufficient InsufficientCreditsError credits_exhausted quota_insufficient "
        "PrepaidBillOverdue PostpaidBillOverdue ServiceOverdue insufficient_account_balance credit_balance_exhausted",
        limit_dimension="billing",
        example={"status_code": 400, "body": {"statusCode": 400, "message": "Access denied", "code": "Arrearage"}},
        not_example={"status_code": 400, "body": {"message": "Access denied", "code": "AccessDenied"}},
    ),
    _signal(
        "zhipu.unpaid", "quota.credit_balance", source="https://docs.bigmodel.cn/cn/api/api-code",
        providers="zhipu zai", signals="1113 1112", limit_dimension="billing",
        example={"provider": "zhipu", "status_code": 429, "body": {"error": {"code": "1113"}}},
        not_example={"provider": "zhipu", "status_code": 429, "body": {"error": {"code": "1302"}}},
    ),
    _signal(
        "zhipu.plan", "quota.subscription_window", source="https://docs.z.ai/api-reference/api-code",
        providers="zhipu zai", signals="1308 1309 1310 1304", limit_dimension="billing",
        example={"provider": "zhipu", "status_code": 429, "body": {"error": {"code": "1308"}}},
        not_example={"provider": "zhipu", "status_code": 429, "body": {"error": {"code": "1305"}}},
    ),
    _signal(
        "cloudflare.neurons", "quota.daily_cap",
        source="https://developers.cloudflare.com/workers-ai/platform/errors/",
        providers="cloudflare", signals="3036 4006", limit_dimension="billing",
        example={"provider": "cloudflare", "status_code": 429, "body": {"errors": [{"code": 4006}]}},
        not_example={"provider": "cloudflare", "status_code": 429, "body": {"errors": [{"code": 3040}]}},
    ),
    _signal(
        "quota.code", "quota.insufficient_quota", source=_OPENAI,
        signals="insufficient_quota exceeded_current_quota_error AllocationQuota.FreeTierOnly FreeTierOnly "
        "quota_exceeded QuotaExceededError QuotaExceeded quota_exhausted "
        "usage_limit_exceeded account_quota_exceeded FreeTierError token_quota_reached",
        limit_dimension="billing",
        example={"status_code": 429, "body": {"error": {"code": "insufficient_quota", "type": "insufficient_quota"}}},
        not_example={"provider": "dashscope", "status_code": 429, "body": {"error": {"code": "insufficient_quota"}}},
    ),
    _signal(
        "quota.window", "quota.subscription_window", source="https://github.com/openai/codex/issues",
        signals="usage_limit_reached UsageLimitReachedError usage_limit_error usage_not_included "
        "FreeUsageLimitError GoUsageLimitError SubscriptionUsageLimitError",
        limit_dimension="billing",
        example={"status_code": 429, "body": {"error": {"type": "usage_limit_reached", "resets_in_seconds": 9000}}},
        not_example={"status_code": 429, "body": {"error": {"type": "rate_limit_error"}}},
    ),
)  # fmt: skip
