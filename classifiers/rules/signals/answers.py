# ruff: noqa: E501 - a pattern is read whole, and a table has its columns
"""The model's output was wrong, whatever status it came with."""

from functools import partial
from typing import Final

from penstock.classifiers._rule import Rule, Tier, rule

_signal = partial(rule, tier=Tier.SIGNAL)

_GROQ = "https://console.groq.com/docs/errors"
_AI_SDK = "https://ai-sdk.dev/docs/reference/ai-sdk-errors"

ANSWERS: Final[tuple[Rule, ...]] = (
    _signal(
        "model.tool_use_failed", "model.tool_call_malformed", source=_GROQ,
        signals="tool_use_failed AI_InvalidToolArgumentsError AI_InvalidToolInputError InvalidToolArgumentsError "
        "InvalidToolInputError MALFORMED_FUNCTION_CALL MALFORMED_TOOL_CALL MALFORMED_RESPONSE malformed_tool_use InvalidToolCallError "
        "IncompleteToolCall MalformedToolCallError",
        example={"status_code": 400, "body": {"error": {"type": "invalid_request_error", "code": "tool_use_failed"}}},
        not_example={"status_code": 400, "body": {"error": {"type": "invalid_request_error"}}},
    ),
    _signal(
        "model.no_such_tool", "model.unknown_tool", source=_AI_SDK,
        signals="AI_NoSuchToolError NoSuchToolError ToolNotFoundError UnknownToolError",
        example={"exception_type": "AI_NoSuchToolError", "message": "Model tried to call unavailable tool 'x'."},
        not_example={"exception_type": "AI_NoSuchModelError", "message": "No such model"},
    ),
    _signal(
        "model.output_parser", "model.output_parse",
        source="https://python.langchain.com/docs/troubleshooting/errors/OUTPUT_PARSING_FAILURE",
        signals="OutputParserException OutputParsingException OUTPUT_PARSING_FAILURE AI_NoObjectGeneratedError "
        "NoObjectGeneratedError AI_JSONParseError JSONParseError AgentParsingError AI_NoOutputGeneratedError "
        "OutputParserError",
        example={"exception_type": "OutputParserException", "message": "Could not parse LLM output: `x`"},
        not_example={"exception_type": "ValueError", "message": "x"},
    ),
    _signal(
        "model.schema", "model.schema_validation", source=_AI_SDK,
        signals="JSONSchemaValidationError ModelBehaviorError StructuredOutputValidationError "
        "ResponseValidationFailed json_validate_failed",
        example={"exception_type": "agents.exceptions.ModelBehaviorError", "message": "Invalid JSON when parsing"},
        not_example={"exception_type": "ValidationError", "message": "x", "span_kind": "tool"},
    ),
    _signal(
        "model.turns", "model.max_iterations",
        source="https://langchain-ai.github.io/langgraph/troubleshooting/errors/GRAPH_RECURSION_LIMIT",
        signals="GraphRecursionError MaxTurnsExceeded GRAPH_RECURSION_LIMIT MaxIterationsError MaxStepsError "
        "AgentMaxStepsError UsageLimitExceeded MaxIterationsExceeded AgentStuckInLoopError LoopDetectedError",
        retryable=False,
        example={"exception_type": "langgraph.errors.GraphRecursionError", "message": "Recursion limit of 25 reached"},
        not_example={"exception_type": "RecursionError", "message": "maximum recursion depth exceeded"},
    ),
    _signal(
        "model.length", "model.truncated",
        source="https://github.com/openai/openai-python/blob/main/src/openai/_exceptions.py",
        signals="LengthFinishReasonError IncompleteOutputException MaxTokensReachedException IncompleteGenerationError",
        example={"exception_type": "openai.LengthFinishReasonError", "message": "the length limit was reached"},
        not_example={"exception_type": "openai.BadRequestError", "message": "length", "status_code": 400},
    ),
    _signal(
        "model.refused", "model.refusal",
        source="https://openai.github.io/openai-agents-python/ref/exceptions/",
        signals="ModelRefusalError", example={"exception_type": "ModelRefusalError", "message": "I cannot"},
        not_example={"exception_type": "ModelHTTPError", "status_code": 500},
    ),
)  # fmt: skip
