# ruff: noqa: E501 - a pattern is read whole, and a table has its columns
"""What the words say, when no machine word decided.

Each rule is about a meaning, not a message: several verbs, several nouns, short gaps. A rule counts
only when the status (if any) is one its class can have, so that a 404 page which mentions an
overloaded server stays a 404. The first rule that holds wins; the order is precedence: what cannot
be cured by waiting comes before what can.
"""

from functools import partial
from typing import Final

from penstock.classifiers._rule import Rule, Tier, rule

_text = partial(rule, tier=Tier.TEXT)

_OPENAI = "https://platform.openai.com/docs/guides/error-codes"
_ANTHROPIC = "https://docs.claude.com/en/api/errors"
_GEMINI = "https://ai.google.dev/gemini-api/docs/troubleshooting"
_AWS = "https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html"
_AZURE = "https://learn.microsoft.com/azure/ai-services/openai/how-to/quota"
_OPENROUTER = "https://openrouter.ai/docs/api-reference/errors"
_SERVERS = "vLLM, llama.cpp, Ollama, LM Studio, TGI: server sources and public issues"
_CODE = "https://github.com/anthropics/claude-code/issues"

# Texts that ask for more money while only a window was hit (Groq, Azure, OpenRouter, Together).
_WINDOW_WORDS = (
    "tokens? per (min|minute|day|hour|second)|requests? per (min|minute|day|hour|second)|queries per|tpm|rpm|rpd|tpd|"
    "token rate limit|call rate limit|rate limit reached|free models per (day|min)|free models per|rate limited|"
    "requests per|too many requests you|per \\d+ (seconds|minutes)|temporarily rate"
)

CALLER: Final[tuple[Rule, ...]] = (
    _text(
        "text.history", "invalid_request.malformed_history", source=_ANTHROPIC,
        words="tool_use tool_result tool_calls tool_call_id toolresult tooluse tool_call thinking thought_signature "
        "roles role alternate prefill functionresponse signature conversation reasoning turn function_call",
        text="(tool_use|tooluse) ids ~(without|found)|unexpected (tool_use_id|tooluse|tool_result|role)|"
        "(tool_use|tool_calls|tool_call|tool_call_id|tool_result|toolresult|tooluse) ~(must be followed|must have|"
        "not followed|must be a response|without|missing|mismatch|immediately after|preceding|did not have|do not have|"
        "does not match|not found in|has no|no corresponding)|must be followed by tool messages|"
        "corresponding (tool_result|tool_use|tool_calls|toolresult)|role tool must be a response|"
        "number of (toolresult|toolresult blocks|function response|function response parts|toolresult blocks at)|"
        "function (response|call) (turn|parts)|(roles?|conversation) ~(must )?alternat\\w+|"
        "(missing a )?thought_signature|expected thinking|thinking blocks? ~(cannot|must|invalid)|"
        "(final|first|last) (message|turn|assistant content|block) ~(must|cannot|should)|"
        "invalid signature in thinking|(conversation|history|messages) ~(must start|must end|has to start|should start)|"
        "assistant message prefill|does not support assistant prefill|cannot end with|"
        "reasoning_content ~(must|missing|is required|in the)|without its required (following|reasoning)|"
        "no tool (output|call) found for|(text|message) content blocks must (be )?non empty|"
        "messages ~must (have|contain) (non ?empty|content)|after user role expected",
        example="messages.8: `tool_use` ids were found without `tool_result` blocks immediately after",
        not_example="Tool result: 404 page not found",
    ),
    _text(
        "text.url", "invalid_request.url_fetch_failed", source=_OPENAI, words="download downloading url image fetch urls", statuses="0 200 400 422",
        text="(error|failed|unable|could not|cannot|timeout|timed out) (while )?(to )?(download\\w*|fetch\\w*|retriev\\w+|access\\w*) (\\S+ ){0,3}?(url|image|file|https?|content|media|the url)|(url|image) ~(could not be|cannot be|not) (downloaded|fetched|accessed|accessible|retrieved)|invalid image url",
        unless="api openai com|v1 chat|v1beta models|generatecontent|error fetching from|api",
        example="Error while downloading https://source.unsplash.com/8xznAGy4HcY/800x400.", not_example="Error fetching from https://generativelanguage.googleapis.com/v1beta/models/x:generateContent",
    ),
    _text(
        "text.empty_history", "invalid_request.bad_param", source=_ANTHROPIC,
        words="messages contents message text content", statuses="0 200 400 422 500",
        text="(messages?|contents?|text|input|prompt) ~(must not be|cannot be|should not be|must be non|may not be|is) empty|"
        "at least one (message|content|user message) is required|all messages must have non empty content|contents is not specified",
        unless="response ~empty|empty response|model ~returned|output",
        example={"status_code": 400, "message": "messages: text content blocks must be... contents must not be empty"},
        not_example="The model returned an empty response",
    ),
    _text(
        "text.context_sum", "context_length.input_plus_output", source=f"{_ANTHROPIC}; {_OPENROUTER}; {_SERVERS}",
        words="completion output max_tokens max_new_tokens", unless="per (minute|min)|tpm",
        text="maximum context length ~\\d+ tokens ~requested ~\\d+ tokens (\\S+ ){1,14}?in the (completion|output)|"
        "(input length|inputs? tokens|inputs|prompt) (and )?(tokens )?(max_tokens|max_new_tokens) (exceeds?|must be)",
        example="input length and `max_tokens` exceed context limit: 174167 + 64000 > 200000",
        not_example="prompt is too long: 205668 tokens > 200000 maximum",
    ),
    _text(
        "text.context", "context_length.input_too_long", source=f"{_OPENAI}; {_SERVERS}",
        words="context size prompt tokens token input length long n_ctx max_model_len window max_tokens",
        text="(maximum|max|model|models|supported|available|the) (context|sequence|input|prompt) (length|size|window|tokens|limit)|"
        "context (length|size|window|limit|overflow) ~(exceed\\w*|overflow\\w*|too|full|reached|is|of|was|limit|by)|"
        "(exceed\\w*|exceeding|over|overflow\\w*|larger than|longer than|greater than|beyond|outside|past|reached|surpass\\w*|"
        "more than|bigger than|out of|fit in|fit within|fit into|not fit|within) ~(context|n_ctx|max_model_len|maximum input|input token|input length|input tokens|model token limit|token limit for|model limit|maximum number of tokens|context window)|"
        "(prompt|input|inputs|request|messages|conversation|text|message|query) ~(is|are|was|has) too (long|large|big)|"
        "prompt too long|input too long|too many (input )?tokens (in|for the) (prompt|request|model|input)|(input|prompt) (token count|tokens|length|token length) ~(exceeds?|exceeded|too)|"
        "exceed\\w* model token limit|model token limit|input token count|n_ctx|max_model_len|maximum prompt length|"
        "must have less than \\d+ tokens|inputs? (tokens )?max_new_tokens must be|string too long ~maximum length \\d{6,}|(conversation|prompt|input|text|message|context) too (long|large)|"
        "reduce ~(prompt|messages|message length|context|input)|please reduce the length|"
        "(range of input length|expected maxlength)|maximum allowed (input )?(token|length)|"
        "tokens ~(exceeds?|exceed|exceeded) ~(maximum|limit|max|context)|(auto ?)?compact(ion|ing)? ~(fail\\w*|context)|"
        "prompt contains \\d+ tokens|request (has|contains) \\d+ input tokens|ran out of room|"
        "(prompt|input) ~exceeds ~(limit|maximum|length)|supports at most \\d+ tokens|"
        "completion ~max_tokens ~exceed|max size \\d+ tokens|maximum tokens you requested exceeds",
        unless="per (minute|min|second|hour|day)|tpm|tpd|rate limit|afford|number of images|image dimensions|"
        "(invalid|unsupported) value ~(max_tokens|max_output_tokens|max_completion_tokens)|"
        "max_tokens ~(must be|should be|is too large|larger than max|at most|greater than)|no such tool|thinking budget|budget_tokens|"
        "long context (beta|is not)|before any response|usage credits|extra usage|iteration",
        example="This model's maximum context length is 4097 tokens, however you requested 4226 tokens",
        not_example="Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 342389",
    ),
    _text(
        "text.filter_refusal", "content_filter.refusal", source=_CODE,
        words="usage policy policies", statuses="0 200 400 403",
        text="unable to respond to this request ~(violate|policy|usage)|(appears|seems) to violate (our )?usage policy|"
        "violat\\w+ ~(usage|acceptable use|terms|content) polic(y|ies)|stop_reason refusal",
        example="Claude Code is unable to respond to this request, which appears to violate our Usage Policy",
        not_example="See our usage policy page for rate limits",
    ),
    _text(
        "text.filter_output", "content_filter.output", source=_ANTHROPIC,
        words="output response candidate completion answer responses", statuses="0 200 400",
        text="(output|response|responses|candidate|completion|answer) ~(blocked|filtered|flagged) ~"
        "(content|safety|policy|filter|filtering|moderation|recitation|prohibited|responsible|due to|by)",
        unless="due to the prompt|prompt triggering|your prompt|you have been blocked|request blocked",
        example="Output blocked by content filtering policy",
        not_example="The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
    ),
    _text(
        "text.filter", "content_filter.prompt", source="https://learn.microsoft.com/azure/ai-services/openai/concepts/content-filter",
        words="nsfw finish_reason filter filtered filtering filters policy policies moderation safety blocked flagged inappropriate sensitive "
        "prohibited recitation guardrail guardrails inspection unsafe harmful 敏感 violates violated copyrighted",
        substrings=(),
        text="content (management |moderation |safety |usage )?(filter\\w*|polic\\w+|moderation)|(filtered|blocked|flagged|rejected|refused|triggered|violat\\w+) ~"
        "(content|safety|policy|policies|moderation|filter|filtering|prohibited|guardrails?|sensitive|harm\\w*|system)|"
        "(safety|moderation|guardrail|guardrails|policy) ~(filter|block\\w*|violat\\w+|flag\\w*|triggered|reject\\w*|reasons?|ratings|settings|intervened)|"
        "(inappropriate|unsafe|harmful|sensitive|prohibited|illegal|objectionable|disallowed|copyrighted) (content|material|text|information|words?|input|data)|"
        "(prompt|input|output|response|content|request|message|image|completion) ~(was|were|is|has been|been|got|be) ~(blocked|flagged|filtered|moderated|rejected as)|"
        "finish ?reason ~(safety|recitation|content_filter|prohibited_content)|recitation|responsible ai|data inspection|nsfw|finish_reason is [38]|"
        "block_?reason",
        unless="email|ip address|(repository|push|branch) ~blocked|cors|firewall|cloudflare ray|you have been blocked|rate limit|"
        "privacy settings|data policy|no endpoints|privacy|org(anization)? policy|network policy|retry policy|constraint",
        example="The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
        not_example="No endpoints found matching your data policy (Free model publication)",
    ),
    _text(
        "text.filter_wide", "content_filter.prompt", source="DashScope, Zhipu, ERNIE, Doubao: Chinese refusals",
        substrings=("敏感", "不安全", "违规", "违反", "内容安全", "不合规", "审核"),
        example="系统检测到输入或生成内容可能包含不安全或敏感内容，请您避免输入易产生敏感内容的提示语",
        not_example="余额不足",
    ),
)  # fmt: skip

