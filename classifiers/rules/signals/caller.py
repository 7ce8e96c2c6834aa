# ruff: noqa: E501 - a pattern is read whole, and a table has its columns
"""Keys, rights, models and parameters."""

from functools import partial
from typing import Final

from penstock.classifiers._rule import Rule, Tier, rule

_signal = partial(rule, tier=Tier.SIGNAL)

_OPENAI = "https://platform.openai.com/docs/guides/error-codes"
_ANTHROPIC = "https://github.com/anthropics/anthropic-sdk-python (src/anthropic/_exceptions.py)"
_GOOGLE = "https://cloud.google.com/apis/design/errors"
_AI_SDK = "https://ai-sdk.dev/docs/reference/ai-sdk-errors"

CALLER: Final[tuple[Rule, ...]] = (
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
        "PartialCredentialsError TokenRetrievalError SSOTokenLoadError api_key_required no_api_key invalid_key "
        "API_KEY_REVOKED api_key_deleted api_key_disabled api_key_inactive key_revoked key_disabled",
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
        "InvalidEndpointOrModel ModelNotOpen UnsupportedModel ServiceNotOpen invalid_model_error model_deprecated model_decommissioned no_such_model "
        "OperationNotSupported model_unavailable model_is_deactivated model_deactivated model_retired model_disabled",
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
        unless="context (length|window)|max_seq\\w*|input length ~exceed\\w*|too many (input )?tokens|(prompt|input) ~too long",
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
)  # fmt: skip
