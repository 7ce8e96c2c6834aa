# ruff: noqa: E501 - a pattern is read whole, and a table has its columns
"""The model answered, and the answer was wrong."""

from functools import partial
from typing import Final

from penstock.classifiers._rule import Rule, Tier, rule

_text = partial(rule, tier=Tier.TEXT)

_OPENAI = "https://platform.openai.com/docs/guides/error-codes"


CALLS: Final[tuple[Rule, ...]] = (
    _text(
        "text.turns", "model.max_iterations", source="LangChain, CrewAI, AutoGPT, OpenAI Agents: loop guards",
        statuses="0 200",
        text="(max|maximum|too many|limit of|exceeded|reached) ~(iterations?|turns?|steps?|rounds?|recursion|actions|agent calls)|"
        "(iterations?|turns?|steps?|recursion|time|round) (limit|count)|recursion limit|(stuck|caught) in (a |an )?(infinite )?loop|infinite loop|loop (was )?detected|repeated ~(same )?(tool call|action|tool calls)|"
        "agent stopped due to|max_iterations|max_turns|max_steps|repeat(ed|ing|s)? (itself|the same)|same (tool|action) ~repeatedly|no progress|same (tool|action|call) \\d+ times|called the same (tool|function)|would exceed the (request_limit|tool_calls_limit|total_tokens_limit)",
        unless="(execution|request|call|query) exceeded (the |its )?time limit|python recursion depth|maximum recursion depth|rate limit|requests per|retry|retries|attempts|time limit per", retryable=False,
        example="Agent stopped due to iteration limit or time limit.", not_example="maximum recursion depth exceeded",
    ),
    _text(
        "text.unknown_tool", "model.unknown_tool", source="LangChain, OpenAI Agents, Vercel AI SDK",
        statuses="0 200 400", spans="agent llm unknown",
        text="(is )?not (a )?(valid|available|known|registered|recognized) tool|(tool|function) (\\S+ ){0,4}?(not found|does not exist|doesnt exist|is not (available|registered|defined|recognized|found|in the list))|"
        "unknown (tool|function)|(called|call|use|invoke|using) (an? )?(unavailable|unknown|non ?existent|nonexistent|undefined|invalid|unregistered) (tool|function)|no (such )?(tool|function) (named|called|found|with)|"
        "(attempted|tried) to (call|use) (a |an )?(tool|function) (\\S+ ){0,5}?not|action \\S+ (dont|does not|doesnt) exist|only available actions|no tool named|tool call validation failed ~not in request|which was not in request",
        unless="tool_use_id|tool_call_id|call_id|mcp server|server not found|no tool (output|call)|tool result|not found in messages|command not found|tool error|tool (execution |call )?failed",
        example="Observation: calculator is not a valid tool, try another one.",
        not_example="No tool output found for function call call_abc",
    ),
)  # fmt: skip

