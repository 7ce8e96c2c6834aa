"""How an answer with status 200 ended, where that is a failure."""

from functools import partial
from typing import Final

from penstock.classifiers._rule import Rule, Tier, rule

_finish = partial(rule, tier=Tier.FINISH)

_GEMINI = "https://ai.google.dev/api/generate-content#FinishReason"

FINISHES: Final[tuple[Rule, ...]] = (
    _finish(
        "finish.call", "model.tool_call_malformed", source=_GEMINI,
        finishes="malformed_function_call unexpected_tool_call too_many_tool_calls malformed_tool_use "
        "malformed_model_output missing_thought_signature malformed_response",
        example={"body": {"candidates": [{"content": {}, "finishReason": "MALFORMED_FUNCTION_CALL"}]}},
        not_example={"body": {"candidates": [{"finishReason": "STOP"}]}},
    ),
    _finish(
        "finish.refusal", "content_filter.refusal",
        source="https://docs.claude.com/en/docs/test-and-evaluate/strengthen-guardrails/handle-streaming-refusals",
        finishes="refusal",
        example={"body": {"type": "message", "stop_reason": "refusal", "content": []}},
        not_example={"body": {"type": "message", "stop_reason": "end_turn"}},
    ),
    _finish(
        "finish.recitation", "content_filter.recitation", source=_GEMINI,
        finishes="recitation image_recitation",
        example={"body": {"candidates": [{"finishReason": "RECITATION"}]}},
        not_example={"body": {"candidates": [{"finishReason": "SAFETY"}]}},
    ),
    _finish(
        "finish.filter", "content_filter.output", source=_GEMINI,
        finishes="content_filter content_filtered safety prohibited_content blocklist spii image_safety "
        "language guardrail_intervened sensitive error_toxic image_prohibited_content model_armor",
        example={"body": {"candidates": [{"finishReason": "SAFETY"}]}},
        not_example={"body": {"choices": [{"finish_reason": "stop"}]}},
    ),
    _finish(
        "finish.context", "context_length.input_plus_output",
        source="https://docs.claude.com/en/api/handling-stop-reasons",
        finishes="model_context_window_exceeded",
        example={"body": {"type": "message", "stop_reason": "model_context_window_exceeded"}},
        not_example={"body": {"type": "message", "stop_reason": "max_tokens"}},
    ),
    _finish(
        "finish.length", "model.truncated", source="https://platform.openai.com/docs/api-reference/chat/object",
        finishes="length max_tokens max_output_tokens model_length",
        example={"body": {"choices": [{"finish_reason": "length", "message": {"content": "{"}}]}},
        not_example={"body": {"choices": [{"finish_reason": "tool_calls"}]}},
    ),
    _finish(
        "finish.capacity", "overloaded.capacity", source="https://api-docs.deepseek.com/api/create-chat-completion",
        finishes="insufficient_system_resource",
        example={"body": {"choices": [{"finish_reason": "insufficient_system_resource"}]}},
        not_example={"body": {"choices": [{"finish_reason": "stop"}]}},
    ),
    _finish(
        "finish.error", "server_error.interrupted", source="https://openrouter.ai/docs/api-reference/overview",
        finishes="error network_error finish_reason_unspecified other abort",
        example={"body": {"choices": [{"finish_reason": "error", "message": {"content": ""}}]}},
        not_example={"body": {"choices": [{"finish_reason": "stop"}]}},
    ),
)  # fmt: skip