MONEY: Final[tuple[Rule, ...]] = (
    _text(
        "text.plan_window", "quota.subscription_window", source=f"{_CODE}; https://github.com/openai/codex/issues",
        words="usage limit quota weekly session plan subscription 5 hour hit reached",
        text="usage limit ~(reached|exceeded|hit|resets?|for your plan|has been|will reset)|"
        "(hit|reached|exceeded|out of) (your|the|my) ~(usage|session|weekly|5 hour|five hour|opus|sonnet|plan|subscription|pro|max|team|fable) (limit|usage|plan limit|quota)|"
        "(youve|you have) (hit|reached|exceeded) your (limit|usage limit)|out of extra usage|"
        "(weekly|session|5 ?h|5 hour|five hour|plan|subscription|usage|billing cycle) (usage )?(limit|quota|limits|window) ~(reached|exceeded|hit|resets?|exhausted|for|has been)|"
        "limit will reset at|resets (at )?\\d+ ?(am|pm)|usage limit for this (billing cycle|period)|"
        "(upgrade|subscribe) ~(to continue|plan) ~usage limit|hit your usage limit|(hit|reached|used|exceeded) ~free (requests?|messages?|usage|plan|tier) limit|quota will reset (after|at|in|on)|third party apps now draw|claude pro usage limit",
        unless=f"{_WINDOW_WORDS}|free tier requests|requests per|spend|spending",
        limit_dimension="billing",
        example="Claude usage limit reached. Your limit will reset at 10pm (Africa/Tunis).",
        not_example="Rate limit exceeded. Please try again later.",
    ),
    _text(
        "text.month_cap", "quota.monthly_cap", source="https://docs.cohere.com/docs/rate-limits",
        words="month monthly trial premium",
        text="(calls|requests|messages|tokens|credits|queries|generations) (a|per|this|each) month|"
        "(monthly|trial|premium) ~(limit|quota|cap|allowance|credits|included credits|requests|usage) ~(exceeded|reached|exhausted|hit|used|for|will)?|"
        "(exceeded|reached|exhausted|used|hit|depleted) ~(monthly|premium|trial)|trial (key|account|credits|period) ~(limited|expired|ended|exhausted|limit)",
        unless="spend|spending|calls minute|per minute|tokens per min",
        limit_dimension="billing",
        example="You are using a Trial key, which is limited to 1000 API calls / month.",
        not_example="You are past the per minute request limit, please wait and try again later.",
    ),
    _text(
        "text.day_cap", "quota.daily_cap", source="https://developers.cloudflare.com/workers-ai/platform/errors/",
        words="daily day today free allocation allowance",
        text="(used up|exhausted|exceeded|reached|used all|no more) ~(daily|free) (free )?(allocation|allowance|credits|usage|neurons|spend|budget|cap)|"
        "daily (free )?(allocation|allowance|credits?|budget|cap|free quota) ~(used|exhausted|exceeded|reached|limit)",
        unless=f"{_WINDOW_WORDS}|per day|per model|hourly",
        limit_dimension="billing",
        example="you have used up your daily free allocation of 10,000 neurons, please upgrade",
        not_example="Rate limit exceeded: free-models-per-day",
    ),
    _text(
        "text.free_tier", "quota.free_tier", source="https://ai.google.dev/gemini-api/docs/rate-limits",
        words="limit free", statuses="0 200 403 429",
        text="limit 0( model| please| metric)?|free (tier|quota|trial|plan|model|credits?) ~(is not available|not available|unavailable|has been exhausted|exhausted|ended|expired|has ended|used up|ran out)",
        unless="limit 0 \\d|remaining|used 0 limit",
        limit_dimension="billing", scope="project",
        example="You exceeded your current quota. * Quota exceeded for metric: free_tier_requests, limit: 0",
        not_example="Quota exceeded for metric: free_tier_requests, limit: 20",
    ),
    _text(
        "text.spend", "quota.spend_limit", source=f"{_OPENROUTER}; {_OPENAI}",
        words="spend spending afford budget hard billing cost limit key", statuses="0 200 400 401 402 403 412 422 429 500",
        text="(spend|spending|budget|billing|cost|hard|usage budget) (hard )?(limit|cap|budget|limits|threshold) ~(reached|exceeded|exhausted|hit|has been|for)?|"
        "(reached|exceeded|exceeds|over|hit|crossed) ~(spend|spending|budget|billing|cost|hard) (hard )?(limit|cap|quota|budget)|"
        "(budget|max_budget) ~(exceeded|exhausted)|exceededbudget|higher monthly limit|key limit exceeded|"
        "api key ~(budget|spend limit|total limit|credit limit)",
        unless=f"{_WINDOW_WORDS}|used all available credits|thinking budget|budget_tokens|token budget|time budget|queue budget|"
        "retry budget|upgrade to (a )?(paid|paid account)",
        limit_dimension="billing",
        example="Billing hard limit has been reached",
        not_example="thinking budget_tokens exceeded max_tokens",
    ),
    _text(
        "text.balance", "quota.credit_balance", source=f"{_ANTHROPIC}; {_OPENROUTER}; https://api-docs.deepseek.com",
        words="regain calls credit credits balance billing funds fund payment arrears prepayment recharge prepaid invoices invoice unpaid "
        "afford paid overdue charge topup top pay purchase subscription wallet",
        text="(credit|credits|balance|funds|fund|prepayment|prepaid|wallet|quota balance) ~(too low|insufficient|exhausted|depleted|run out|ran out|"
        "empty|negative|not enough|is low|required|used up|limit exceeded|limit reached|expired|overdue|below|zero|0|are needed|"
        "limit was exceeded|needed|has been exhausted|is not enough)|"
        "(insufficient|not enough|no|low|negative|zero|out of|run out of|ran out of|lack of|lacks|exhausted|depleted|requires? more|more|add|purchase|buy|top up|without) "
        "(available |remaining |prepaid |your |account |api |included |user )?(credits?|balance|funds?|prepaid)|"
        "(only|can only) afford|(payment|billing) ~(required|failed|overdue|declined|past due|issue|not active|inactive|is not enabled|disabled|must be enabled)|(payment|billing) (issue|information|method)|"
        "(unpaid|overdue|outstanding|past due) (invoices?|bills?|balance|payment)|(pay|failure to pay) ~(invoices?|bills?)|"
        "(please |need to )?(recharge|top up)|in arrears|arrearage|account is in good standing|account ~good standing|"
        "no (active|valid) subscription|subscription ~(expired|required|inactive|has ended|not active)|"
        "requires? (a )?(paid|active) (plan|account|subscription)|upgrade to a paid (plan|account)|credits? ~used all|"
        "(enable|set up|requires) billing|insufficient user quota|valid payment|account is not active|regain access|out of calls|not active ~billing",
        unless=f"{_WINDOW_WORDS}|add 10 credits|enable billing ~rate|billing unlock|load balanc\\w+|less than 5 0 in credit|less than 5 in credit|(throttled|throttling)|overload\\w*|"
        "(file|module|model|page) ~not found|quota metric",
        limit_dimension="billing",
        example="Your credit balance is too low to access the Anthropic API.",
        not_example="Rate limit reached for model `x` on tokens per minute (TPM). Need more tokens? Upgrade /settings/billing",
    ),
    _text(
        "text.balance_wide", "quota.credit_balance", source="Zhipu, DeepSeek, SiliconFlow, new-api: Chinese messages",
        substrings=("余额不足", "欠费", "账户余额", "余额已", "充值", "额度不足", "额度已用尽", "额度已用完", "额度用尽", "资源包", "套餐已", "额度已耗尽"),
        unless="", limit_dimension="billing",
        example="您的账户已欠费，请充值后重试。", not_example="您的账户已达到速率限制，请您控制请求频率",
    ),
    _text(
        "text.quota", "quota.insufficient_quota", source=_OPENAI,
        words="quota billing insufficient_quota",
        text="(exceeded|exceeds|exceeding|reached|out of|no|insufficient|not enough|exhausted|over) (your |the |user |available |remaining |account |api |current |plan )*quota|"
        "out of (\\S+ ){0,3}?quota|quota (is |has been |was )?(not enough|insufficient|exhausted|used up|depleted|reached|exceeded|ran out|run out)|"
        "plan and billing details",
        unless=f"{_WINDOW_WORDS}|token limit|check quota|per (model|project|user|region)|quota (metric|exceeded for)|quotaid|"
        "quota exceeded for|resource exhausted|retry in|retry after|try again in|per minute|throttling|allocated quota|server|"
        "please wait|gemini api docs rate limits",
        limit_dimension="billing",
        example="user quota is not enough",
        not_example="Quota exceeded for aiplatform.googleapis.com/generate_content_requests_per_minute_per_project",
    ),
)  # fmt: skip

