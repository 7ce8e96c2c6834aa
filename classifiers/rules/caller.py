# ruff: noqa: E501 - a pattern is read whole, and a table has its columns
"""What is wrong with the request or its content: history, size, filters, parameters."""

from functools import partial
from typing import Final

from penstock.classifiers._rule import Rule, Tier, rule

_text = partial(rule, tier=Tier.TEXT)

_OPENAI = "https://platform.openai.com/docs/guides/error-codes"
_ANTHROPIC = "https://docs.claude.com/en/api/errors"
_GEMINI = "https://ai.google.dev/gemini-api/docs/troubleshooting"
_OPENROUTER = "https://openrouter.ai/docs/api-reference/errors"
_SERVERS = "vLLM, llama.cpp, Ollama, LM Studio, TGI: server sources and public issues"
_CODE = "https://github.com/anthropics/claude-code/issues"

CALLER: Final[tuple[Rule, ...]] = (
    _text(
        "text.history", "invalid_request.malformed_history", source=_ANTHROPIC,
        text="(tool_use|tooluse) ids ~(without|found)|tool ?(result|use) blocks? ~(cannot|must)|unexpected (tool_use_id|tooluse|tool_result|role)|"
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
        "text.url", "invalid_request.url_fetch_failed", source=_OPENAI, statuses="0 200 400 422",
        text="(error|failed|unable|could not|cannot|timeout|timed out) (while )?(to )?(download\\w*|fetch\\w*|retriev\\w+|access\\w*) (\\S+ ){0,3}?(url|image|file|https?|content|media|the url)|(url|image) ~(could not be|cannot be|not) (downloaded|fetched|accessed|accessible|retrieved)|invalid image url",
        unless="api openai com|v1 chat|v1beta models|generatecontent|error fetching from|api",
        example="Error while downloading https://source.unsplash.com/8xznAGy4HcY/800x400.", not_example="Error fetching from https://generativelanguage.googleapis.com/v1beta/models/x:generateContent",
    ),
    _text(
        "text.empty_history", "invalid_request.bad_param", source=_ANTHROPIC,
        statuses="0 200 400 422 500",
        text="(messages?|contents?|text|input|prompt) ~(must not be|cannot be|should not be|must be non|may not be|is) empty|"
        "at least one (message|content|user message) is required|all messages must have non empty content|contents is not specified",
        unless="response ~empty|empty response|model ~returned|output",
        example={"status_code": 400, "message": "messages: text content blocks must be... contents must not be empty"},
        not_example="The model returned an empty response",
    ),
    _text(
        "text.context_sum", "context_length.input_plus_output", source=f"{_ANTHROPIC}; {_OPENROUTER}; {_SERVERS}",
        unless="per (minute|min)|tpm",
        text="maximum context length ~\\d+ tokens ~requested ~\\d+ tokens (\\S+ ){1,14}?in the (completion|output)|"
        "(input length|inputs? tokens|inputs|prompt) (and )?(tokens )?(max_tokens|max_new_tokens) (exceeds?|must be)",
        example="input length and `max_tokens` exceed context limit: 174167 + 64000 > 200000",
        not_example="prompt is too long: 205668 tokens > 200000 maximum",
    ),
    _text(
        "text.context", "context_length.input_too_long", source=f"{_OPENAI}; {_SERVERS}",
        text="(maximum|max|model|models|supported|available|the) (context|sequence|input|prompt) (length|size|window|tokens|limit)|"
        "context (length|size|window|limit|overflow) ~(exceed\\w*|overflow\\w*|too|full|reached|is|of|was|limit|by|summari[sz]ation|prompt)|slot context \\d+|exceed\\w* the (limit|maximum) of \\d+ tokens|token limit exceeded for (this|the) model|"
        "(exceed\\w*|exceeding|over|overflow\\w*|larger than|longer than|greater than|beyond|outside|past|reached|surpass\\w*|"
        "more than|bigger than|out of|fit in|fit within|fit into|not fit|within) ~(context|n_ctx|max_model_len|maximum input|input token|input length|input tokens|model token limit|token limit for|model limit|maximum number of tokens|context window)|"
        "(prompt|input|inputs|request|messages|conversation|text|message|query) ~(is|are|was|has) too (long|large|big)|"
        "prompt too long|input too long|too many (input )?tokens (in|for the) (prompt|request|model|input)|(input|prompt) (token count|tokens|length|token length) ~(exceeds?|exceeded|too)|"
        "exceed\\w* model token limit|model token limit|input token count|n_ctx|max_model_len|max_seq_len|max_seq_length|max_sequence_length|max_position_embeddings|maximum prompt length|"
        "must have less than \\d+ tokens|inputs? (tokens )?max_new_tokens must be|string too long ~maximum length \\d{6,}|(conversation|prompt|input|text|message|context) too (long|large)|"
        "(reduce|shorten|trim|truncate) ~(prompt|messages|message length|context|input)|please reduce the length|"
        "(range of input length|expected maxlength)|maximum allowed (input )?(token|length)|"
        "tokens ~(exceeds?|exceed|exceeded) ~(maximum|limit|max|context)|\\w*tokeni[sz]e\\w* ~too many tokens|(compact|compaction|compacting|autocompact|autocompaction|autocompacting) ~(fail\\w*|context)|"
        "prompt contains \\d+ tokens|number of tokens in the prompt|(longer|larger|greater) than the (maximum|model|max)|maximum model length|(input|prompt|request) is \\d+ tokens|request (has|contains) \\d+ input tokens|ran out of room|"
        "(prompt|input) ~exceeds ~(limit|maximum|length)|supports at most \\d+ tokens|"
        "completion ~max_tokens ~exceed|max size \\d+ tokens|maximum tokens you requested exceeds",
        unless="per (minute|min|second|hour|day)|tpm|tpd|rate limit|afford|settings credits|upgrade to a paid|number of images|image dimensions|"
        "(invalid|unsupported) value ~(max_tokens|max_output_tokens|max_completion_tokens)|"
        "max_tokens ~(must be|should be|is too large|larger than max|at most|greater than)|no such tool|thinking budget|budget_tokens|"
        "long context (beta|is not)|before any response|usage credits|extra usage|iteration",
        example="This model's maximum context length is 4097 tokens, however you requested 4226 tokens",
        not_example="Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 342389",
    ),
    _text(
        "text.context_wide", "context_length.input_too_long", source="Chinese gateways and clients",
        substrings=("上下文长度", "上下文过长", "压缩上下文", "上下文已满", "最大上下文", "上下文窗口", "上下文超", "超过最大长度", "超出最大长度", "输入过长", "输入长度", "token数超", "tokens超"),
        example="输入超过模型的最大上下文长度", not_example="余额不足",
    ),
    _text(
        "text.filter_refusal", "content_filter.refusal", source=_CODE,
        statuses="0 200 400 403",
        text="unable to respond to this request ~(violate|policy|usage)|(appears|seems) to violate (our )?usage policy|"
        "violat\\w+ ~(usage|acceptable use|terms|content) polic(y|ies)|stop_reason refusal|"
        "^refusal|refusal (no details|no explanation)|safety (classifiers?|filters?) (\\S+ ){0,2}?(declined|refused|flagged|stopped)",
        example="Claude Code is unable to respond to this request, which appears to violate our Usage Policy",
        not_example="See our usage policy page for rate limits",
    ),
    _text(
        "text.filter_output", "content_filter.output", source=_ANTHROPIC,
        statuses="0 200 400",
        text="(output|response|responses|candidate|completion|answer) ~(blocked|filtered|flagged) ~"
        "(content|safety|policy|filter|filtering|moderation|recitation|prohibited|responsible|due to|by)|"
        "(content|request|prompt|image) (was |is |has been )?(blocked by moderation|withheld|censored|moderated)|content (was |is |has been )?blocked|(safety|content) (policy|filter|filters|system) (blocked|filtered|stopped) the (response|output|answer)",
        unless="due to the prompt|prompt triggering|your prompt|you have been blocked|request blocked",
        example="Output blocked by content filtering policy",
        not_example="The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
    ),
    _text(
        "text.filter", "content_filter.prompt", source="https://learn.microsoft.com/azure/ai-services/openai/concepts/content-filter",
        text="content (management |moderation |safety |usage )?(filter\\w*|polic\\w+|moderation)|(filtered|blocked|flagged|rejected|refused|triggered|violate|violates|violated|violating|violation|violations) ~"
        "(content|safety|policy|policies|moderation|filter|filtering|prohibited|guardrails?|sensitive|harm\\w*|system)|"
        "(safety|moderation|guardrail|guardrails|policy) ~(filter|block\\w*|violat\\w+|flag\\w*|triggered|reject\\w*|reasons?|ratings|settings|intervened)|"
        "violat\\w+ ~(guidelines|terms of (use|service)|usage polic\\w+)|(inappropriate|unsafe|harmful|sensitive|prohibited|illegal|objectionable|disallowed|copyrighted) (content|material|text|information|words?|input|data)|"
        "(prompt|input|output|response|content|request|message|image|completion) ~(was|were|is|has been|been|got|be) ~(blocked|flagged|filtered|moderated|rejected as)|"
        "finish ?reason ~(safety|recitation|content_filter|prohibited_content)|recitation|responsible ai|data inspection|nsfw|finish_reason is [38]|content exists risk|(not allowed|disallowed|prohibited|refused) by (our|the) (safety|content|moderation|usage)|"
        "block_reason|blockreason",
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

REQUEST: Final[tuple[Rule, ...]] = (
    _text(
        "text.too_large", "invalid_request.request_too_large", source=_ANTHROPIC, statuses="0 200 400 413 422 500",
        text="(request|payload|body|content|entity|file|image|upload) ~(too (large|big)|exceeds? ~(size|bytes|mb|maximum size|allowed size|maximum allowed size|limit)|exceeded ~(size|bytes|mb))|(maximum|max) (request|payload|body|file|image|upload) size|exceeds? (the )?\\d+ ?(mb|bytes|kb)|entity too large",
        unless="tokens?|tpm|context", example="Request exceeds the maximum size: payload too large", not_example="Request too large for gpt-4o: tokens per min",
    ),
    _text(
        "text.unsupported", "invalid_request.unsupported_input", source=f"{_OPENAI}; {_OPENROUTER}",
        statuses="0 200 400 404 415 422 500 501",
        text="(does not|doesnt|do not|dont|not) support ~(embeddings?|image|images|audio|video|file|files|pdf|vision|multimodal|tools?|tool use|function|functions|streaming|system|thinking|reasoning|json|stop|structured|function calling|tool calling|input)|"
        "(image|images|audio|video|file|files|pdf|vision|multimodal|media|tools?|tool use|function calling|stop|system messages?|thinking|streaming|structured outputs?|content type|modality|input type|mime type|media type) ~(not supported|unsupported|is not allowed|not allowed|not enabled|not available|arent supported)|"
        "(not|doesnt|cannot|cant|dont) (accept|take|handle|process|read) ~(images?|audio|video|files?|pdf|tools?|input)|(unsupported|invalid) (\\S+ )?(image|media|file|content|mime|audio|modality|input|image_url|base64)( type| format)?|supports at most \\d+ image|support (image|tool|vision|audio) (input|use|content)|(image|pdf|file) ~(could not be processed|cannot be (read|processed|decoded)|invalid|corrupt\\w*|unreadable)|could not process image|(unable|failed) to process (the |your )?(input |inline )?(image|file|audio|video|pdf)",
        unless="unsupported parameter ~(temperature|max_tokens|top_p)|region|country|location",
        example="Model 'moonshotai/kimi-k2.6' supports at most 1 image per prompt.", not_example="Unsupported parameter: 'max_tokens' is not supported with this model.",
    ),
    _text(
        "text.param_wide", "invalid_request.bad_param", source="DashScope, Zhipu, Chinese gateways",
        substrings=("参数错误", "参数非法", "参数不合法", "参数无效", "参数有误", "不能为空", "請求參數", "パラメータが", "неверный параметр"),
        statuses="0 200 400 404 422 500", example="参数错误: messages 不能为空", not_example="请求模型失败",
    ),
    _text(
        "text.param", "invalid_request.bad_param", source=f"{_OPENAI}; {_ANTHROPIC}; {_GEMINI}",
        statuses="0 200 400 404 405 415 422 500",
        text="(unsupported|invalid|unknown|missing|unexpected|unrecognized|bad|required|extra|illegal|wrong) (request |required |function |body |input |json |value for )*(parameter|param|parameters|argument|arguments|field|value|values|property|properties|inputs?|schema|enum|type|request body|request argument\\w*|name|request|format|payload|type for)|"
        "(parameter|param|field|argument|value|property|inputs?|temperature|top_p|max_tokens|budget_tokens|\\w+_\\w+) ~(not supported|is unsupported|must be|should be|is invalid|is required|not permitted|not allowed|out of range|cannot be|invalid|deprecated|is too large|has to be)|"
        "(extra|additional) ?(inputs|fields|properties|parameters)|(must|should) be (one of|greater|less|a valid|between|at least|at most|of type|an? (array|string|object|integer|number|list)|positive|in the range)|field required|supported range|is not one of|"
        "should match pattern|requires \\S+ (to be|must be) (set|enabled|provided|specified)|requires \\S+ flag|cannot (be )?(both|specify|use)|failed to deserialize|please use a valid|could not parse the json body|not a valid (json|value|parameter|role)|invalid (role|message|messages|body|schema|content)|response_format ~(unavailable|not supported|must)|(enabled|available|supported) only (for|with|in) (\\S+ )?versions?|parsing the body|invalid json (payload|body|in request)|invalid_request|bad request|malformed (input|request|json)|required key|input should be|(maximum|max) (allowed )?batch size|batch size ~(invalid|exceed\\w*|too large|limit)|too many inputs|expected \\d+ \\S+ (but )?got \\d+|(may|can) only be (set|used)|cannot unmarshal|requires reasoning|reasoning is (mandatory|required)|parameters? error|options? not allowed|expected last role|invalid \\w+parameters?|zod ?error|tool choice requires|enable auto tool choice|(rendering|render|applying) ~(jinja|chat template|template)|jinja (template )?(error|exception)|llm provider not provided|(provider|channel) not found|unknown provider|maximum allowed number of output tokens|only supported (by|for|with|in|on) (certain|some|specific|these)|operation is unsupported|not supported|not implemented|at most \\d+",
        unless="validation errors? for \\w+ (\\S+ )?(tool|schema)|server error|connection|api key|llm output|rate limit|timeout ~exceeded",
        example={"status_code": 400, "message": "Invalid parameter: messages"}, not_example="Rate limit exceeded",
    ),
)  # fmt: skip
