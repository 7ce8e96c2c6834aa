# ruff: noqa: E501 - a pattern is read whole, and a table has its columns
"""Keys, permissions, regions, and models that are not there."""

from functools import partial
from typing import Final

from penstock.classifiers._rule import Rule, Tier, rule

_text = partial(rule, tier=Tier.TEXT)

_OPENAI = "https://platform.openai.com/docs/guides/error-codes"
_ANTHROPIC = "https://docs.claude.com/en/api/errors"
_GEMINI = "https://ai.google.dev/gemini-api/docs/troubleshooting"
_AWS = "https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html"
_OPENROUTER = "https://openrouter.ai/docs/api-reference/errors"
_SERVERS = "vLLM, llama.cpp, Ollama, LM Studio, TGI: server sources and public issues"

ACCOUNT: Final[tuple[Rule, ...]] = (
    _text(
        "text.region", "auth.region_unsupported", source=f"{_OPENAI}; {_GEMINI}",
        statuses="0 200 400 403 451 500",
        text="(location|region|country|territory|countries|regions) ~(not supported|unsupported|not available|is not|restricted|blocked|forbidden)|"
        "(not (available|supported|allowed|permitted|accessible)|isnt available|unavailable|unsupported) ~(in|from|for) (your|this|the current|the) ~(region|country|location|area|territory)|unsupported (region|country)",
        unless="model ~(not supported|not available|unsupported|not found) in (this |the )?region|us ~\\d|west|east|on demand|bucket",
        example="User location is not supported for the API use.", not_example="Model not supported in region us-east-1",
    ),
    _text(
        "text.suspended", "auth.account_suspended", source=_OPENAI,
        statuses="0 200 400 401 403 429 500",
        text="(account|organization|consumer|workspace|user|project|org|subscription|key|team) ~(suspended|deactivated|disabled|banned|terminated|locked|on hold|restricted|blocked)|"
        "(suspended|deactivated|disabled|banned) ~(account|organization|user)|has been (suspended|deactivated|banned)",
        unless="credit|balance|spending limit|invoices|billing|tool|function|parameter|subscription key",
        example="This organization has been disabled.", not_example="Account is suspended: spending limit reached",
    ),
    _text(
        "text.key", "auth.invalid_key", source=f"{_OPENAI}; {_ANTHROPIC}; {_GEMINI}",
        statuses="0 200 400 401 403 407 498 500 502",
        text="(invalid|incorrect|wrong|bad|malformed|no|missing|expired|unknown|revoked|without|empty|valid|unable to find) ~(api ?keys?|api_key|x api key|apikey|auth_key|subscription key|access token|auth token|bearer token|"
        "auth credentials|credentials?|authentication|authorization header|authorization|security token|bearer|openai_api_key|token header|username or token|user token|oauth token|jwt)|"
        "(api ?keys?|api_key|x api key|apikey|access token|auth token|bearer token|oauth token|credentials?|security token|session token|refresh token|jwt|authorization header|\\w*_api_key|iam token|the token|your token|login) ~(invalid|incorrect|not valid|expired|missing|required|"
        "revoked|not found|not set|not configured|not provided|must be set|is wrong|disabled|has been disabled|unauthorized|not supported|not exist|does not exist|rejected|not have)|"
        "unauthori[sz]ed|unauthenticated|(authentication|authorization|auth) ~(failed|failure|error|fails|required|invalid|missing|expired|token)|not (logged in|authenticated|authorized to use this api)|"
        "(session|login|key) (has |is |was |been )*(expired|revoked)|log ?in|run login|re authenticate|reauthenticate|sign in|could not (resolve|validate|load) (authentication|credentials|default credentials)|"
        "unable to locate credentials|user not found|^(error )?invalid (bearer |auth |access )?token$|invalid token (provided|request id|supplied)|must be (signed|logged) in|(unable to|could not|couldnt|cannot|failed to) authenticate|^(error )?invalid signature$|accountid from token|(didnt|did not|havent) (provide|set|specify) (an |a |your )?(api key|api_key|apikey|token)|api_key client option|could not validate credentials",
        unless="context|unexpected token|max_tokens|tokens? ~(exceed|limit)|model ~not found|json|billing",
        example="Incorrect API key provided: sk-proj-***. You can find your API key at", not_example="Unexpected token < in JSON",
    ),
)  # fmt: skip