CAPACITY: Final[tuple[Rule, ...]] = (
    _text(
        "text.own_queue", "rate_limit.client_side", source="client-side limiters and local gateways",
        words="queue local limiter client semaphore cooldown budget proxy circuit",
        text="local (rate ?limit\\w*|queue|limiter)|(queue|limiter) ~(budget|wait|max_?wait\\w*|timeout|full locally)|"
        "(client side|client|own|internal|sdk|proxy) (rate ?limit\\w*|throttl\\w+|limiter)|rate limiter ~(timeout|timed|full|rejected|queue)|"
        "request dropped ~queue|no deployments available ~cooldown|(in|on|all) ~cooldown|cooldown_list",
        unless="worker local|server queue|queue is full|queue full|database|model queue",
        limit_dimension="client_queue", scope="local",
        example="Request dropped after exceeding the local rate-limit queue budget maxWaitMs (15000ms)",
        not_example="Worker local total request limit reached (267/32)",
    ),
    _text(
        "text.queue_full", "overloaded.queue_full", source=_SERVERS,
        words="queue worker workers queued slots pending",
        text="queue (is |was )?(full|exceeded|size|limit|overflow)|(request|job|task|server|inference|pending|maximum) queue ~(full|exceeded|limit|reached|overflow)|"
        "worker ~(limit|busy|request limit)|(all|no) ~(workers?|slots?|replicas?|instances?) ~(busy|available|in use)|maximum pending requests|too many (queued|pending)|queue limit",
        unless="local rate", example="ResourceExhausted: Worker local total request limit reached",
        not_example="Message queue connection refused",
    ),
    _text(
        "text.loading", "overloaded.model_loading", source="https://huggingface.co/docs/api-inference; Ollama; TGI",
        words="loading starting warming cold initializing booting load warm start loaded ready", statuses="0 200 429 500 503",
        text="(model|server|engine|endpoint|deployment|instance) ~(is |are |still |currently )+(being )?(loading|starting|warming|initializing|booting|initialising|waking|cold)|"
        "(currently|still) (loading|starting|warming|initializing)|loading model|warming up|cold start|model (is )?not (yet )?(ready|loaded)|is (starting|loading)|"
        "(model|endpoint|deployment) ~not ready|scaled to zero|service is starting",
        unless="error loading|failed|failure|unable to load|cannot load|couldnt load|timed? ?out|allocate|memory|loading model information",
        example="Model allenai/unifiedqa-t5-11b is currently loading", not_example="error loading model: unable to allocate",
    ),
    _text(
        "text.ramp", "rate_limit.ramp", source=_ANTHROPIC,
        words="acceleration accelerating ramp burst increased growth",
        text="acceleration limit\\w*|ramp (up )?(limit|your|traffic|more)|usage increase rate|scale up ~gradually|increas\\w+ ~(traffic|usage|requests) ~(gradually|too)|"
        "burst (rate|limit|requests?)|request rate increased too quickly|grow\\w* too (fast|quickly)",
        limit_dimension="ramp",
        example="Request rate increased too quickly. To ensure system stability, please adjust your client logic",
        not_example="Rate limit exceeded",
    ),
    _text(
        "text.shared", "rate_limit.shared_capacity", source="https://cloud.google.com/vertex-ai/generative-ai/docs/error-code-429",
        words="upstream provider shared 429 exhausted", statuses="0 200 429 500 502 503 529",
        text="rate limited upstream|temporarily rate limited|docs error code 429|(upstream|provider) (rate ?limit\\w*|is rate limited|rate limit exceeded)|"
        "shared (pool|capacity|quota|rate limit)|upstream ~rate ?limit\\w*|provider ~rate limit exceeded",
        unless="resource ?exhausted e g|openai com|status code 429|your (organization|team|account)",
        limit_dimension="shared_pool", fault="provider_capacity", scope="shared",
        example="deepseek/deepseek-r1:free is temporarily rate-limited upstream. Please retry shortly",
        not_example="Error code: 429 - {'error': {'message': 'Rate limit reached for gpt-4'}}",
    ),
    _text(
        "text.request_over_window", "rate_limit.request_too_large_for_tpm", source=f"{_OPENAI}; https://console.groq.com/docs/rate-limits",
        words="tokens tpm token", text="(request|prompt|input|message) too large(?: \\S+){1,16}? (tokens per|tpm)|"
        "(input or output tokens|tokens) must be reduced|reduce your message size",
        unless="context|payload|megabytes|mb|bytes", statuses="0 200 400 413 429 500", retryable=False,
        limit_dimension="tokens_per_minute",
        example="Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 342389.",
        not_example="Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29000, Requested 5000.",
    ),
    _text(
        "text.concurrency", "rate_limit.concurrency", source="Zhipu, CoreWeave, SageMaker, Databricks: concurrency caps",
        words="concurrency concurrent parallel simultaneous concurrently", statuses="0 200 400 403 429 500 503",
        text="(concurren(t|cy)|parallel|simultaneous) ~(limit|requests?|exceed\\w*|reached|too many|quota|maximum|connections|usage|calls|jobs|streams)|"
        "(too many|maximum|limit|exceed\\w*) ~(concurrent(ly)?|parallel|simultaneous|concurrency)",
        unless="tool use concurrency|parallel tool|parallel_tool\\w*|concurrent modification",
        limit_dimension="concurrency",
        example="Concurrency limit reached for requests", not_example="parallel_tool_calls is not supported",
    ),
    _text(
        "text.tpd", "rate_limit.tpd", source=_AWS, words="day tpd daily tokens",
        text="tokens? per day|tpd|daily token (limit|quota)|tokens? ~per ~day", limit_dimension="tokens_per_day",
        unless="free allocation",
        example="ThrottlingException: Too many tokens per day, please wait before trying again.",
        not_example="Too many tokens, please wait before trying again.",
    ),
    _text(
        "text.rpd", "rate_limit.rpd", source=f"{_OPENROUTER}; https://ai.google.dev/gemini-api/docs/rate-limits",
        words="day rpd daily 86400 24 requestsperday perday generaterequestsperdayperprojectpermodel generate_requests_per_model_per_day",
        text="(requests?|models?|messages|calls|queries|rate limit|rate limits) ~per (1 )?day|rpd|daily ~(request|requests|rate|message|usage|quota|api)? ?(limit|quota)|"
        "\\w*per_?day\\w*|free models per day|userbymodelbyday|(requests|calls) ~(in|every) (24 hours|a day)|86400 ?s? (exceeded|for)",
        unless="free allocation|tokens per day|calls month",
        limit_dimension="requests_per_day",
        example="429 Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day",
        not_example="Rate limit exceeded: free-models-per-min",
    ),
    _text(
        "text.tpm", "rate_limit.tpm", source=f"{_OPENAI}; {_ANTHROPIC}; {_AZURE}",
        words="tokens token tpm itpm otpm",
        text="(input |output )?tokens? per (min|minute|1m|second|hour)|[io]?tpm|tokens? (rate|usage) limit|too many tokens|"
        "(rate|quota|limit) ~tokens? ~(min|minute)|maximum number of tokens ~(time frame|period|window)|tokens? rate|"
        "(token|tokens) (quota|limit) ~(exceeded|reached)|hit token rate limit|\\w*tokens?_per_min\\w*|\\w*input_token_count\\w*|\\w*tokensperminute\\w*",
        unless="context|before any response|no such tool|access token|invalid token|expired|exceed model token limit", statuses="0 200 400 403 413 429 500 503 529",
        limit_dimension="tokens_per_minute",
        example="TPM (Tokens Per Minute) limit of the model is exceeded. Please try again later",
        not_example="Rate limit reached for gpt-4 on requests per min (RPM): Limit 3, Used 3, Requested 1.",
    ),
    _text(
        "text.rpm", "rate_limit.rpm", source=f"{_OPENAI}; {_AZURE}; {_AWS}",
        words="rpm minute min requests queries rps qps second call calls qpm rph hour per_minute request", statuses="0 200 400 403 413 429 500 503 529",
        text="(requests?|queries|calls|images|messages|prompts) ~per ~(min|minute|second|hour|sec|\\d+ (seconds?|minutes?))|rpm|rps|rph|qps|qpm|call rate limit|per minute request limit|"
        "free models per min\\w*|\\w*requests_?per_?min\\w*|(maximum|max|limit) ~(requests?|calls|queries) ~(minute|second|hour)|"
        "requests? rate limit|request rate ~(exceed\\w*|limit|too)|too many requests ~(sent too many requests)|limit ~\\d+ ~(minute|second|hour)|"
        "\\d+ (requests?|calls|queries) (a|per|every|in|within|each) ~(minute|second|hour|seconds|minutes)",
        limit_dimension="requests_per_minute",
        example="Requests have exceeded call rate limit of your current OpenAI S0 pricing tier",
        not_example="Rate limit exceeded. Please try again later.",
    ),
    _text(
        "text.aws_requests", "rate_limit.rpm", source=_AWS,
        signals="ThrottlingException", words="requests", text="too many requests", limit_dimension="requests_per_minute",
        example="An error occurred (throttlingException): Too many requests, please wait before trying again.",
        not_example="429 Too Many Requests",
    ),
    _text(
        "text.capacity", "overloaded.capacity", source=f"{_AWS}; https://docs.mistral.ai; Fireworks, Together, Vertex",
        words="capacity resources unable scaled saturated busy traffic",
        text="(capacity) ~(exceeded|reached|limit|exhausted|constraints?|issues?|unavailable|available|error|is full)|"
        "(no|insufficient|not enough|at|lacks?|out of|over|exceeded|temporarily|limited|full|low on) (available |sufficient |enough |max |maximum |model )?capacity|"
        "(insufficient|not enough) (system |compute |gpu )?resources|(upstream|server|load) ~saturated|no available (capacity|gpus?|resources|workers|instances|servers)|"
        "(system|server|service|model) (is )?(too |very |currently )?busy|high (traffic|load|usage)|heavy (traffic|load)|server busy",
        unless="your (organization|team|account|plan)s? capacity|disk|memory", statuses="0 200 400 403 408 424 429 498 500 502 503 529",
        example="Service tier capacity exceeded for this model.", not_example="Rate limit exceeded for this model.",
    ),
    _text(
        "text.overloaded", "overloaded.overloaded", source=f"{_ANTHROPIC}; {_OPENAI}; {_GEMINI}",
        words="overloaded overload demand unavailable availability throughput 529",
        text="overload(ed|ing)?|(high|increased|heavy|unusually high|extreme|excessive) (user )?demand|temporarily (unavailable|unable|out of)|"
        "(model|service|engine|server|api|deployment|endpoint|backend|provider) ~(is |are )?(currently |temporarily )?(unavailable|not available right now|down)|"
        "(service|server) (is )?(temporarily )?unavailable|currently unavailable|529",
        unless="available models|model is (not available|unavailable) (in|for) (your|this)|in your (region|country)|tcp|handshake|connect to all addresses|failed to connect|connection refused|"
        "(free|this) (model|period|promotion) ~(ended|has ended|discontinued)|method overload|failover ~exhausted",
        statuses="0 200 408 429 498 500 502 503 529",
        example="The model is overloaded. Please try again later.", not_example="The model is not available in your region",
    ),
    _text(
        "text.rate_words", "rate_limit", source=f"{_OPENAI}; {_ANTHROPIC}; RFC 6585",
        words="rate ratelimit requests throttled throttling exhausted limited limit limits frequency quota queries",
        text="rate ?limit(s|ed|ing|er)?|too many (requests|api requests|calls|queries|messages)|throttl(ed|ing)|"
        "(too )?many requests|resource (has been |was |is )?exhausted|request (limit|quota) (reached|exceeded)|"
        "(requests?|accounts?|api|call|calls|usage) ~(are |is )?(currently )?(limited|throttled)|request frequency|"
        "(exceeded|exceed|exceeds|hit|reached|over|exceeding) ~(rate|request|requests|usage|api|allowed|query|call|frequency) ~(limit|limits|quota|rate)|"
        "quota exceeded for|requests? (too|very) frequent\\w*|too frequent\\w*|(slow|cool) down|sending requests too (quickly|fast)|usage limits?|limit reached",
        unless="(no|without|not a) rate ?limit|iteration|recursion|rate limit dashboard|character limit|size limit|max(imum)? (steps|turns|iterations)|"
        "(file|body|upload|payload|image) ~limit|tokens ~limit reached",
        example="[429]: Rate limit exceeded. Please try again later.", not_example="Maximum iterations limit reached",
    ),
    _text(
        "text.rate_wide", "rate_limit.rpm", source="Zhipu, ERNIE, Doubao: Chinese messages",
        substrings=("速率限制", "请求频率", "频率限制", "请求过于频繁", "限流", "请求过多", "并发", "请求次数", "调用频率", "达到上限"),
        limit_dimension="requests_per_minute",
        example="您的账户已达到速率限制，请您控制请求频率", not_example="您的账户已欠费，请充值后重试。",
    ),
)  # fmt: skip

