# ruff: noqa: E501 - a pattern is read whole, and a table has its columns
"""Machine words that decide: codes, types, gRPC reasons and exception classes with one meaning.

Order is precedence: where an envelope or a traceback holds several, the first rule here wins, so
billing stands before windows and the particular before the general.
"""

from functools import partial
from typing import Final

from penstock.classifiers._rule import Rule, Tier, rule

_signal = partial(rule, tier=Tier.SIGNAL)

_OPENAI = "https://platform.openai.com/docs/guides/error-codes"
_ANTHROPIC = "https://github.com/anthropics/anthropic-sdk-python (src/anthropic/_exceptions.py)"
_GOOGLE = "https://cloud.google.com/apis/design/errors"
_AWS = "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html"
_DASHSCOPE = "https://help.aliyun.com/zh/model-studio/error-code"
_GROQ = "https://console.groq.com/docs/errors"
_LITELLM = "https://docs.litellm.ai/docs/exception_mapping"
_AI_SDK = "https://ai-sdk.dev/docs/reference/ai-sdk-errors"

SIGNALS: Final[tuple[Rule, ...]] = (
    # The model's output was wrong, whatever status it came with.
    _signal(
        "model.tool_use_failed", "model.tool_call_malformed", source=_GROQ,
        signals="tool_use_failed AI_InvalidToolArgumentsError AI_InvalidToolInputError InvalidToolArgumentsError "
        "InvalidToolInputError MALFORMED_FUNCTION_CALL MALFORMED_TOOL_CALL malformed_tool_use InvalidToolCallError "
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
    # Context and policy.
    _signal(
        "context.code", "context_length.input_too_long", source=_OPENAI,
        signals="context_length_exceeded ContextWindowExceededError exceed_context_size_error "
        "context_window_exceeded ContextLengthExceededError ContextOverflowError model_context_window_exceeded "
        "max_context_length_exceeded ContextWindowOverflowException ContextSizeExceeded prompt_too_long "
        "string_above_max_length context_too_long InputTooLongError input_too_long",
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
        "ContentFilterError content_filter_error content_filtered moderation_blocked moderation_refusal "
        "content_policy_error BlockedPromptException PROHIBITED_CONTENT prompt_blocked cyber_policy_violation "
        "content_moderation_failed ContentFilterException sensitive_words_detected invalid_prompt "
        "IMAGE_SAFETY content_moderation",
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
    # The same words, the opposite meaning: who said it decides.
    _signal(
        "dashscope.token_limit", "rate_limit.tpm", source=f"{_DASHSCOPE}#token-limit",
        signals="insufficient_quota AllocationQuota", providers="dashscope",
        unless="free tier|free quota|FreeTierOnly", limit_dimension="tokens_per_minute",
        example={"provider": "dashscope", "status_code": 429, "body": {"error": {"code": "insufficient_quota"}}},
        not_example={"provider": "openai", "status_code": 429, "body": {"error": {"code": "insufficient_quota"}}},
    ),
    _signal(
        "dashscope.token_limit_link", "rate_limit.tpm", source=f"{_DASHSCOPE}#token-limit",
        words="aliyun", text="aliyun com ~token limit", limit_dimension="tokens_per_minute",
        example="You exceeded your current quota. See https://help.aliyun.com/zh/model-studio/error-code#token-limit",
        not_example="You exceeded your current quota, please check your plan and billing details.",
    ),
    _signal(
        "gateway.saturated", "overloaded.capacity", source="https://github.com/QuantumNous/new-api",
        substrings=("负载已饱和", "负载饱和", "负载过高", "系统繁忙", "服务繁忙", "服务器繁忙", "访问量过大", "模型过载", "并发过高", "资源不足", "算力不足"),
        example={"status_code": 429, "body": {"error": {"code": "insufficient_quota", "message": "当前分组上游负载已饱和"}}},
        not_example={"status_code": 429, "body": {"error": {"code": "insufficient_quota", "message": "余额不足"}}},
    ),
    _signal(
        "together.credit_limit_words", "rate_limit.rpm",
        source="https://github.com/togethercomputer/MoA/issues/27",
        signals="credit_limit", words="rate", text="rate (limited|limit) ~(queries|requests) per minute",
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
        "BudgetExceeded key_limit_exceeded max_budget_exceeded",
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
        "PrepaidBillOverdue PostpaidBillOverdue insufficient_account_balance credit_balance_exhausted",
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
        "usage_limit_exceeded account_quota_exceeded FreeTierError",
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
        source="https://developers.cloudflare.com/workers-ai/platform/errors/; Google ErrorInfo reasons",
        signals="MODEL_CAPACITY_EXHAUSTED capacity_exceeded NoCapacity no_capacity insufficient_capacity "
        "service_tier_capacity_exceeded ModelServingOverloaded resource_unavailable_error "
        "InsufficientModelCapacity model_capacity_exceeded ServerOverload over_capacity",
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
        providers="zhipu zai", signals="1302", words="concurrency concurrent", text="concurren(cy|t)",
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
        "tokens_limit_reached requests_limit_reached FreeUserRateLimit SetLimitExceeded",
        example={"status_code": 413, "body": {"error": {"type": "tokens", "code": "rate_limit_exceeded", "message": ""}}},
        not_example={"status_code": 413, "body": {"error": {"type": "invalid_request_error", "message": ""}}},
    ),
    # Account and key.
    _signal(
        "auth.suspended", "auth.account_suspended", source=_GOOGLE,
        signals="CONSUMER_SUSPENDED account_deactivated organization_on_hold OrganizationOnHoldError "
        "account_suspended access_terminated_error AccountSuspended deactivated_workspace account_disabled "
        "organization_deactivated",
        example={"status_code": 403, "body": {"error": {"details": [{"reason": "CONSUMER_SUSPENDED"}]}}},
        not_example={"status_code": 403, "body": {"error": {"status": "PERMISSION_DENIED"}}},
    ),
    _signal(
        "auth.key", "auth.invalid_key", source=f"{_OPENAI}; {_GOOGLE}",
        signals="invalid_api_key API_KEY_INVALID InvalidApiKey incorrect_api_key API_KEY_SERVICE_BLOCKED "
        "CREDENTIALS_MISSING ACCESS_TOKEN_EXPIRED token_expired expired_token ExpiredTokenException "
        "UnrecognizedClientException InvalidSignatureException ExpiredToken InvalidTokenError token_invalidated "
        "authentication_error AuthenticationError invalid_authentication_error AI_LoadAPIKeyError LoadAPIKeyError "
        "MissingAPIKeyError NoCredentialsError NoCredentialProvidersError CredentialsProviderError "
        "RefreshError DefaultCredentialsError UnauthorizedError UnauthorizedException invalid_access_token "
        "ACCESS_TOKEN_TYPE_UNSUPPORTED API_KEY_NOT_FOUND InvalidAccessKeyId InvalidClientTokenId token_revoked "
        "MissingAuthenticationTokenException invalid_token unauthorized_error UNAUTHENTICATED missing_api_key "
        "ApiKeyExpired API_KEY_EXPIRED ProviderAuthError AuthError invalid_iam_token oauth_org_not_allowed "
        "PartialCredentialsError TokenRetrievalError SSOTokenLoadError api_key_required no_api_key invalid_key",
        unless="(credit|credits|balance|payment|billing|spend|spending)",
        example={"status_code": 400, "body": {"error": {"status": "INVALID_ARGUMENT", "details": [
            {"reason": "API_KEY_INVALID"}]}}},
        not_example={"status_code": 400, "body": {"error": {"status": "INVALID_ARGUMENT"}}},
    ),
    _signal(
        "auth.region", "auth.region_unsupported", source=_OPENAI,
        signals="unsupported_country_region_territory unsupported_country UnsupportedRegion unsupported_region "
        "LOCATION_POLICY_VIOLATED",
        example={"status_code": 403, "body": {"error": {"code": "unsupported_country_region_territory"}}},
        not_example={"status_code": 403, "body": {"error": {"code": "model_not_found"}}},
    ),
    _signal(
        "auth.denied", "auth.permission_denied", source=_GOOGLE,
        signals="IAM_PERMISSION_DENIED SERVICE_DISABLED CONSUMER_INVALID BILLING_DISABLED "
        "insufficient_permissions missing_scope ACCESS_TOKEN_SCOPE_INSUFFICIENT ip_not_authorized "
        "model_access_denied GatedRepoError AccessDenied.Unpurchased permission_error model_not_allowed "
        "API_KEY_HTTP_REFERRER_BLOCKED API_KEY_IP_ADDRESS_BLOCKED insufficient_scope key_model_access_denied "
        "team_model_access_denied org_not_allowed organization_restricted",
        unless="(credit|credits|balance|payment|billing|spend|spending|usage limit)",
        example={"status_code": 403, "body": {"error": {"status": "PERMISSION_DENIED", "details": [
            {"reason": "IAM_PERMISSION_DENIED"}]}}},
        not_example={"status_code": 403, "body": {"error": {"details": [{"reason": "CONSUMER_SUSPENDED"}]}}},
    ),
    # The caller's request.
    _signal(
        "request.model", "invalid_request.model_not_found", source=_OPENAI,
        signals="model_not_found DeploymentNotFound ModelNotFound unknown_model model_not_available "
        "AI_NoSuchModelError NoSuchModelError unsupported_model ModelNotFoundError RepositoryNotFoundError "
        "invalid_model ProviderModelNotFoundError model_not_supported UnknownModelError model_not_exist "
        "InvalidEndpointOrModel invalid_model_error model_deprecated model_decommissioned no_such_model "
        "OperationNotSupported model_unavailable",
        statuses="0 200 400 401 403 404 410 422 500 503",
        example={"status_code": 404, "body": {"error": {"code": "model_not_found", "message": "no"}}},
        not_example={"status_code": 404, "body": {"error": {"code": "404", "message": "no route"}}},
    ),
    _signal(
        "request.parameter", "invalid_request.bad_param", source=_OPENAI,
        signals="unsupported_parameter unsupported_value invalid_value unknown_parameter missing_required_parameter "
        "invalid_type invalid_parameter_error ParamValidationError UnsupportedParamsError array_above_max_length "
        "decimal_above_max_value integer_above_max_value integer_below_min_value invalid_function_parameters "
        "invalid_json_schema InvalidParameter invalid_parameter extra_forbidden AI_InvalidArgumentError "
        "AI_InvalidPromptError InvalidPromptError unsupported_tool_use missing_parameter BIGMODEL_PARAM_INVALID "
        "parameter_error invalid_tool_schema",
        statuses="0 200 400 404 422 500",
        example={"status_code": 400, "body": {"error": {"type": "invalid_request_error", "code": "unsupported_parameter"}}},
        not_example={"status_code": 400, "body": {"error": {"type": "invalid_request_error"}}},
    ),
    _signal(
        "request.url", "invalid_request.url_fetch_failed", source=_OPENAI,
        signals="invalid_image_url image_download_failed AI_DownloadError DownloadError image_url_unreachable "
        "failed_to_download_image URL_ERROR URL_ROBOTED URL_TIMEOUT",
        example={"status_code": 400, "body": {"error": {"code": "invalid_image_url", "message": "Error"}}},
        not_example={"status_code": 400, "body": {"error": {"code": "invalid_image", "message": "Error"}}},
    ),
    _signal(
        "request.input", "invalid_request.unsupported_input", source=f"{_OPENAI}; {_AI_SDK}",
        signals="image_parse_error invalid_image invalid_image_format unsupported_image_media_type image_too_large "
        "AI_UnsupportedFunctionalityError UnsupportedFunctionalityError unsupported_file invalid_base64 "
        "unsupported_file_type UnsupportedMediaType UnsupportedContentError",
        example={"status_code": 400, "body": {"error": {"code": "invalid_image_format", "message": "Error"}}},
        not_example={"status_code": 400, "body": {"error": {"code": "invalid_image_url", "message": "Error"}}},
    ),
    _signal(
        "request.too_large", "invalid_request.request_too_large", source=_ANTHROPIC,
        signals="request_too_large RequestTooLargeError payload_too_large RequestEntityTooLarge",
        unless="tokens? per (minute|min)|tpm",
        example={"status_code": 413, "body": {"error": {"type": "request_too_large", "message": "exceeds 32 MB"}}},
        not_example={"status_code": 413, "body": {"error": {"code": "rate_limit_exceeded", "message": "tokens per minute"}}},
    ),
    # Network: causes that are unmistakable.
    _signal(
        "network.tls", "network.tls", source="https://docs.python.org/3/library/ssl.html#exceptions",
        signals="SSLCertVerificationError CERTIFICATE_VERIFY_FAILED SSLError SSLHandshakeException "
        "ClientConnectorCertificateError ClientConnectorSSLError UNABLE_TO_VERIFY_LEAF_SIGNATURE "
        "SELF_SIGNED_CERT_IN_CHAIN DEPTH_ZERO_SELF_SIGNED_CERT UNABLE_TO_GET_ISSUER_CERT_LOCALLY CERT_HAS_EXPIRED "
        "ERR_TLS_CERT_ALTNAME_INVALID ERR_SSL_WRONG_VERSION_NUMBER SSLZeroReturnError ClientSSLError "
        "EPROTO ERR_SSL_PACKET_LENGTH_TOO_LONG SSLV3_ALERT_HANDSHAKE_FAILURE WRONG_VERSION_NUMBER "
        "UNABLE_TO_GET_ISSUER_CERT SSL_ERROR_SYSCALL",
        retryable=False, side_effects="none",
        unless="unexpected_eof_while_reading|eof occurred|connection reset",
        example={"exception_type": "APIConnectionError", "message": "[SSL: CERTIFICATE_VERIFY_FAILED] certificate"},
        not_example={"exception_type": "APIConnectionError", "message": "Connection error."},
    ),
    _signal(
        "network.dns", "network.dns", source="https://nodejs.org/api/errors.html; POSIX getaddrinfo",
        signals="ENOTFOUND EAI_AGAIN gaierror ERR_NAME_NOT_RESOLVED NameResolutionError UnknownHostException "
        "ClientConnectorDNSError EAI_NONAME getaddrinfo EAI_FAIL",
        side_effects="none",
        example={"message": "getaddrinfo ENOTFOUND api.openai.com"},
        not_example={"message": "connect ECONNREFUSED 127.0.0.1:11434"},
    ),
    _signal(
        "network.connect", "network.connect", source="https://nodejs.org/api/errors.html; urllib3, httpx, aiohttp",
        signals="ECONNREFUSED ConnectError ConnectionRefusedError ConnectTimeout ConnectTimeoutError "
        "UND_ERR_CONNECT_TIMEOUT EHOSTUNREACH ENETUNREACH NewConnectionError ClientConnectorError "
        "ConnectException HttpHostConnectException EndpointConnectionError PoolTimeout ConnectionRefused "
        "EADDRNOTAVAIL ProxyError ENETDOWN ConnectTimeoutException FailedToOpenSocket HttpConnectTimeoutException "
        "ProxyConnectionError ERR_CONNECTION_REFUSED ERR_INTERNET_DISCONNECTED ConnectionTimeoutError",
        side_effects="none",
        example={"exception_type": "httpx.ConnectError", "message": "All connection attempts failed"},
        not_example={"exception_type": "httpx.ReadTimeout", "message": ""},
    ),
    _signal(
        "network.dropped", "network.stream_dropped", source="https://www.python-httpx.org/exceptions/",
        signals="RemoteProtocolError IncompleteRead ChunkedEncodingError ClientPayloadError ERR_STREAM_PREMATURE_CLOSE "
        "TransferEncodingError UND_ERR_BODY_TERMINATED ERR_INCOMPLETE_CHUNKED_ENCODING ERR_HTTP2_STREAM_ERROR "
        "ERR_HTTP2_PROTOCOL_ERROR ResponseStreamingError UND_ERR_RES_CONTENT_LENGTH_MISMATCH "
        "response_stream_disconnected IncompleteReadError ConnectionTerminated",
        example={"exception_type": "httpx.RemoteProtocolError", "message": "peer closed connection without sending"},
        not_example={"exception_type": "httpx.ReadTimeout", "message": ""},
    ),
    _signal(
        "network.reset", "network.reset", source="https://nodejs.org/api/errors.html",
        signals="ECONNRESET EPIPE ConnectionResetError BrokenPipeError UND_ERR_SOCKET ECONNABORTED ReadError "
        "ServerDisconnectedError ConnectionAbortedError RemoteDisconnected ClientOSError WriteError "
        "ConnectionClosedError ConnectionClosed SocketException ERR_CONNECTION_RESET ERR_CONNECTION_CLOSED "
        "ConnectionClosedOK ERR_NETWORK_CHANGED ERR_SOCKET_CLOSED SSLEOFError",
        unless="timeout of|timed? ?out|exceeded",
        example={"message": "request to https://api.anthropic.com failed, reason: read ECONNRESET"},
        not_example={"message": "timeout of 60000ms exceeded code: ECONNABORTED"},
    ),
    # Deadlines.
    _signal(
        "timeout.deadline", "timeout.deadline", source=_GOOGLE,
        signals="DEADLINE_EXCEEDED DeadlineExceeded timeout_error ModelTimeoutException RequestTimeout "
        "request_timeout WorkflowTimeoutError GatewayTimeoutError GatewayTimeout InferenceTimeoutError RequestTimeOut "
        "FUNCTION_INVOCATION_TIMEOUT response_timeout server_timeout TimeoutExceeded",
        example={"message": "4 DEADLINE_EXCEEDED: Deadline exceeded"},
        not_example={"message": "14 UNAVAILABLE: connection dropped"},
    ),
    _signal(
        "timeout.client", "timeout.client_read", source="https://www.python-httpx.org/exceptions/",
        signals="APITimeoutError ReadTimeout ReadTimeoutError WriteTimeout ETIMEDOUT ESOCKETTIMEDOUT "
        "APIConnectionTimeoutError SocketTimeoutException UND_ERR_HEADERS_TIMEOUT HeadersTimeoutError "
        "UND_ERR_BODY_TIMEOUT BodyTimeoutError ServerTimeoutError SocketTimeoutError HttpTimeoutException "
        "TimeoutException RequestTimeoutError StreamTimeoutError InterruptedIOException ConnectionReadTimeoutError "
        "NSURLErrorTimedOut GatewayTimeoutException",
        unless="connect etimedout",
        example={"exception_type": "openai.APITimeoutError", "message": "Request timed out."},
        not_example={"exception_type": "openai.APIConnectionError", "message": "Connection error."},
    ),
    _signal(
        "network.connect_etimedout", "network.connect", source="https://nodejs.org/api/errors.html",
        signals="ETIMEDOUT", words="connect", text="connect etimedout", side_effects="none",
        example={"message": "connect ETIMEDOUT 104.18.7.192:443"},
        not_example={"message": "read ETIMEDOUT"},
    ),
    # The server broke.
    _signal(
        "server.dead", "server_error.engine_dead", source="https://github.com/vllm-project/vllm",
        signals="AsyncEngineDeadError EngineDeadError MQEngineDeadError EngineGenerateError",
        example={"message": "vllm.engine.async_llm_engine.AsyncEngineDeadError: Background loop has errored already."},
        not_example={"message": "Background loop started"},
    ),
    _signal(
        "server.memory", "server_error.out_of_memory", source="https://docs.pytorch.org/docs/stable/notes/faq.html",
        signals="OutOfMemoryError CUDA_OUT_OF_MEMORY cudaMalloc OOMKilled kIOGPUCommandBufferCallbackErrorOutOfMemory",
        retryable=False,
        example={"message": "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"},
        not_example={"message": "500 Internal Server Error"},
    ),
    _signal(
        "server.code", "server_error.internal", source=f"{_AWS}; {_OPENAI}",
        signals="InternalServerException ModelErrorException ModelStreamErrorException internal_server_error "
        "internal_error InternalFailure INTERNAL_SERVER_ERROR InternalServiceError server_internal_error "
        "ServiceInternalError stream_read_error backend_error",
        unless="(over ?capacity|overloaded|too many requests|capacity)",
        statuses="0 200 400 424 500 501 502 503",
        example={"status_code": 400, "exception_type": "ModelError", "message": "\"type\": \"InternalServerException\""},
        not_example={"status_code": 400, "exception_type": "ModelError", "message": "bad input"},
    ),
    # Only a cancel that nothing above explains is the caller's.
    _signal(
        "cancelled.class", "cancelled.caller", source="https://docs.python.org/3/library/asyncio-exceptions.html",
        signals="CancelledError AbortError APIUserAbortError CancelledException OperationCanceledException "
        "RequestAbortedError ResponseAborted ClientClosedRequestError KeyboardInterrupt ERR_CANCELED TaskCanceledException "
        "UserCancelledError ERR_ABORTED ClientDisconnect MessageAbortedError request_cancelled InterruptedError",
        unless="timed? ?out|httpclient timeout|timeouterror",
        example={"exception_type": "asyncio.exceptions.CancelledError", "message": ""},
        not_example={"exception_type": "TimeoutError", "message": "timed out"},
    ),
    # Statuses that say enough by themselves.
    _signal(
        "status.402", "quota.credit_balance", source="RFC 9110 §15.5.3; DeepSeek, OpenRouter, Together",
        statuses="402", limit_dimension="billing",
        example={"status_code": 402}, not_example={"status_code": 403},
    ),
    _signal(
        "status.529", "overloaded.overloaded", source=_ANTHROPIC, statuses="529",
        example={"status_code": 529}, not_example={"status_code": 500},
    ),
    _signal(
        "status.deadline", "timeout.gateway",
        source="RFC 9110 §15.6.5; https://developers.cloudflare.com/support/troubleshooting/http-status-codes/",
        statuses="504 522 524 598",
        example={"status_code": 524, "body": "<html>an overloaded web server</html>"},
        not_example={"status_code": 502, "body": "<html>Bad Gateway</html>"},
    ),
)  # fmt: skip
