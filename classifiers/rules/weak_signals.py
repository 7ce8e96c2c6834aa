# ruff: noqa: E501 - a pattern is read whole, and a table has its columns
"""Machine words that name a family, not a cause: they decide only when the text did not.

`invalid_request_error` has carried empty credit balances, context overflows and content filters;
`APIConnectionError` has carried read timeouts; gRPC's RESOURCE_EXHAUSTED windows and capacity.
"""

from functools import partial
from typing import Final

from penstock.classifiers._rule import Rule, Tier, rule

_weak = partial(rule, tier=Tier.WEAK_SIGNAL)

_OPENAI = "https://github.com/openai/openai-python/blob/main/src/openai/_exceptions.py"
_GOOGLE = "https://cloud.google.com/apis/design/errors"
_AWS = "https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html"
_LITELLM = "https://docs.litellm.ai/docs/exception_mapping"

WEAK_SIGNALS: Final[tuple[Rule, ...]] = (
    _weak(
        "weak.status_in_envelope_429", "rate_limit", source="gateways that quote their upstream's status",
        signals="429", statuses="0 200 400 500 502 503 429",
        example={"status_code": 500, "body": {"error": {"status": 429, "code": 500, "message": "upstream"}}},
        not_example={"status_code": 500, "body": {"error": {"code": 500, "message": "upstream"}}},
    ),
    _weak(
        "weak.rate", "rate_limit", source=f"{_OPENAI}; {_AWS}; {_GOOGLE}",
        signals="rate_limit_error RateLimitError ThrottlingException Throttling TooManyRequestsException "
        "TooManyRequests TooManyRequestsError RESOURCE_EXHAUSTED ResourceExhausted too_many_requests rate_limit "
        "throttling_error requests tokens limitation RequestLimitExceeded ProvisionedThroughputExceededException "
        "SlowDown concurrency_limit_exceeded RateLimitExceededError ThrottledException RateLimited ratelimited "
        "TooManyRequestsHttpException usage_limits HTTP_429 ThrottlingError rate_limit_exception",
        example={"message": "", "body": {"type": "error", "error": {"type": "rate_limit_error", "message": ""}}},
        not_example={"message": "", "body": {"type": "error", "error": {"type": "api_error", "message": ""}}},
    ),
    _weak(
        "weak.quota", "quota.insufficient_quota", source=_AWS,
        signals="ServiceQuotaExceededException QuotaFailure LimitExceededException SubscriptionRequiredException "
        "FreeTierOnlyException InsufficientQuotaError insufficient",
        limit_dimension="billing",
        example={"exception_type": "ServiceQuotaExceededException", "message": "", "provider": "bedrock"},
        not_example={"exception_type": "ThrottlingException", "message": "", "provider": "bedrock"},
    ),
    _weak(
        "weak.timeout", "timeout.client_read", source="https://docs.python.org/3/library/exceptions.html#TimeoutError",
        signals="Timeout TimeoutError timeout TimedOut RequestTimedOut AsyncTimeoutError timed_out TooSlowError",
        example={"exception_type": "TimeoutError", "message": ""},
        not_example={"exception_type": "OSError", "message": ""},
    ),
    _weak(
        "weak.overloaded", "overloaded.overloaded", source=f"{_GOOGLE}; {_AWS}",
        signals="UNAVAILABLE ServiceUnavailable ServiceUnavailableError ServiceUnavailableException "
        "service_unavailable service_unavailable_error overloaded engine_unavailable ServerBusy server_busy "
        "unavailable ServiceUnavailableErr unavailable_error",
        statuses="0 200 429 500 503",
        example={"status_code": 503, "body": {"error": {"code": 503, "status": "UNAVAILABLE", "message": ""}}},
        not_example={"status_code": 500, "body": {"error": {"code": 500, "status": "INTERNAL", "message": ""}}},
    ),
    _weak(
        "weak.auth_key", "auth.invalid_key", source=f"{_OPENAI}; {_AWS}",
        signals="Unauthorized unauthorized NotAuthenticated InvalidCredentials UnauthorizedHttpException "
        "CredentialsError UNAUTHORIZED HTTP_401",
        example={"body": {"error": {"code": "unauthorized"}}},
        not_example={"exception_type": "AI_APICallError", "body": {"error": "?", "code": "no"}},
    ),
    _weak(
        "weak.auth_denied", "auth.permission_denied", source=f"{_OPENAI}; {_AWS}",
        signals="PermissionDeniedError PermissionDenied PERMISSION_DENIED AccessDeniedException AccessDenied "
        "ForbiddenError Forbidden forbidden access_denied permission_denied PermissionDeniedException "
        "permission_denied_error forbidden_error HTTP_403 NotAuthorizedException",
        example={"exception_type": "AccessDeniedException", "message": "", "provider": "bedrock"},
        not_example={"exception_type": "ValidationException", "message": "", "provider": "bedrock"},
    ),
    _weak(
        "weak.container_status", "server_error.internal", source="SageMaker InvokeEndpoint: errors of the container",
        signals="ModelError", text="received server error",
        example={"exception_type": "ModelError", "message": "Received server error (0) from primary"},
        not_example={"exception_type": "ModelError", "message": "Received client error (422) from primary"},
    ),
    _weak(
        "weak.model_class", "model.output_parse", source="https://ai.pydantic.dev/api/exceptions/",
        signals="UnexpectedModelBehavior ModelRetry ToolRetryError InstructorRetryException ModelOutputError "
        "LLMOutputError AgentGenerationError LLMMalformedActionError LLMNoActionError FunctionCallValidationError "
        "ResponseParseError FunctionCallConversionError FunctionCallNotExistsError",
        statuses="0 200",
        example={"exception_type": "pydantic_ai.exceptions.UnexpectedModelBehavior", "message": "odd"},
        not_example={"exception_type": "pydantic_ai.exceptions.ModelHTTPError", "message": "", "status_code": 500},
    ),
    _weak(
        "weak.stopped", "content_filter.output", source="google-generativeai: a candidate that did not end with STOP",
        signals="StopCandidateException", statuses="0 200",
        example={"exception_type": "StopCandidateException", "message": ""},
        not_example={"exception_type": "StopIteration", "message": ""},
    ),
    _weak(
        "weak.cancelled", "cancelled.caller", source=_GOOGLE,
        signals="Cancelled Canceled", statuses="0 200 499",
        example={"exception_type": "google.api_core.exceptions.Cancelled", "message": ""},
        not_example={"exception_type": "google.api_core.exceptions.Aborted", "message": ""},
    ),
    _weak(
        "weak.context_size", "context_length.input_too_long", source="llama.cpp server, Ollama",
        signals="n_ctx n_prompt_tokens", statuses="0 200 400 500",
        example={"status_code": 400, "message": "n_prompt_tokens: 9000"},
        not_example={"status_code": 400, "message": "9000 of 4096"},
    ),
    _weak(
        "weak.not_found", "invalid_request.model_not_found", source=f"{_OPENAI}; {_GOOGLE}",
        signals="NotFoundError NotFound NOT_FOUND not_found_error ResourceNotFoundException "
        "ResourceNotFound not_found InvalidEndpoint",
        statuses="0 200 400 404",
        example={"exception_type": "litellm.NotFoundError", "message": ""},
        not_example={"exception_type": "litellm.BadRequestError", "message": ""},
    ),
    _weak(
        "weak.server", "server_error.internal", source=f"{_OPENAI}; {_GOOGLE}",
        signals="api_error server_error InternalServerError INTERNAL Internal internal DATA_LOSS "
        "InternalServerErrorException BadGateway BadGatewayError bad_gateway upstream_error provider_error "
        "bad_response_status_code DataLoss UNKNOWN_SERVER_ERROR InternalError unknown_error stream_error "
        "UpstreamError new_api_error http_error internal_server_exception upstream_failed ProviderError "
        "MidStreamFallbackError ModelStreamErrorException",
        statuses="0 200 500 501 502 503 520 530",
        unless="status code 4[0-9][0-9]",
        example={"body": {"type": "error", "error": {"type": "api_error", "message": ""}}},
        not_example={"status_code": 400, "body": {"type": "error", "error": {"type": "api_error", "message": ""}}},
    ),
    _weak(
        "weak.invalid", "invalid_request.bad_param", source=f"{_OPENAI}; {_GOOGLE}; {_AWS}",
        signals="invalid_request_error BadRequestError INVALID_ARGUMENT InvalidArgument ValidationException "
        "FAILED_PRECONDITION FailedPrecondition UnprocessableEntityError BadRequest InvalidRequestError "
        "invalid_request bad_request_error bad_request BadRequestException HTTPValidationError ConflictError "
        "OUT_OF_RANGE invalid_argument invalid_argument_error RequestValidationError InvalidRequestException "
        "UNPROCESSABLE_ENTITY BadRequestErr InvalidRequest UserError invalid_input UnprocessableEntity "
        "SerializationException request_error INVALID_REQUEST",
        statuses="0 200 400 404 409 413 415 422 500",
        example={"body": {"type": "error", "error": {"type": "invalid_request_error", "message": ""}}},
        not_example={"body": {"type": "error", "error": {"type": "api_error", "message": ""}}},
    ),
    _weak(
        "weak.validation", "model.schema_validation", source="https://docs.pydantic.dev/latest/errors/validation_errors/",
        signals="ValidationError ZodError AI_TypeValidationError TypeValidationError", statuses="0 200",
        example={"exception_type": "pydantic_core.ValidationError", "message": "3 problems", "span_kind": "agent"},
        not_example={"exception_type": "ValueError", "message": "3 problems", "span_kind": "agent"},
    ),
    _weak(
        "weak.json", "model.output_parse", source="https://docs.python.org/3/library/json.html#json.JSONDecodeError",
        signals="JSONDecodeError JsonException JsonParseException SyntaxError JSONDecodeException",
        statuses="0 200", spans="llm agent unknown",
        example={"exception_type": "json.decoder.JSONDecodeError", "message": "line 1 column 5"},
        not_example={"exception_type": "KeyError", "message": "value"},
    ),
    _weak(
        "weak.network", "network.connect", source=f"{_OPENAI}; https://requests.readthedocs.io",
        signals="APIConnectionError ConnectionError ClientConnectionError NetworkError network_error TransportError "
        "MaxRetryError ProtocolError AI_APIConnectionError RequestException ServiceConnectionError WebSocketException "
        "ConnectionException FetchError InvalidURL ClientError ApiConnectionError HttpRequestException URLError",
        statuses="0 200 500 503",
        example={"exception_type": "openai.APIConnectionError", "message": ""},
        not_example={"exception_type": "openai.APIStatusError", "message": ""},
    ),
)  # fmt: skip
