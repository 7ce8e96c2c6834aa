# ruff: noqa: E501 - a pattern is read whole, and a table has its columns
"""What does not fit into the context, and what policy blocks."""

from functools import partial
from typing import Final

from penstock.classifiers._rule import Rule, Tier, rule

_signal = partial(rule, tier=Tier.SIGNAL)

_OPENAI = "https://platform.openai.com/docs/guides/error-codes"
_DASHSCOPE = "https://help.aliyun.com/zh/model-studio/error-code"

POLICY: Final[tuple[Rule, ...]] = (
    _signal(
        "context.code", "context_length.input_too_long", source=_OPENAI,
        signals="context_length_exceeded ContextWindowExceededError exceed_context_size_error "
        "context_window_exceeded ContextLengthExceededError ContextOverflowError model_context_window_exceeded "
        "max_context_length_exceeded ContextWindowOverflowException ContextSizeExceeded prompt_too_long "
        "string_above_max_length context_too_long InputTooLongError input_too_long tokens_limit_reached tokens_too_long",
        example={"status_code": 400, "body": {"error": {"code": "context_length_exceeded", "message": ""}}},
        not_example={"status_code": 400, "body": {"error": {"code": "rate_limit_exceeded", "message": "context"}}},
    ),
    _signal(
        "filter.guardrail", "content_filter.guardrail",
        source="https://openai.github.io/openai-agents-python/guardrails/",
        signals="InputGuardrailTripwireTriggered OutputGuardrailTripwireTriggered GuardrailInterventionNormalError "
        "guardrail_intervened GuardrailTripwireTriggered GuardrailRaisedException BlockedPiiEntityError",
        example={"exception_type": "InputGuardrailTripwireTriggered", "message": "Guardrail triggered"},
        not_example={"message": "guardrail config is invalid"},
    ),
    _signal(
        "filter.code", "content_filter.prompt",
        source="https://learn.microsoft.com/azure/ai-services/openai/concepts/content-filter",
        signals="ResponsibleAIPolicyViolation content_filter content_policy_violation ContentPolicyViolationError "
        "ContentFilterError ContentFilteredError content_filter_error content_filtered moderation_blocked moderation_refusal "
        "content_policy_error BlockedPromptException PROHIBITED_CONTENT prompt_blocked cyber_policy_violation "
        "content_moderation_failed ContentFilterException sensitive_words_detected invalid_prompt "
        "IMAGE_SAFETY content_moderation SensitiveContentDetected InputTextSensitiveContentDetected "
        "InputImageSensitiveContentDetected sensitive_check_error",
        example={"status_code": 400, "body": {"error": {"code": "content_filter", "message": "filtered"}}},
        not_example={"status_code": 400, "body": {"error": {"code": "invalid_value", "message": "filtered"}}},
    ),
    _signal(
        "filter.finish_class", "content_filter.output",
        source="https://github.com/openai/openai-python/blob/main/src/openai/_exceptions.py",
        signals="ContentFilterFinishReasonError ResponseBlockedError FinishReasonSafetyError",
        example={"exception_type": "openai.ContentFilterFinishReasonError", "message": "Could not parse"},
        not_example={"exception_type": "openai.LengthFinishReasonError", "message": "Could not parse"},
    ),
    _signal(
        "dashscope.inspection", "content_filter.prompt", source=_DASHSCOPE,
        signals="data_inspection_failed DataInspectionFailed",
        example={"status_code": 400, "body": {"error": {"code": "data_inspection_failed",
                 "message": "Input data may contain inappropriate content."}}},
        not_example={"status_code": 400, "body": {"error": {"code": "invalid_parameter_error"}}},
    ),
    _signal(
        "zhipu.sensitive", "content_filter.prompt", source="https://docs.bigmodel.cn/cn/api/api-code",
        providers="zhipu zai", signals="1301 contentFilter",
        example={"provider": "zhipu", "status_code": 400, "body": {"error": {"code": "1301"}}},
        not_example={"provider": "openai", "status_code": 400, "body": {"error": {"code": "1301"}}},
    ),
)  # fmt: skip