ACCESS: Final[tuple[Rule, ...]] = (
    _text(
        "text.region", "auth.region_unsupported", source=f"{_OPENAI}; {_GEMINI}",
        words="location region country territory regions countries", statuses="0 200 400 403 451 500",
        text="(location|region|country|territory|countries|regions) ~(not supported|unsupported|not available|is not|restricted|blocked|forbidden)|"
        "(not (available|supported|allowed|permitted|accessible)|unavailable|unsupported) ~(in|from|for) (your|this|the current|the) ~(region|country|location|area|territory)|unsupported (region|country)",
        unless="model ~(not supported|not available|unsupported|not found) in (this |the )?region|us ~\\d|west|east|on demand|bucket",
        example="User location is not supported for the API use.", not_example="Model not supported in region us-east-1",
    ),
    _text(
        "text.suspended", "auth.account_suspended", source=_OPENAI,
        words="suspended deactivated disabled banned terminated restricted locked hold", statuses="0 200 400 401 403 429 500",
        text="(account|organization|consumer|workspace|user|project|org|subscription|key|team) ~(suspended|deactivated|disabled|banned|terminated|locked|on hold|restricted|blocked)|"
        "(suspended|deactivated|disabled|banned) ~(account|organization|user)|has been (suspended|deactivated|banned)",
        unless="credit|balance|spending limit|invoices|billing|tool|function|parameter|subscription key",
        example="This organization has been disabled.", not_example="Account is suspended: spending limit reached",
    ),
    _text(
        "text.key", "auth.invalid_key", source=f"{_OPENAI}; {_ANTHROPIC}; {_GEMINI}",
        words="api_key api key apikey unauthorized authentication authenticate credentials credential token oauth unauthenticated login "
        "unauthorised logged bearer authorization jwt x_api_key cookie signature 401 auth reauthenticate", statuses="0 200 400 401 403 407 498 500 502",
        text="(invalid|incorrect|wrong|bad|malformed|no|missing|expired|unknown|revoked|without|empty|valid|unable to find) ~(api ?keys?|api_key|x api key|apikey|subscription key|access token|auth token|bearer token|"
        "auth credentials|credentials?|authentication|authorization header|authorization|security token|bearer|openai_api_key|token header|username or token|user token|oauth token|jwt)|"
        "(api ?keys?|api_key|x api key|apikey|access token|auth token|bearer token|oauth token|credentials?|security token|session token|refresh token|jwt|authorization header|\\w*_api_key|iam token|the token|your token|login) ~(invalid|incorrect|not valid|expired|missing|required|"
        "revoked|not found|not set|not configured|not provided|must be set|is wrong|disabled|has been disabled|unauthorized|not supported|not exist|does not exist|rejected|not have)|"
        "unauthori[sz]ed|unauthenticated|(authentication|authorization|auth) ~(failed|failure|error|fails|required|invalid|missing|expired|token)|not (logged in|authenticated|authorized to use this api)|"
        "(please )?(log ?in|run login|re ?authenticate|sign in)( again)?|could not (resolve|validate|load) (authentication|credentials|default credentials)|"
        "unable to locate credentials|user not found|(didnt|did not|havent) (provide|set|specify) (an |a |your )?(api key|api_key|apikey|token)|api_key client option|could not validate credentials",
        unless="context|unexpected token|max_tokens|tokens? ~(exceed|limit)|model ~not found|json|billing",
        example="Incorrect API key provided: sk-proj-***. You can find your API key at", not_example="Unexpected token < in JSON",
    ),
    _text(
        "text.denied", "auth.permission_denied", source=f"{_OPENAI}; {_AWS}; https://cloud.google.com/apis/design/errors",
        words="permission permissions denied forbidden access authorized allowed entitled authorised allowlist verified gated restricted privacy "
        "organization enabled blocked", statuses="0 200 400 401 403 404 500",
        text="permission(s)? ~(denied|required|missing|not|insufficient)|(insufficient|missing|lack\\w*|no|without) (the )?(permission|permissions|privileges|scopes?|access)|"
        "access ~(denied|forbidden|not allowed|restricted|not granted|to this model is)|not (authorized|permitted|entitled|authorised|allowed) (to|for)|forbidden|"
        "(do not|dont|does not|doesnt|did not) (currently )?have (\\S+ ){0,3}?(access|permission|authorization|permissions)|access (to|for) (\\S+ ){0,6}?(denied|restricted|not|requires)|"
        "(organization|account|project) ~(must be verified|not verified|is not authorized|not allowed|not authorized|does not have access|does not have)|gated (repo|model)|"
        "has not been used in project|api ~(has not been|not been|is not|not) ~(enabled|used)|is blocked|request (was )?blocked|you have been blocked|is not allowed to|"
        "key ~not allowed|only allowed to|(team|key|user) ~not allowed ~model|host_not_allowed|cloudflare ray",
        unless="not exist or|does not exist|billing|marked by provider as legacy|deprecated|is not allowed for|extra inputs|additional properties|not allowed in|unknown model|content",
        example="You don't have access to the model with the specified model ID.",
        not_example="The model `x` does not exist or you do not have access to it.",
    ),
    _text(
        "text.not_on_demand", "invalid_request.model_not_available", source=_AWS,
        words="throughput", text="on demand throughput", statuses="0 200 400",
        example="Invocation of model ID anthropic.claude-x with on-demand throughput isn't supported. Retry your request with the ID",
        not_example="Provisioned throughput exceeded",
    ),
    _text(
        "text.no_model", "invalid_request.model_not_found", source=f"{_OPENAI}; {_SERVERS}; {_OPENROUTER}",
        words="model models deployment endpoint endpoints engine unknown pull channel 404 route resource deprecated decommissioned retired "
        "model_name provider checkpoint url path page api", statuses="0 200 400 401 403 404 405 410 422 424 500 501 503",
        text="(model|models|deployment|engine|checkpoint|inference profile) (\\S+ ){0,8}?(not found|does not exist|doesnt exist|not exist|do not exist|is not (a )?(valid|supported|available|recognized|found|known|accessible|served|allowed|deployed|configured)|isnt (available|supported|valid)|"
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
        "text.key_wide", "auth.invalid_key", source="Chinese gateways", substrings=("令牌", "无效的api", "密钥", "身份验证", "鉴权", "未授权", "认证失败"),
        statuses="0 200 400 401 403", example={"status_code": 401, "message": "无效的令牌"}, not_example="请求模型失败",
    ),
)  # fmt: skip