RIGHTS: Final[tuple[Rule, ...]] = (
    _text(
        "text.denied", "auth.permission_denied", source=f"{_OPENAI}; {_AWS}; https://cloud.google.com/apis/design/errors",
        statuses="0 200 400 401 403 404 500",
        text="permission(s)? ~(denied|required|missing|not|insufficient)|must be a member of|(insufficient|missing|lack\\w*|no|without) (the |authentication |oauth |required )?(permission|permissions|privileges|scopes?|access)|"
        "access ~(denied|forbidden|not allowed|restricted|not granted|to this model is)|not (authorized|permitted|entitled|authorised|allowed) (to|for)|forbidden|"
        "(do not|dont|does not|doesnt|did not) (currently )?have (\\S+ ){0,3}?(access|permission|authorization|permissions)|access (to|for) (\\S+ ){0,6}?(denied|restricted|not|requires)|"
        "(organization|account|project) ~(must be verified|not verified|is not authorized|not allowed|not authorized|does not have access|does not have)|gated (repo|model)|"
        "has not been used in project|api ~(has not been|not been|is not|not) ~(enabled|used)|is blocked|request (was )?blocked|you have been blocked|is not allowed to|"
        "key ~not allowed|only allowed to|(team|key|user) ~not allowed ~model|host_not_allowed|cloudflare ray|operation (is |was )?not (allowed|authorized)|public access is disabled|(model|repo|repository) is gated|(accept|agree to) the (license|licence|terms)",
        unless="not exist or|does not exist|billing|marked by provider as legacy|deprecated|is not allowed for|extra inputs|additional properties|not allowed in|unknown model|content",
        example="You don't have access to the model with the specified model ID.",
        not_example="The model `x` does not exist or you do not have access to it.",
    ),
    _text(
        "text.not_on_demand", "invalid_request.model_not_available", source=_AWS,
        text="on demand throughput", statuses="0 200 400",
        example="Invocation of model ID anthropic.claude-x with on-demand throughput isn't supported. Retry your request with the ID",
        not_example="Provisioned throughput exceeded",
    ),
    _text(
        "text.no_model", "invalid_request.model_not_found", source=f"{_OPENAI}; {_SERVERS}; {_OPENROUTER}",
        statuses="0 200 400 403 404 405 410 422 424 500 501 503",
        text="(model|models|deployment|engine|checkpoint|inference profile) (\\S+ ){0,8}?(not found|does not exist|doesnt exist|not exist|do not exist|is not (a )?(valid|supported|available|recogni[sz]ed|found|known|accessible|served|allowed|deployed|configured)|isnt (available|supported|valid)|"
        "unknown|unavailable|not available|not supported|was not found|has been (deprecated|decommissioned|retired|removed|disabled|discontinued|shut)|is (deprecated|decommissioned|retired|no longer)|no longer (available|supported)|not (been )?(deployed|enabled|loaded|specified)|cannot be found|could not be found|reached the end of its life|is invalid|end of life)|"
        "(unknown|invalid|unsupported|no such|unrecognized|missing|nonexistent|non existent|no|wrong|provided) (model|deployment|models|model id|model identifier|model name|engine|model_name)|"
        "no (allowed )?(endpoints?|providers?|channels?|deployments?|instances?) (\\S+ ){0,3}?(found|available|support|for|that|matching|serving)|try pulling it first|"
        "(could not|couldnt|cannot|cant|failed to|unable to) (find|locate|resolve) (the |a |any )?(model|deployment)|must (provide|specify) a model|you must provide a model|"
        "(resource|deployment|endpoint|route|url|page|path|operation) (\\S+ ){0,4}?(not found|does not exist|cannot be found|was not found)|not found for api version|not a (valid )?(chat )?model|"
        "model_not_found|on demand throughput|model identifier is invalid|404 page not found|cannot (post|get) v1|(legacy|deprecated|retired) model|no models? loaded|model ~(sunset|expired)|404 not found|model_id|too large to be loaded",
        unless="tool ~not found|no (tool|function) (named|called)|agent \\S+ not found|api key|(image|file|audio|document|tools?|tool use|streaming|vision|images|system|thinking|temperature|function calling|functions?|response_format|json mode|structured output\\w*|parameter|logprobs|reasoning|effort|prefill) (input |content |calling |messages? |is |are )*(not supported|unsupported)|"
        "(does not|doesnt) support|supports at most|requires? more (system )?memory|out of memory|loading model|crashed|unexpectedly|"
        "overloaded|temporarily|capacity|parse|currently unavailable|not supported with this model|high demand|with this model|"
        "mcp|response from model|previous_?response|item with id|maximum|module not found|command not found|"
        "by this model|for this model|with the \\S+ model|output",
        example="The model `gpt-5-foo` does not exist or you do not have access to it.",
        not_example="Unsupported parameter: 'max_tokens' is not supported with this model.",
    ),
    _text(
        "text.no_model_wide", "invalid_request.model_not_found", source="https://github.com/songquanpeng/one-api",
        substrings=("无可用渠道", "模型不存在", "不存在的模型", "没有可用", "不支持该模型", "模型未开通"), statuses="0 200 400 403 404 500 503",
        example={"status_code": 503, "message": "分组 default 下模型 gemini-flash 无可用渠道（distributor）"},
        not_example="请求模型失败",
    ),
    _text(
        "text.denied_wide", "auth.permission_denied", source="Chinese gateways",
        substrings=("无权", "没有权限", "權限不足", "权限不足", "禁止访问", "アクセス権", "권한이 없", "нет доступа", "доступ запрещ"),
        statuses="0 200 400 401 403", example={"status_code": 403, "message": "您无权访问该模型"}, not_example="请求模型失败",
    ),
    _text(
        "text.key_wide", "auth.invalid_key", source="Chinese gateways", substrings=("令牌", "无效的api", "неверный ключ", "неверный API", "недействительный ключ", "APIキーが", "API 키가", "clé API invalide", "Clé API invalide", "密钥", "身份验证", "鉴权", "未授权", "认证失败"),
        statuses="0 200 400 401 403", example={"status_code": 401, "message": "无效的令牌"}, not_example="请求模型失败",
    ),
)  # fmt: skip