ANSWERS: Final[tuple[Rule, ...]] = (
    _text(
        "text.tool_args", "model.tool_args_invalid", source="LangChain, CrewAI, Vercel AI SDK",
        statuses="0 200 400", spans="agent llm unknown",
        text="(invalid|malformed|missing|bad|wrong|incorrect) (tool|function|json) (call )?(arguments?|args|inputs?|parameters)|(invalid|malformed|missing|bad) (arguments|args) (~(for|in|to) ~(tool|function)|for [a-z]+_[a-z_]+)|(arguments?|args|tool input) ~(validation|invalid|malformed|not valid json|schema|missing)|"
        "error while trying to use the tool|(tool|function) (call )?(arguments|args|parameters) (\\S+ ){0,4}?(invalid|parse|match|valid|valid json)|validation errors? for \\w*(tool|schema|input|args|arguments)\\w*|received tool input did not match|"
        "(failed|unable|could not) to parse (the )?(tool|function) (call )?(arguments|input|args)|(without|missing) (a )?value for required parameter",
        unless="tool_use ids|extra_body|schema for function|invalid schema|http|invalid_request_error",
        example="Invalid arguments for tool weatherTool: Type validation failed", not_example="Invalid schema for function 'x'",
    ),
    _text(
        "text.tool_call", "model.tool_call_malformed", source="Groq, Gemini, Ollama, vLLM tool parsers",
        statuses="0 200 400 422 500", spans="agent llm unknown",
        text="(failed|error|unable|could not|cannot|couldnt) (to |in )?(call a function|parse (the )?(tool|function) ?calls?|generat\\w+ (a )?tool call|pars\\w+ ~tool call|decode ~tool call)|malformed (function|tool) ?calls?|"
        "(tool|function) ?calls? ~(malformed|could not be parsed|invalid json|not valid json|unparsable|failed to parse|parsing failed|was malformed)|(invalid|malformed) (tool|function) ?calls?|failed_generation|"
        "unterminated string|(tool call|tool_calls?) ~(truncated|incomplete)|error parsing tool call|tool use failed|no tool use|(returned|produced|made|emitted|with) no (tool|function) calls?|(did not|didnt|failed to) (use|call|emit|return|produce|make) (a |any |the )?(required |valid )?(tool|function)|expected a tool call|no (tool|function) calls? (was |were )?(found|detected|made|generated|returned|in)",
        unless="tool_use_id|previous|history",
        example="error parsing tool call: raw='{\"a\": 1', err=unexpected end of JSON input",
        not_example="Tool call failed: HTTP 500",
    ),
    _text(
        "text.empty", "model.empty_response", source="LangChain, Gemini, CrewAI: empty answers",
        statuses="0 200 500", spans="agent llm unknown",
        text="(empty|blank|null|none|no) (response|reply|content|message|output|completion|answer|text|assistant message|choices|candidates|generations?|result)s? ?(was |were )?(from|returned|received|generated|by|retrying|content|produced|found|provided|in response|text|or|after|detected)|"
        "(response|reply|content|output|completion|model|llm|candidate|assistant|answer|message|choices|candidates) ~(is|was|were|returned|returns|contained|returning|came back|produced|gave) (an )?(empty|blank|null|none|no content|no text|nothing)|empty (reply|response|completion|output|answer)|"
        "(returned|received|got|generated|produced) (an |a )?(empty|blank|null) (response|reply|message|content|completion|text|output|assistant)|"
        "none or empty|no (response|output|text) (was )?(generated|returned|produced)|response had no (text|content|parts)|did not (return|produce|generate|contain|include) (any )?(content|output|response|text|choices|candidates)|no valid part|response contained no|without any (content|text|output)|(returned|produced|gave|sent) no (final |visible |usable )?(answer|response|output|content|text|message)|(no|any) assistant messages?|(no|zero) candidates|empty text parts|(thought|thoughts|thinking|reasoning) only (response|reply|output|message)|(response|reply) (containing |with |of )?only (thinking|thoughts|reasoning)",
        unless="(within|after) \\d+\\w*|empty reply from server|messages ~empty|contents must not|must not be empty|body ~empty|no response from server|connection|input",
        example="Invalid response from LLM call - None or empty.", not_example="curl: (52) Empty reply from server",
    ),
    _text(
        "text.truncated", "model.truncated", source="https://platform.openai.com/docs/guides/structured-outputs",
        statuses="0 200 400", spans="agent llm unknown",
        text="exceeded before any response|(response|output|completion|generation|answer|json|message) (\\S+ ){0,5}?(truncated|cut off|incomplete|was incomplete|length limit|exceeded ~output token maximum|too long to)|finish ?_?reason ~(length|max_tokens)|"
        "length limit was reached|(reached|hit|exceeded) (its|the|max|maximum) (output|output token|completion|generation) limit|(reached|hit|exceeded|due to) ~(max_tokens|max output tokens|output token (maximum|limit)|max_output_tokens|max_completion_tokens)|output token (maximum|limit)|(max_tokens|max_output_tokens|max_completion_tokens) (limit )?(was )?(reached|hit)|incomplete due to",
        unless="context|chunked read|must be|at most|tokens per|stream (ended|closed)|terminal event",
        example="Could not parse response content as the length limit was reached", not_example="incomplete chunked read",
    ),
    _text(
        "text.schema", "model.schema_validation", source="Pydantic AI, Instructor, Vercel AI SDK",
        statuses="0 200", spans="agent llm unknown",
        text="(output|response|result|structured output|completion|object|answer|json|value) (\\S+ ){0,4}?(did not match|does not match|doesnt match|not match|validation|failed validation|not conform|invalid against|does not conform) ?(schema|failed|error|errors)?|"
        "into a pydantic model|(output|result|response|structured output|type|schema|final result|json|pydantic) validation (failed|error|errors|failure|retries)|validation errors? for|retries (\\S+ ){0,4}?(output|result) validation|(match|conform|matching) (the )?(\\S+ )?(output |response )?schema|failed to validate|(not|never) (be )?validated|cannot be validated",
        unless="server_error|internal_error|overloaded_error|rate_limit\\w*|schema for function|invalid schema|request validation|input validation error inputs|extra inputs|invalid_request|body",
        example="Exceeded maximum retries (1) for output validation", not_example="Invalid schema for response_format 'x'",
    ),
    _text(
        "text.parse", "model.output_parse", source="LangChain OUTPUT_PARSING_FAILURE; AutoGPT, MetaGPT, LlamaIndex; JSON parsers of Python, V8, Go, Rust, C++",
        statuses="0 200", spans="agent llm unknown",
        text="(could not|couldnt|failed|unable|cannot|cant|error|invalid|errors?|not able) ~(parse|parsing|decode|extract) (the |an? |any |valid )?(\\S+ ){0,3}?(llm|model|output|response|json|completion|answer|reply|agent|action|object|result|content|thought|ai|code|text)|"
        "(llm|model|output|response|agent|ai|completion|answer|reply) ~(invalid (json|xml|yaml)|not valid (json|xml|yaml)|is not json|could not be applied|unparsable|unparseable|parsing|not parse|could not be parsed|malformed|wrong format|invalid format)|"
        "(parse|parsing|repair|repairing) ~json ~(failed|error)|invalid json(?! payload| body| in request)|(missing|invalid|no) ~(action|thought|final answer) ~(after|format|input|in)|output pars\\w+|json ~(decode|parse|parsing) (error|failed|failure)|not valid json|no json (object )?(found|in)|"
        "(correct|expected|right) output format|expected dict_keys|output should (start|begin|end|contain)|(structured output|structured outputs|json mode) ~(failed|errored)|(invalid|wrong) (format|output format)|expecting (value|property name|delimiter)|unexpected (token|end of json|identifier|non whitespace character)|error parsing|invalid or incomplete llm output|(not|didnt|doesnt|never) (return|produce|output|contain|give) (a )?valid json|instead of a (tool|function) call|(returned|gave|produced|emitted) an? (invalid|malformed|unknown) (action|output|response|json|format|answer)|(returned|gave|produced|wrote|echoed) (\\S+ ){0,3}?instead of (\\S+ )?(data|json|object|result|answer)|"
        "(invalid|bad) (control character|escaped? (character|sequence)|escape line|escape at line|\\w{1,5} escape)|extra data line \\d+|expecting (comma|colon) delimiter|"
        "(in|after) json at position|invalid character \\S+ (looking for|after|in string|in literal|in numeric)|json exception parse_error|expected value at line|eof while parsing an? \\w+|trailing characters at line",
        unless="request body|parse (error|failure) ~config|parsing the body|could not parse the json body|config|yaml|html|doctype|connection|file",
        example="Could not parse LLM output: `I think`", not_example="We could not parse the JSON body of your request",
    ),
    _text(
        "text.invalid_content", "model.output_parse", source=_OPENAI, statuses="0 200 400 500",
        text="model (has )?(produced|generated) (an )?(invalid|malformed|unusable) (content|output|response|tokens?|json)",
        example={"status_code": 500, "message": "The model produced invalid content. Consider modifying your prompt"},
        not_example={"status_code": 500, "message": "The server had an error while processing your request"},
    ),
    _text(
        "text.refusal", "model.refusal", source="textual refusals", statuses="0 200", spans="agent llm unknown",
        text="(model|llm|assistant|ai) (has )?(refused|refusal|refuses)|refused to (answer|respond|generate|comply|produce)|im sorry ~(cant|cannot) (assist|help|comply)",
        unless="connection refused|stop_reason",
        example="Model refused to generate the structured output", not_example="connection refused",
    ),
)  # fmt: skip