MODEL: Final[tuple[Rule, ...]] = (
    _text(
        "text.turns", "model.max_iterations", source="LangChain, CrewAI, AutoGPT, OpenAI Agents: loop guards",
        words="iteration iterations recursion turns steps loop looping stuck max_iterations max_turns max_steps stopped rounds repeating step "
        "actions repeated tool_calls_limit request_limit", statuses="0 200",
        text="(max|maximum|too many|limit of|exceeded|reached) ~(iterations?|turns?|steps?|rounds?|recursion|actions|agent calls)|"
        "(iterations?|turns?|steps?|recursion|time|round) (limit|count)|recursion limit|(stuck|caught) in (a |an )?(infinite )?loop|infinite loop|loop (was )?detected|repeated ~(same )?(tool call|action|tool calls)|"
        "agent stopped due to|max_iterations|max_turns|max_steps|repeating (itself|the same)|same (tool|action) ~repeatedly|no progress|would exceed the (request_limit|tool_calls_limit|total_tokens_limit)",
        unless="python recursion depth|maximum recursion depth|rate limit|requests per|retry|retries|attempts|time limit per", retryable=False,
        example="Agent stopped due to iteration limit or time limit.", not_example="maximum recursion depth exceeded",
    ),
    _text(
        "text.unknown_tool", "model.unknown_tool", source="LangChain, OpenAI Agents, Vercel AI SDK",
        words="tool function tools functions action actions", statuses="0 200 400", spans="agent llm unknown",
        text="(is )?not (a )?(valid|available|known|registered|recognized) tool|(tool|function) (\\S+ ){0,4}?(not found|does not exist|doesnt exist|is not (available|registered|defined|recognized|found|in the list))|"
        "unknown (tool|function)|(called|call|use|invoke|using) (an? )?(unavailable|unknown|non ?existent|nonexistent|undefined|invalid|unregistered) (tool|function)|no (such )?(tool|function) (named|called|found|with)|"
        "(attempted|tried) to (call|use) (a |an )?(tool|function) (\\S+ ){0,5}?not|action \\S+ (dont|does not|doesnt) exist|only available actions|no tool named|tool call validation failed ~not in request|which was not in request",
        unless="tool_use_id|tool_call_id|call_id|mcp server|server not found|no tool (output|call)|tool result|not found in messages|command not found",
        example="Observation: calculator is not a valid tool, try another one.",
        not_example="No tool output found for function call call_abc",
    ),
    _text(
        "text.tool_args", "model.tool_args_invalid", source="LangChain, CrewAI, Vercel AI SDK",
        words="arguments argument args tool input parameter", statuses="0 200 400", spans="agent llm unknown",
        text="(invalid|malformed|missing|bad|wrong|incorrect) (tool|function|json) (call )?(arguments?|args|inputs?|parameters)|(invalid|malformed|missing|bad) (arguments|args) ~(for|in|to) ~(tool|function)|(arguments?|args|tool input) ~(validation|invalid|malformed|not valid json|schema|missing)|"
        "error while trying to use the tool|(tool|function) (call )?(arguments|args|parameters) (\\S+ ){0,4}?(invalid|parse|match|valid|valid json)|validation errors? for \\w*(tool|schema|input|args|arguments)\\w*|received tool input did not match|"
        "(failed|unable|could not) to parse (the )?(tool|function) (call )?(arguments|input|args)|(without|missing) (a )?value for required parameter",
        unless="tool_use ids|extra_body|schema for function|invalid schema|http|invalid_request_error",
        example="Invalid arguments for tool weatherTool: Type validation failed", not_example="Invalid schema for function 'x'",
    ),
    _text(
        "text.tool_call", "model.tool_call_malformed", source="Groq, Gemini, Ollama, vLLM tool parsers",
        words="tool function call calls json failed_generation unterminated", statuses="0 200 400 422 500", spans="agent llm unknown",
        text="(failed|error|unable|could not|cannot|couldnt) (to |in )?(call a function|parse (the )?(tool|function) ?calls?|generat\\w+ (a )?tool call|pars\\w+ ~tool call|decode ~tool call)|malformed (function|tool) ?calls?|"
        "(tool|function) ?calls? ~(malformed|could not be parsed|invalid json|not valid json|unparsable|failed to parse|parsing failed|was malformed)|(invalid|malformed) (tool|function) ?calls?|failed_generation|"
        "unterminated string|(tool call|tool_calls?) ~(truncated|incomplete)|error parsing tool call|tool use failed",
        unless="tool_use_id|previous|history",
        example="error parsing tool call: raw='{\"a\": 1', err=unexpected end of JSON input",
        not_example="Tool call failed: HTTP 500",
    ),
    _text(
        "text.empty", "model.empty_response", source="LangChain, Gemini, CrewAI: empty answers",
        words="empty no any content none blank null nothing without candidates choices", statuses="0 200 500", spans="agent llm unknown",
        text="(empty|blank|null|none|no) (response|reply|content|message|output|completion|answer|text|assistant message|choices|candidates|generations?|result)s? ?(was |were )?(from|returned|received|generated|by|retrying|content|produced|found|provided|in response|text|or|after|detected)|"
        "(response|reply|content|output|completion|model|llm|candidate|assistant|answer|message|choices|candidates) ~(is|was|were|returned|returns|contained|returning|came back|produced|gave) (an )?(empty|blank|null|none|no content|no text|nothing)|empty (reply|response)|"
        "(returned|received|got|generated|produced) (an |a )?(empty|blank|null) (response|reply|message|content|completion|text|output|assistant)|"
        "none or empty|no (response|output|text) (was )?(generated|returned|produced)|response had no (text|content|parts)|did not (return|produce|generate) (any )?(content|output|response|text)|no valid part|response contained no|without any (content|text|output)|(no|any) assistant messages?|(no|zero) candidates|empty text parts",
        unless="empty reply from server|messages ~empty|contents must not|must not be empty|body ~empty|no response from server|connection|input",
        example="Invalid response from LLM call - None or empty.", not_example="curl: (52) Empty reply from server",
    ),
    _text(
        "text.truncated", "model.truncated", source="https://platform.openai.com/docs/guides/structured-outputs",
        words="exceeded truncated length cut max_tokens incomplete finish_reason output limit", statuses="0 200 400", spans="agent llm unknown",
        text="exceeded before any response|(response|output|completion|generation|answer|json|message) (\\S+ ){0,5}?(truncated|cut off|incomplete|was incomplete|length limit|exceeded ~output token maximum|too long to)|finish ?_?reason ~(length|max_tokens)|"
        "length limit was reached|(reached|hit|exceeded|due to) ~(max_tokens|max output tokens|output token (maximum|limit)|max_output_tokens|max_completion_tokens)|output token (maximum|limit)|incomplete due to",
        unless="context|chunked read|must be|at most|tokens per",
        example="Could not parse response content as the length limit was reached", not_example="incomplete chunked read",
    ),
    _text(
        "text.schema", "model.schema_validation", source="Pydantic AI, Instructor, Vercel AI SDK",
        words="schema validation validate pydantic structured zod type", statuses="0 200", spans="agent llm unknown",
        text="(output|response|result|structured output|completion|object|answer|json|value) (\\S+ ){0,4}?(did not match|does not match|doesnt match|not match|validation|failed validation|not conform|invalid against|does not conform) ?(schema|failed|error|errors)?|"
        "into a pydantic model|(output|result|response|structured output|type|schema|final result|json|pydantic) validation (failed|error|errors|failure|retries)|validation errors? for|retries (\\S+ ){0,4}?(output|result) validation|(match|conform|matching) (the )?(\\S+ )?(output |response )?schema|failed to validate",
        unless="schema for function|invalid schema|request validation|input validation error inputs|extra inputs|invalid_request|body",
        example="Exceeded maximum retries (1) for output validation", not_example="Invalid schema for response_format 'x'",
    ),
    _text(
        "text.parse", "model.output_parse", source="LangChain OUTPUT_PARSING_FAILURE; AutoGPT, MetaGPT, LlamaIndex",
        words="parse parsing parsed parser json thought action format decode", statuses="0 200", spans="agent llm unknown",
        text="(could not|couldnt|failed|unable|cannot|cant|error|invalid|errors?|not able) ~(parse|parsing|decode|extract) (the |an? |any |valid )?(\\S+ ){0,3}?(llm|model|output|response|json|completion|answer|reply|agent|action|object|result|content|thought|ai|code|text)|"
        "(llm|model|output|response|agent|ai|completion|answer|reply) ~(invalid json|not valid json|is not json|unparsable|unparseable|parsing|not parse|could not be parsed|malformed|wrong format|invalid format)|"
        "(parse|parsing|repair|repairing) ~json ~(failed|error)|invalid json(?! payload| body| in request)|(missing|invalid|no) ~(action|thought|final answer) ~(after|format|input|in)|output pars\\w+|json ~(decode|parse|parsing) (error|failed|failure)|not valid json|no json (object )?(found|in)|"
        "(invalid|wrong) (format|output format)|expecting (value|property name|delimiter)|unexpected (token|end of json|identifier|non whitespace character)|error parsing|invalid or incomplete llm output",
        unless="request body|parse (error|failure) ~config|parsing the body|could not parse the json body|config|yaml|html|doctype|connection|file",
        example="Could not parse LLM output: `I think`", not_example="We could not parse the JSON body of your request",
    ),
    _text(
        "text.refusal", "model.refusal", source="textual refusals", words="refused refusal sorry refuses", statuses="0 200", spans="agent llm unknown",
        text="(model|llm|assistant|ai) (has )?(refused|refusal|refuses)|refused to (answer|respond|generate|comply|produce)|im sorry ~(cant|cannot) (assist|help|comply)",
        unless="connection refused|stop_reason",
        example="Model refused to generate the structured output", not_example="connection refused",
    ),
)  # fmt: skip

