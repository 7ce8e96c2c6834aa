# ruff: noqa: E501 - a pattern is read whole, and a table has its columns
"""Money, windows and capacity: three reasons for the same 429."""

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

MONEY: Final[tuple[Rule, ...]] = (
    _text(
        "text.balance_empty", "quota.credit_balance", source="Zhipu, Moonshot, DeepSeek: whatever a client wraps around it",
        text="insufficient (account |user |token )?balance|balance (is )?insufficient|no resource package|please (recharge|top up)",
        limit_dimension="billing",
        example="Rate limit exceeded: Insufficient balance. Please recharge. (rate limited, please retry later)",
        not_example="Rate limit exceeded: balance your load and retry later",
    ),
    _text(
        "text.plan_window", "quota.subscription_window", source=f"{_CODE}; https://github.com/openai/codex/issues",
        text="usage limit ~(reached|exceeded|hit|resets?|for your plan|has been|will reset)|"
        "(hit|reached|exceeded|out of) (your|the|my) ~(usage|session|weekly|5 hour|five hour|opus|sonnet|plan|subscription|pro|max|team|fable) (limit|usage|plan limit|quota)|"
        "(youve|you have) (hit|reached|exceeded) your (limit|usage limit)|(exhausted|used up|used all|run out of) ~(usage limit|plan limit|allowance|included (requests|usage)|premium requests)|out of extra usage|"
        "(weekly|session|5 ?h|5 hour|five hour|plan|subscription|usage|billing cycle) (usage )?(limit|quota|limits|window) ~(reached|exceeded|hit|resets?|exhausted|for|has been)|"
        "limit will reset at|resets (at )?\\d+ ?(am|pm)|usage limit for this (billing cycle|period)|"
        "(reached|hit|exceeded) the limits? (of|for|on) your ~(plan|subscription|tier)|(upgrade|subscribe) ~(to continue|plan) ~usage limit|hit your usage limit|(hit|reached|used|exceeded) ~free (requests?|messages?|usage|plan|tier) limit|quota will reset (after|at|in|on)|third party apps now draw|claude pro usage limit",
        unless=f"{_WINDOW_WORDS}|free tier requests|requests per|spend|spending",
        limit_dimension="billing",
        example="Claude usage limit reached. Your limit will reset at 10pm (Africa/Tunis).",
        not_example="Rate limit exceeded. Please try again later.",
    ),
    _text(
        "text.month_cap", "quota.monthly_cap", source="https://docs.cohere.com/docs/rate-limits",
        text="(calls|requests|messages|tokens|credits|queries|generations) (a|per|this|each) month|"
        "(monthly|trial|premium) ~(limit|quota|cap|allowance|credits|included credits|requests|usage) ~(exceeded|reached|exhausted|hit|used|for|will)?|"
        "(exceeded|reached|exhausted|used|hit|depleted) ~(monthly|premium|trial)|trial (key|account|credits|period) ~(limited|expired|ended|exhausted|limit)|(trial|subscription|membership) (has |is )?(expired|ended|lapsed)|(usage|request|monthly) cap",
        unless="spend|spending|calls minute|per minute|tokens per min",
        limit_dimension="billing",
        example="You are using a Trial key, which is limited to 1000 API calls / month.",
        not_example="You are past the per minute request limit, please wait and try again later.",
    ),
    _text(
        "text.day_cap", "quota.daily_cap", source="https://developers.cloudflare.com/workers-ai/platform/errors/",
        text="(used up|exhausted|exceeded|reached|used all|no more) ~(daily|free) (free )?(allocation|allowance|credits|usage|neurons|spend|budget|cap)|"
        "daily (free )?(allocation|allowance|credits?|budget|cap|free quota) ~(used|exhausted|exceeded|reached|limit)",
        unless=f"{_WINDOW_WORDS}|per day|per model|hourly",
        limit_dimension="billing",
        example="you have used up your daily free allocation of 10,000 neurons, please upgrade",
        not_example="Rate limit exceeded: free-models-per-day",
    ),
    _text(
        "text.free_tier", "quota.free_tier", source="https://ai.google.dev/gemini-api/docs/rate-limits",
        statuses="0 200 403 429",
        text="limit 0( model| please| metric)?|free (tier|quota|trial|plan|model|credits?) ~(is not available|not available|unavailable|has been exhausted|exhausted|ended|expired|has ended|used up|ran out)",
        unless="limit 0 \\d|remaining|used 0 limit",
        limit_dimension="billing", scope="project",
        example="You exceeded your current quota. * Quota exceeded for metric: free_tier_requests, limit: 0",
        not_example="Quota exceeded for metric: free_tier_requests, limit: 20",
    ),
    _text(
        "text.spend", "quota.spend_limit", source=f"{_OPENROUTER}; {_OPENAI}",
        statuses="0 200 400 401 402 403 412 422 429 500",
        text="(spend|spending|budget|billing|cost|hard|usage budget) (hard )?(limit|cap|budget|limits|threshold) ~(reached|exceeded|exhausted|hit|has been|for)?|"
        "(reached|exceeded|exceeds|over|hit|crossed) ~(spend|spending|budget|billing|cost|hard) (hard )?(limit|cap|quota|budget)|"
        "(budget|max_budget) ~(exceeded|exhausted)|(exceed|exceeded|exceeds|over|exhausted|reached) (its|the|your|our|their) (\\S+ )?budget|exceededbudget|higher monthly limit|key limit exceeded|"
        "api key ~(budget|spend limit|total limit|credit limit)",
        unless=f"{_WINDOW_WORDS}|used all available credits|thinking budget|budget_tokens|token budget|time budget|queue budget|"
        "retry budget|upgrade to (a )?(paid|paid account)",
        limit_dimension="billing",
        example="Billing hard limit has been reached",
        not_example="thinking budget_tokens exceeded max_tokens",
    ),
    _text(
        "text.balance", "quota.credit_balance", source=f"{_ANTHROPIC}; {_OPENROUTER}; https://api-docs.deepseek.com",
        text="(credit|credits|balance|funds|fund|prepayment|prepaid|wallet|quota balance) ~(too low|insufficient|exhausted|depleted|run out|ran out|"
        "empty|negative|not enough|is low|required|used up|limit exceeded|limit reached|expired|overdue|below|zero|0|are needed|"
        "limit was exceeded|needed|has been exhausted|is not enough)|"
        "(insufficient|not enough|no|low|negative|zero|out of|run out of|ran out of|lack of|lacks|exhausted|depleted|requires? more|more|add|purchase|buy|top up|without) "
        "(available |remaining |prepaid |your |account |api |included |user |tokens? )?(credits?|balance|funds?|prepaid)|"
        "(only|can only) afford|(payment|billing) ~(required|failed|overdue|declined|past due|issue|not active|inactive|is not enabled|disabled|must be enabled)|(payment|billing) (issue|information|method)|"
        "(unpaid|overdue|outstanding|past due) (invoices?|bills?|balance|payment)|(pay|failure to pay) ~(invoices?|bills?)|"
        "(please |need to )?(recharge|top up)|in arrears|arrearage|account is in good standing|account ~good standing|"
        "(no|not have an?|without an?|needs?|need an?) (active|valid|paid) (\\S+ ){0,2}?subscription|subscription ~(expired|required|inactive|has ended|not active)|"
        "requires? (a )?(paid|active) (plan|account|subscription)|upgrade to a paid (plan|account)|credits? ~used all|used all (of )?(your |the |available )*credits|extra usage is required|card (was |has been )?declined|"
        "(enable|set up|requires) billing|(plan|subscription|tier) (does not|doesnt) (include|cover|allow|support)|not (included|available) in your (current )?(plan|subscription)|insufficient user quota|valid payment|account is not active|regain access|out of calls|not active ~billing",
        unless=f"{_WINDOW_WORDS}|add 10 credits|enable billing ~rate|billing unlock|load balanc\\w+|less than 5 0 in credit|less than 5 in credit|(throttled|throttling)|overload\\w*|"
        "(file|module|model|page) ~not found|quota metric",
        limit_dimension="billing",
        example="Your credit balance is too low to access the Anthropic API.",
        not_example="Rate limit reached for model `x` on tokens per minute (TPM). Need more tokens? Upgrade /settings/billing",
    ),
    _text(
        "text.balance_wide", "quota.credit_balance", source="Zhipu, DeepSeek, SiliconFlow, new-api, clients in other languages",
        substrings=("残高不足", "クレジット不足", "잔액 부족", "크레딧 부족", "недостаточно средств", "пополните баланс", "餘額不足", "額度不足", "余额不足", "欠费", "账户余额", "余额已", "充值", "额度不足", "额度已用尽", "额度已用完", "额度用尽", "资源包", "套餐已", "额度已耗尽", "剩余额度", "额度失败", "配额不足", "配额已", "配额用尽"),
        unless="", limit_dimension="billing",
        example="您的账户已欠费，请充值后重试。", not_example="您的账户已达到速率限制，请您控制请求频率",
    ),
    _text(
        "text.quota", "quota.insufficient_quota", source=_OPENAI,
        text="(exceeded|exceeds|exceeding|reached|out of|no|insufficient|not enough|exhausted|over) (your |the |its |user |available |remaining |account |api |current |plan |usage )*quota|"
        "out of (\\S+ ){0,3}?quota|quota (is |has been |was )?(not enough|insufficient|exhausted|used up|depleted|reached|exceeded|ran out|run out)|"
        "plan and billing details",
        unless=f"{_WINDOW_WORDS}|token limit|check quota|per (model|project|user|region)|quota (metric|exceeded for)|quotaid|"
        "quota exceeded for|resource exhausted|retry in|retry after|try again in|per minute|throttling|allocated quota|server|"
        "please wait|gemini api docs rate limits|maximum admitted",
        limit_dimension="billing",
        example="user quota is not enough",
        not_example="Quota exceeded for aiplatform.googleapis.com/generate_content_requests_per_minute_per_project",
    ),
)  # fmt: skip