TRANSPORT: Final[tuple[Rule, ...]] = (
    _text(
        "text.tls", "network.tls", source="OpenSSL, Node.js",
        words="certificate ssl tls cert handshake", statuses="0 200 495 500 502 503 525 526",
        text="(certificate|cert) ~(verify|verification|expired|invalid|self signed|not trusted|unknown|issuer|mismatch|failed|valid)|self signed certificate|(ssl|tls) ~(error|handshake|failure|failed|alert|wrong version)|"
        "(unable to|failed to) (verify|get local issuer)|handshake (failed|failure)",
        unless="eof|reset|timed? ?out|tcp handshake", retryable=False, side_effects="none",
        example="unable to get local issuer certificate", not_example="TCP handshake shutdown",
    ),
    _text(
        "text.dns", "network.dns", source="getaddrinfo(3)", words="resolution resolve dns name nodename hostname getaddrinfo host servname",
        text="(name|host|hostname|dns) (or service )?(resolution|not known|lookup|could not be resolved|unknown)|(could not|couldnt|cannot|failed to|unable to|failure in) ~(resolve|name resolution)|"
        "nodename nor servname|no such host|name or service not known|getaddrinfo|dns (error|lookup|failure)|no address associated", side_effects="none",
        statuses="0 200 500 502 503",
        example="[Errno -2] Name or service not known", not_example="unknown model name",
    ),
    _text(
        "text.model_start", "timeout.model_load", source=_SERVERS, words="runner start load loading startup", statuses="0 200 500 503 504",
        text="(timed out|timeout) (waiting )?(for |on |while )?(\\S+ ){0,3}?(start|load|loading|runner|startup)|(load|loading|startup|start|runner) ~(timed out|timeout)",
        unless="connect|tool",
        example="error starting llama runner: timed out waiting for llama runner to start", not_example="Request timed out.",
    ),
    _text(
        "text.memory", "server_error.out_of_memory", source=_SERVERS,
        words="memory oom allocate vram killed alloc ram cuda", statuses="0 200 400 500 502 503", retryable=False,
        text="(out of|insufficient|not enough|more (system )?|enough (available )?|requires more (system )?|lack of|run out of|no) ?(available |system |gpu |device |video |graphics |host )?(memory|vram|ram)|memory (is )?(exhausted|insufficient)|oom( killed)?|"
        "(failed|unable|could not|cannot) (to )?alloc(ate)?|cudamalloc failed|cuda error out of memory|kv cache ~(full|insufficient|not enough)|unable to allocate",
        unless="tool|conversation memory|memory limit of the (sandbox|container)",
        example="model requires more system memory (42.8 GiB) than is available (12.9 GiB)",
        not_example="Error saving memory: file not found",
    ),
    _text(
        "text.dead", "server_error.engine_dead", source=_SERVERS, words="engine loop engine_core background enginecore", statuses="0 200 400 500 502 503",
        text="engine ~(dead|died|is dead|has died|stopped|is not running|core initialization failed|loop has died|process died)|background loop ~(errored|has errored|stopped|is not running)|enginecore ~(error|encountered|failed|died)",
        example="Engine loop has died", not_example="Search engine returned nothing",
    ),
    _text(
        "text.crash", "server_error.crash", source=_SERVERS, words="cuda terminated crashed unexpectedly exited crash runner signal killed exit died segmentation",
        statuses="0 200 400 500 502 503",
        text="(runner|process|server|worker|engine|model|backend|llama server|subprocess) ~(terminated|crashed|unexpectedly|exited|has died|was killed|died|stopped unexpectedly)|exit status \\d|exit code \\d|segmentation fault|cuda error|illegal memory access|signal (killed|arrived|aborted|segmentation)|core dumped",
        unless="mcp|tool|connection|stream|command|user",
        example="model runner has unexpectedly stopped, this may be due to resource limitations", not_example="Session terminated by user",
    ),
    _text(
        "text.connect_timeout", "network.connect", source="urllib3, undici, libcurl",
        words="connect connection handshake", statuses="0 200 500 502 503", side_effects="none",
        text="connect(ion)? time ?out( error)?|connect(ing)? ~timed out|connection (attempt )?timed out(?! after)|timed? ?out ~(connecting|while connecting|to connect|establishing)|tcp handshake|"
        "(establish|establishing) ~(connection|socket) ~time ?d? ?out",
        unless="read time|timed out after \\d+ 0 seconds litellm|request timed out|litellm timeout|connection timed out after",
        example="Connect Timeout Error (attempted address: api.openai.com:443)", not_example="litellm.Timeout: Connection timed out after 600.0 seconds.",
    ),
    _text(
        "text.gateway_timeout", "timeout.gateway", source="nginx, Cloudflare, AWS ALB", words="gateway 504 524 upstream cloudflare origin",
        text="gateway time ?out|gateway timed out|(504|524) \\w+ ?(time|timeout)|upstream (request )?(timed? ?out|timeout)|origin ~(time ?out|timed out)|error (504|524)|(504|524) (server error|error|a timeout)|status (code )?(504|524)|endpoint request timed out",
        unless="not an upstream timeout",
        example="upstream request timeout", not_example="502 Bad Gateway",
    ),
    _text(
        "text.deadline", "timeout.deadline", source=_GEMINI, words="deadline", text="deadline ~(exceeded|expired|passed|reached|of)|exceeded ~deadline", statuses="0 200 408 499 500 502 503 504",
        example="503 UNAVAILABLE Deadline expired before operation could complete.", not_example="the deadline for the beta",
    ),
    _text(
        "text.stream_idle", "timeout.stream_idle", source="OpenAI Codex, Claude Code: idle streams", words="idle stalled stream chunk inactivity",
        text="(stream|chunk|connection|response|streaming) ~(idle|stalled|inactivity) ?(time ?out)?|idle time ?out|no (data|chunks?|events?|tokens?) (\\S+ ){0,3}?(for|within|in) \\d+",
        unless="session idle", example="stream error: idle timeout waiting for SSE", not_example="server idle",
    ),
    _text(
        "text.timeout", "timeout.client_read", source="https://www.python-httpx.org/exceptions/",
        words="timeout timed timedout timeouts time long", text="time ?out( error| exceeded| of| after| reached| while| waiting| during)?|timed out|timedout|took too long|exceeded ~(time limit|timeout)|did not respond (in time|within)|no response (\\S+ ){0,2}?(after|within) \\d+",
        unless="(timeout|time out) (parameter|argument|must|should|is not)|not an upstream timeout|(invalid|unsupported|unknown) ~timeout|connect ~time ?out|connection refused|unexpected keyword",
        statuses="0 200 400 408 499 500 502 503 504 524",
        example="The read operation timed out", not_example="got an unexpected keyword argument 'timeout'",
    ),
    _text(
        "text.refused", "network.connect", source="POSIX errno",
        words="internet sending refused unreachable connect connection network fetch reach econnrefused proxy actively offline", statuses="0 200 500 502 503", side_effects="none",
        text="connection ~refused|(network|host|server|internet) (is )?(unreachable|not reachable|down|offline)|no route to host|(unable|failed|could not|couldnt|cannot|cant|error|not able|problem) (to )?(connect|reach|establish|fetch|communicat\\w+)|fetch failed|failed to fetch|"
        "(connect|connection) error|error (connecting|communicating|reaching|fetching)|connection attempts failed|cannot connect|proxy (error|connection)|actively refused|failed to open socket|network error|could not be reached|tcp handshake|is ollama running|"
        "(is the )?server running|internet connection|not connected to the internet|error sending request|connection (could not|cannot) be|connection failed|getting$",
        unless="tool server|reset|image|download|connection error to (db|database)|url fetch",
        example="connect: connection refused", not_example="read ECONNRESET",
    ),
    _text(
        "text.dropped", "network.stream_dropped", source="httpx, aiohttp, undici, hyper",
        words="incomplete chunked closed stream premature terminated disconnected dropped eof peer interrupted decoding body ended unexpectedly mid lost",
        statuses="0 200 500 502 503 520",
        text="incomplete chunked read|peer closed|premature(ly)? (close|closed|end|ended)|(stream|response|body|connection|sse|websocket) ~(disconnected|dropped|interrupted|ended unexpectedly|ended before|closed before|terminated|ended without|incomplete|lost|cut|was closed|closed prematurely|closed unexpectedly|aborted by)|"
        "not enough data ~content length|response (payload )?(is )?not completed|error (decoding|reading) (response )?(body|stream)|disconnected before completion|unexpected(ly)? (eof|end of (file|stream)|close)|transfer closed|terminated other side|connection ~mid ?stream|other side closed|terminated$|unexpected eof|response ended prematurely",
        unless="process|runner|client cancelled|user aborted|by (the )?user",
        example="peer closed connection without sending complete message body (incomplete chunked read)", not_example="connection refused",
    ),
    _text(
        "text.reset", "network.reset", source="POSIX errno", words="reset closed aborted hang pipe disconnected socket broken forcibly remote econnreset", statuses="0 200 500 502 503",
        text="connection ~(reset|aborted|forcibly closed|was closed|closed|lost|broken|terminated)|socket (hang up|connection was closed|closed|error)|broken pipe|server disconnected|remote end closed|disconnected without|closed unexpectedly|forcibly closed|upstream connect error|reset by peer|disconnect reset before headers|reset reason|remote host closed",
        unless="user|mcp",
        example="Connection reset by peer", not_example="connection refused",
    ),
)  # fmt: skip

REQUEST: Final[tuple[Rule, ...]] = (
    _text(
        "text.too_large", "invalid_request.request_too_large", source=_ANTHROPIC, words="large size bytes mb payload big megabytes maximum", statuses="0 200 400 413 422 500",
        text="(request|payload|body|content|entity|file|image|upload) ~(too (large|big)|exceeds? ~(size|bytes|mb|maximum size|allowed size|maximum allowed size|limit)|exceeded ~(size|bytes|mb))|(maximum|max) (request|payload|body|file|image|upload) size|exceeds? (the )?\\d+ ?(mb|bytes|kb)|entity too large",
        unless="tokens?|tpm|context", example="Request exceeds the maximum size: payload too large", not_example="Request too large for gpt-4o: tokens per min",
    ),
    _text(
        "text.unsupported", "invalid_request.unsupported_input", source=f"{_OPENAI}; {_OPENROUTER}",
        words="support supported supports unsupported image images audio file vision multimodal media modality", statuses="0 200 400 404 415 422 500 501",
        text="(does not|doesnt|do not|dont|not) support ~(image|images|audio|video|file|files|pdf|vision|multimodal|tools?|tool use|function|functions|streaming|system|thinking|reasoning|json|stop|structured|function calling|tool calling|input)|"
        "(image|images|audio|video|file|files|pdf|vision|multimodal|media|tools?|tool use|function calling|stop|system messages?|thinking|streaming|structured outputs?|content type|modality|input type|mime type|media type) ~(not supported|unsupported|is not allowed|not allowed|not enabled|not available|arent supported)|"
        "(unsupported|invalid) (\\S+ )?(image|media|file|content|mime|audio|modality|input|image_url|base64)( type| format)?|supports at most \\d+ image|support (image|tool|vision|audio) (input|use|content)|(image|pdf|file) ~(could not be processed|cannot be (read|processed|decoded)|invalid|corrupt\\w*|unreadable)|could not process image",
        unless="unsupported parameter ~(temperature|max_tokens|top_p)|region|country|location",
        example="Model 'moonshotai/kimi-k2.6' supports at most 1 image per prompt.", not_example="Unsupported parameter: 'max_tokens' is not supported with this model.",
    ),
    _text(
        "text.param", "invalid_request.bad_param", source=f"{_OPENAI}; {_ANTHROPIC}; {_GEMINI}",
        words="malformed key pattern parameter param parameters invalid unsupported unknown missing required field value schema extra_forbidden extra permitted "
        "expected must unrecognized not_supported_error range property argument deserialize inputs supported temperature top_p json",
        statuses="0 200 400 404 405 415 422 500",
        text="(unsupported|invalid|unknown|missing|unexpected|unrecognized|bad|required|extra|illegal|wrong) (request |required |function |body |input |json |value for )*(parameter|param|parameters|argument|arguments|field|value|values|property|properties|inputs?|schema|enum|type|request body|request argument\\w*|name|request|format|payload|type for)|"
        "(parameter|param|field|argument|value|property|inputs?|temperature|top_p|max_tokens|budget_tokens|\\w+_\\w+) ~(not supported|is unsupported|must be|should be|is invalid|is required|not permitted|not allowed|out of range|cannot be|invalid|deprecated|is too large|has to be)|"
        "(extra|additional) ?(inputs|fields|properties|parameters)|(must|should) be (one of|greater|less|a valid|between|at least|at most|of type|an? (array|string|object|integer|number|list)|positive|in the range)|field required|supported range|is not one of|"
        "should match pattern|cannot (be )?(both|specify|use)|failed to deserialize|please use a valid|could not parse the json body|not a valid (json|value|parameter|role)|invalid (role|message|messages|body|schema|content)|response_format ~(unavailable|not supported|must)|parsing the body|invalid json (payload|body|in request)|invalid_request|bad request|malformed (input|request|json)|required key|input should be|not supported|not implemented|at most \\d+",
        unless="validation errors? for \\w+ (\\S+ )?(tool|schema)|connection|api key|llm output|rate limit|timeout ~exceeded",
        example={"status_code": 400, "message": "Invalid parameter: messages"}, not_example="Rate limit exceeded",
    ),
)  # fmt: skip