CAPACITY: Final[tuple[Rule, ...]] = (
    _text(
        "text.own_queue", "rate_limit.client_side", source="client-side limiters and local gateways",
        text="local (rate ?limit\\w*|queue|limiter)|(queue|limiter) ~(budget|wait|max_?wait\\w*|timeout|full locally)|"
        "(client side|client|own|internal|sdk|proxy) (rate ?limit\\w*|throttl\\w+|limiter)|rate limiter ~(timeout|timed|full|rejected|queue)|"
        "request dropped ~queue|no deployments available ~cooldown|(is|are) cooling down|model_cooldown|(in|on|all) ~cooldown|cooldown_list",
        unless="worker local|server queue|queue is full|queue full|database|model queue",
        limit_dimension="client_queue", scope="local",
        example="Request dropped after exceeding the local rate-limit queue budget maxWaitMs (15000ms)",
        not_example="Worker local total request limit reached (267/32)",
    ),
    _text(
        "text.queue_full", "overloaded.queue_full", source=_SERVERS,
        text="queue (is |was )?(full|exceeded|size|limit|overflow)|(request|job|task|server|inference|pending|maximum) queue ~(full|exceeded|limit|reached|overflow)|"
        "worker ~(limit|busy|request limit)|(all|no) ~(workers?|slots?|replicas?|instances?) ~(busy|available|in use)|maximum pending requests|too many (queued|pending)|queue limit",
        unless="local rate", example="ResourceExhausted: Worker local total request limit reached",
        not_example="Message queue connection refused",
    ),
    _text(
        "text.loading", "overloaded.model_loading", source="https://huggingface.co/docs/api-inference; Ollama; TGI",
        statuses="0 200 429 500 503",
        text="(model|server|engine|endpoint|deployment|instance) ~(is |are |still |currently )+(being )?(loading|starting|warming|initializing|booting|initialising|waking|cold)|"
        "(currently|still) (loading|starting|warming|initializing)|loading model|warming up|cold start|model (is )?not (yet )?(ready|loaded)|is (starting|loading)|"
        "(model|endpoint|deployment) ~not ready|scaled to zero|service is starting",
        unless="error loading|failed|failure|unable to load|cannot load|couldnt load|timed? ?out|allocate|memory|loading model information",
        example="Model allenai/unifiedqa-t5-11b is currently loading", not_example="error loading model: unable to allocate",
    ),
    _text(
        "text.ramp", "rate_limit.ramp", source=_ANTHROPIC,
        text="acceleration limit\\w*|ramp (up )?(limit|your|traffic|more)|usage increase rate|scale up ~gradually|increas\\w+ ~(traffic|usage|requests) ~(gradually|too)|"
        "burst (rate|limit|requests?)|(grow\\w*|grew|increased|rose|ramped) too (fast|quickly|rapidly)|ramp up gradually",
        limit_dimension="ramp",
        example="Request rate increased too quickly. To ensure system stability, please adjust your client logic",
        not_example="Rate limit exceeded",
    ),
    _text(
        "text.shared", "rate_limit.shared_capacity", source="https://cloud.google.com/vertex-ai/generative-ai/docs/error-code-429",
        statuses="0 200 429 500 502 503 529",
        text="rate limited upstream|temporarily rate limited|docs error code 429|(upstream|provider) (rate ?limit\\w*|is rate limited|rate limit exceeded)|"
        "shared (pool|capacity|quota|rate limit)|upstream ~rate ?limit\\w*|provider ~rate limit exceeded",
        unless="resource ?exhausted e g|openai com|status code 429|your (organization|team|account)",
        limit_dimension="shared_pool", fault="provider_capacity", scope="shared",
        example="deepseek/deepseek-r1:free is temporarily rate-limited upstream. Please retry shortly",
        not_example="Error code: 429 - {'error': {'message': 'Rate limit reached for gpt-4'}}",
    ),
    _text(
        "text.request_over_window", "rate_limit.request_too_large_for_tpm", source=f"{_OPENAI}; https://console.groq.com/docs/rate-limits",
        text="(request|prompt|input|message) too large(?: \\S+){1,16}? (tokens per|tpm)|"
        "(input or output tokens|tokens) must be reduced|reduce your message size|requested exceeds limit",
        unless="context|payload|megabytes|mb|bytes", statuses="0 200 400 413 429 500", retryable=False,
        limit_dimension="tokens_per_minute",
        example="Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 342389.",
        not_example="Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29000, Requested 5000.",
    ),
    _text(
        "text.concurrency", "rate_limit.concurrency", source="Zhipu, CoreWeave, SageMaker, Databricks: concurrency caps",
        statuses="0 200 400 403 429 500 503",
        text="(concurren(t|cy)|parallel|simultaneous) ~(limit|requests?|exceed\\w*|reached|too many|quota|maximum|connections|usage|calls|jobs|streams)|"
        "(too many|maximum|limit|exceed\\w*) ~(concurrent(ly)?|parallel|simultaneous|concurrency)",
        unless="tool use concurrency|parallel tool|parallel_tool\\w*|concurrent modification",
        limit_dimension="concurrency",
        example="Concurrency limit reached for requests", not_example="parallel_tool_calls is not supported",
    ),
    _text(
        "text.tpd", "rate_limit.tpd", source=_AWS, text="tokens? per day|tpd|daily token (limit|quota)|tokens? ~per ~day", limit_dimension="tokens_per_day",
        unless="free allocation",
        example="ThrottlingException: Too many tokens per day, please wait before trying again.",
        not_example="Too many tokens, please wait before trying again.",
    ),
    _text(
        "text.rpd", "rate_limit.rpd", source=f"{_OPENROUTER}; https://ai.google.dev/gemini-api/docs/rate-limits",
        words="exceeded for hours models per userbymodelbyday day rpd daily 86400 24 requestsperday perday generaterequestsperdayperprojectpermodel generate_requests_per_model_per_day",
        text="(requests?|models?|messages|calls|queries|rate limit|rate limits) ~per (1 )?day|rpd|daily ~(request|requests|rate|message|usage|quota|api)? ?(limit|quota)|"
        "\\w*(per_day|perday)\\w*|free models per day|userbymodelbyday|(requests|calls) ~(in|every) (24 hours|a day)|(86400|86400s|86400 s) (exceeded|for)",
        unless="free allocation|tokens per day|calls month",
        limit_dimension="requests_per_day",
        example="429 Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day",
        not_example="Rate limit exceeded: free-models-per-min",
    ),
    _text(
        "text.tpm", "rate_limit.tpm", source=f"{_OPENAI}; {_ANTHROPIC}; {_AZURE}",
        words="frame period window tokens token tpm itpm otpm",
        text="(input |output )?tokens? per (min|minute|1m|second|hour)|tpm|itpm|otpm|tokens? (rate|usage) limit|too many tokens|"
        "(rate|quota|limit) ~tokens? ~(min|minute)|maximum number of tokens ~(time frame|period|window)|tokens? rate|"
        "(token|tokens) (quota|limit) ~(exceeded|reached)|hit token rate limit|\\w*(tokens?_per_min|input_token_count|tokensperminute)\\w*",
        unless="context|\\w*tokeni[sz]e\\w*|before any response|no such tool|access token|invalid token|expired|exceed model token limit|exceeded for (this|the) model", statuses="0 200 400 403 413 429 500 503 529",
        limit_dimension="tokens_per_minute",
        example="TPM (Tokens Per Minute) limit of the model is exceeded. Please try again later",
        not_example="Rate limit reached for gpt-4 on requests per min (RPM): Limit 3, Used 3, Requested 1.",
    ),
    _text(
        "text.rpm", "rate_limit.rpm", source=f"{_OPENAI}; {_AZURE}; {_AWS}",
        words="images limit messages models prompts rpm minute min requests queries rps qps second call calls qpm rph hour per_minute request", statuses="0 200 400 403 413 429 500 503 529",
        text="(requests?|queries|calls|images|messages|prompts) ~per ~(min|minute|second|hour|sec|\\d+ (seconds?|minutes?))|rpm|rps|rph|qps|qpm|call rate limit|per minute request limit|"
        "free models per min\\w*|\\w*(requests_per_min|requestspermin)\\w*|(maximum|max|limit) ~(requests?|calls|queries) ~(minute|second|hour)|"
        "requests? rate limit|request rate ~(exceed\\w*|limit|too)|too many requests ~(sent too many requests)|limit ~\\d+ ~(minute|second|hour)|"
        "\\d+ (requests?|calls|queries) (min|minute|sec|second|hour|per minute)|\\d+ (requests?|calls|queries) (a|per|every|in|within|each) ~(minute|second|hour|seconds|minutes)",
        limit_dimension="requests_per_minute",
        example="Requests have exceeded call rate limit of your current OpenAI S0 pricing tier",
        not_example="Rate limit exceeded. Please try again later.",
    ),
    _text(
        "text.aws_requests", "rate_limit.rpm", source=_AWS,
        signals="ThrottlingException", text="too many requests", limit_dimension="requests_per_minute",
        example="An error occurred (throttlingException): Too many requests, please wait before trying again.",
        not_example="429 Too Many Requests",
    ),
    _text(
        "text.capacity", "overloaded.capacity", source=f"{_AWS}; https://docs.mistral.ai; Fireworks, Together, Vertex",
        text="(capacity) ~(exceeded|reached|limit|exhausted|constraints?|issues?|unavailable|available|error|is full)|"
        "(no|insufficient|not enough|at|lacks?|out of|over|exceeded|temporarily|limited|full|low on) (available |sufficient |enough |max |maximum |model )?capacity|"
        "(insufficient|not enough) (system |compute |gpu )?resources|(upstream|server|load) ~saturated|no available (capacity|gpus?|resources|workers|instances|servers)|no (instances|replicas|workers|gpus|servers|nodes) (are |is )?(currently )?(available|online|running)|"
        "(system|server|service|model|gpus?|workers|servers|instances) (is |are )?(too |very |currently |all )?busy|high (traffic|load|usage)|no healthy upstream|heavy (traffic|load)|server busy|too busy|first token ~deadline",
        unless="your (organization|team|account|plan)s? capacity|disk|memory", statuses="0 200 400 403 408 424 429 498 500 502 503 529",
        example="Service tier capacity exceeded for this model.", not_example="Rate limit exceeded for this model.",
    ),
    _text(
        "text.overloaded", "overloaded.overloaded", source=f"{_ANTHROPIC}; {_OPENAI}; {_GEMINI}",
        text="overload(ed|ing)?|(high|increased|heavy|unusually high|extreme|excessive) (user )?demand|temporarily (unavailable|unable|out of)|"
        "(model|service|engine|server|api|deployment|endpoint|backend|provider) ~(is |are )?(currently |temporarily )?(unavailable|not available right now|down)|"
        "(service|server) (is )?(temporarily )?unavailable|currently unavailable|529",
        unless="tried to call|available models|model is (not available|unavailable) (in|for) (your|this)|in your (region|country)|tcp|handshake|connect to all addresses|failed to connect|connection refused|"
        "(free|this) (model|period|promotion) ~(ended|has ended|discontinued)|method overload|failover ~exhausted",
        statuses="0 200 408 429 498 500 502 503 529",
        example="The model is overloaded. Please try again later.", not_example="The model is not available in your region",
    ),
    _text(
        "text.rate_words", "rate_limit", source=f"{_OPENAI}; {_ANTHROPIC}; RFC 6585",
        text="rate ?limit(s|ed|ing|er)?|too many (requests|api requests|calls|queries|messages)|throttl(ed|ing)|"
        "(too )?many requests|resource (has been |was |is )?exhausted|request (limit|quota) (reached|exceeded)|"
        "(requests?|accounts?|api|call|calls|usage) ~(are |is )?(currently )?(limited|throttled)|request frequency|"
        "(exceeded|exceed|exceeds|hit|reached|over|exceeding) ~(rate|request|requests|usage|api|allowed|query|call|frequency) ~(limit|limits|quota|rate)|"
        "quota exceeded for|requests? (too|very) frequent\\w*|too frequent\\w*|(slow|cool) down|sending requests too (quickly|fast)|usage limits?|limit reached|maximum admitted \\d+ per|reached (the )?max(imum)? requests?",
        unless="(no|without|not a) rate ?limit|iteration|recursion|rate limit dashboard|character limit|size limit|max(imum)? (steps|turns|iterations)|"
        "(file|body|upload|payload|image) ~limit|tokens ~limit reached",
        example="[429]: Rate limit exceeded. Please try again later.", not_example="Maximum iterations limit reached",
    ),
    _text(
        "text.rate_wide", "rate_limit.rpm", source="Zhipu, ERNIE, Doubao, clients in other languages",
        substrings=("レート制限", "利用制限", "リクエスト制限", "回数制限", "요청 한도", "한도 초과", "속도 제한", "превышен лимит", "лимит запросов", "слишком много запросов", "速率限制", "請求過於頻繁", "请求频率", "频率限制", "请求过于频繁", "限流", "请求过多", "并发", "请求次数", "调用频率", "达到上限", "已达上限", "次数超限", "次数已用"),
        limit_dimension="requests_per_minute",
        example="您的账户已达到速率限制，请您控制请求频率", not_example="您的账户已欠费，请充值后重试。",
    ),
)  # fmt: skip