SERVER: Final[tuple[Rule, ...]] = (
    _text(
        "text.bad_gateway", "server_error.bad_gateway", source="nginx, Cloudflare", words="gateway 502 520 bad", statuses="0 200 500 502 503 520",
        text="bad gateway|(502|520) (error|web server|bad|unknown)|error (502|520)|status (code )?(502|520)|invalid response ~upstream|web server (is )?(returned an unknown error|down)",
        example="<h1>502 Bad Gateway</h1>", not_example="504 Gateway Time-out",
    ),
    _text(
        "text.interrupted", "server_error.interrupted", source="https://replicate.com/docs", words="interrupted prediction generation inference",
        text="(prediction|generation|inference|request) (was |has been )?(interrupted|failed)(?! to call)|interrupted ~retry",
        unless="user|by the client|api request failed|timed? ?out|request failed with|request failed \\d",
        statuses="0 200 500 502 503",
        example="Prediction interrupted; please retry (code: PA)", not_example="Request interrupted by user",
    ),
    _text(
        "text.cancelled_upstream", "cancelled.upstream", source="Gemini 499 CANCELLED", words="cancelled canceled", providers="gemini vertex_ai google",
        statuses="499", text="(operation|request|the operation) (was )?(cancelled|canceled)", retryable=True, fault="provider_capacity",
        example={"provider": "gemini", "status_code": 499, "message": "The operation was cancelled."},
        not_example={"provider": "openai", "status_code": 499, "message": "The operation was cancelled."},
    ),
    _text(
        "text.user_cancel", "cancelled.user", source=_CODE, words="user interrupted rejected aborted", statuses="0 200 499 500", side_effects="possible",
        text="(interrupted|aborted|cancelled|canceled|stopped|rejected|terminated|declined|denied) by (the )?user|user (has )?(rejected|cancelled|canceled|aborted|interrupted|declined|denied|stopped)|user (doesnt|does not) want|user ~abort\\w*",
        unless="access denied for user|by user ~policy",
        example="Request interrupted by user", not_example="User not found",
    ),
    _text(
        "text.cancel", "cancelled.caller", source="fetch AbortController; asyncio; gRPC CANCELLED", words="aborted cancelled canceled abort cancel",
        statuses="0 200 499 500",
        text="(request|operation|call|task|signal|run|workflow|stream|query|generation|execution|fetch|it|job|client|scope|context) (was |has been |is |got |were )?(aborted|cancelled|canceled|being cancelled)|abort(ed|error)?|(cancelled|canceled) (by|via|error)|context canceled|client (disconnected|closed request)|cancel scope|cancelled|canceled canceled|^canceled",
        unless="timed? ?out|timeout|connection aborted|connection was aborted|econnaborted|software caused|subscription|transaction",
        example="Request was aborted.", not_example="Connection aborted.",
    ),
    _text(
        "text.internal", "server_error.internal", source=f"{_OPENAI}; {_ANTHROPIC}", words="internal server 500 unexpected error upstream processing unprocessed occurred",
        statuses="0 200 500 501 502 520 530",
        text="internal (server )?(error|failure|exception|service error)|server(s)? (had|encountered|has|experienced|returned|side) (an |a )?(\\S+ )?(error|issue|problem|exception)|internalservererror|http 1 1 500|status (code )?5\\d\\d|error (code )?5\\d\\d|"
        "(500|501) (server error|internal|error)|unexpected (server |internal )?error|(error|problem|issue) (occurred )?while processing your request|something went wrong|upstream (error|request failed|service error|failure)|provider returned error|unable to process (the |your )?request|"
        "an (unknown |unexpected |internal )?error (has )?occurred|unknown error",
        unless="rate limit|invalid|not found|unauthorized|parse|validation",
        example="The server had an error while processing your request. Sorry about that!", not_example="Invalid request error",
    ),
)  # fmt: skip

TEXTS: Final[tuple[Rule, ...]] = (
    *CALLER, *MONEY, *CAPACITY, *ACCESS[:3], *MODEL[:2], *ACCESS[3:], *MODEL[2:], *TRANSPORT, *REQUEST, *SERVER,
)  # fmt: skip
