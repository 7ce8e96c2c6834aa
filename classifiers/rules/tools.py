# ruff: noqa: E501 - a pattern is read whole, and a table has its columns
"""What a tool's failure was. These rules are tried only when the evidence belongs to a tool call.

A tool's own 429 or timeout is the tool's. Exceptions: arguments that the model got wrong, a tool
that does not exist (the model named it), and a user who said no.
"""

from functools import partial
from typing import Final

from penstock.classifiers._rule import Rule, Tier, rule

_tool = partial(rule, tier=Tier.OWNER, spans="tool")

_MCP = "https://modelcontextprotocol.io/specification/2025-11-25/server/tools#error-handling"
_JSON_RPC = "https://www.jsonrpc.org/specification#error_object"


def _on_tool(message: str, **fields: object) -> dict[str, object]:
    return {"span_kind": "tool", "message": message, **fields}


TOOLS: Final[tuple[Rule, ...]] = (
    _tool(
        "tool.user_rejected", "cancelled.user", source="https://github.com/anthropics/claude-code/issues",
        text="user (doesnt|does not|didnt|did not) want|(rejected|denied|declined|cancelled|canceled|aborted) "
        "(by|from) (the )?(user|human|operator)|user ~(rejected|denied|declined|refused|cancelled|canceled|aborted|"
        "interrupted)|(tool use|tool call|tool) was rejected|approval (was )?(denied|rejected)|interrupted by user",
        unless="access denied for user|permission denied to user|authentication failed",
        side_effects="none",
        example=_on_tool("The user doesn't want to proceed with this tool use. The tool use was rejected"),
        not_example=_on_tool("Permission denied: /etc/passwd"),
    ),
    _tool(
        "tool.cancelled", "cancelled.caller", source="https://docs.python.org/3/library/asyncio-exceptions.html",
        signals="CancelledError AbortError APIUserAbortError OperationCanceledException TaskCanceledException "
        "KeyboardInterrupt RequestAbortedError CancelledException",
        unless="timed? ?out|timeout",
        example=_on_tool("", exception_type="asyncio.CancelledError"),
        not_example=_on_tool("TimeoutError", exception_type="TimeoutError"),
    ),
    _tool(
        "tool.cancelled_words", "cancelled.caller", source=_MCP,
        text="(operation|request|call|task|execution|tool) (was |has been |is )?(aborted|cancelled|canceled)|"
        "client cancelled",
        unless="timed? ?out|timeout|transaction|order|payment",
        example=_on_tool("The request was canceled"),
        not_example=_on_tool("Order 17 was cancelled already: conflict"),
    ),
    _tool(
        "tool.output_invalid", "tool.bad_output", source=f"{_MCP} (outputSchema)",
        text="output validation error|(output|structured ?content|result|response) ~(does not|doesnt|did not|didnt) "
        "(match|conform|validate)|(has|have) an? output schema|invalid (tool )?(result|output)",
        example=_on_tool("Output validation error: 'temperature' is a required property"),
        not_example=_on_tool("Input validation error: 'city' is a required property"),
    ),
    _tool(
        "tool.unknown", "model.unknown_tool", source=f"{_MCP}; https://openai.github.io/openai-agents-python",
        signals="",
        text="unknown (tool|function)|(tool|function) (name )?(\\S+ ){0,3}?(not found|does not exist|doesnt exist|"
        "is not (a )?(valid|available|known|registered|defined|recognized)|not (registered|available|recognized|defined))|"
        "no such tool|no (tool|function) (named|called|found|with name)|is not a valid tool|"
        "(tool|function) ~not found in (agent|list|registry|available)|unavailable tool|no tool named|"
        "(couldnt|could not|cannot|cant) find (a |the )?tool",
        unless="tool error|(rpc|stored|sql|edge|lambda|cloud|remote|serverless) function|mcp server|server not found|command not found|(page|file|row|record|user|object|resource|item) not found",
        retryable=True, side_effects="none",
        example=_on_tool("Unknown tool: search_web"),
        not_example=_on_tool("Could not find page with ID: x"),
    ),
    _tool(
        "tool.args_code", "model.tool_args_invalid", source=_JSON_RPC,
        signals="-32602 AI_InvalidToolArgumentsError AI_InvalidToolInputError InvalidToolArgumentsError "
        "ToolInputValidationError InvalidToolInputError invalid_tool_arguments ToolInvocationError ToolArgumentError "
        "InvalidParams invalid_params",
        unless="unsupported protocol|output schema", retryable=True, side_effects="none",
        example=_on_tool("MCP error -32602: Invalid arguments for tool search"),
        not_example=_on_tool("MCP error -32603: Internal error"),
    ),
    _tool(
        "tool.args", "model.tool_args_invalid", source=f"{_MCP}; SEP-1303; CrewAI, LangChain tool validation",
        text="validation errors? (for|in)|(argument|arguments|input|parameter|parameters|schema|args) validation "
        "(error|errors|failed|failure)|(missing|invalid|unexpected|unknown|bad|incorrect|malformed|extra) "
        "(\\d+ )?(required )?(keyword |positional |input |tool |function )?(argument|arguments|parameter|parameters|param|params|property|field|args|input)|"
        "(argument|arguments|parameter|parameters|param|params|property|input|args) ~(is|are|was|were) "
        "(missing|required|invalid|not valid|not provided)|field required|required (property|field|argument|parameter|params)|"
        "is a required (property|argument|parameter|field)|got an unexpected keyword argument|"
        "(invalid|malformed|bad|unparsable) json ~(arguments|args|input|parameters)|did not match (the )?(expected )?(tool )?(input )?schema|received tool input did not match|"
        "(couldnt|could not|failed to|cannot|unable to) (parse|validate|deserialize) (the )?(tool )?(call )?(arguments|input|args|parameters)|"
        "coworker mentioned not found|must have required property|is not of type|expected (string|number|integer|object|array|boolean) (but )?(received|got)",
        unless="output validation|response validation|connection string|environment variable|\\w*api_?key|api key|credentials?|access token",
        retryable=True, side_effects="none",
        example=_on_tool("1 validation error for SerperDevToolSchema search_query Field required"),
        not_example=_on_tool("Error executing tool: division by zero"),
    ),
    _tool(
        "tool.bad_query", "model.tool_args_invalid", source="https://www.sqlite.org/rescode.html; PostgreSQL 42601",
        signals="",
        text="near \\S+ syntax error|syntax error at or near|you have an error in your sql syntax|no such (column|table|function)|"
        "column \\S+ does not exist|relation \\S+ does not exist|unknown column|invalid (sql|cypher|query) syntax|"
        "sqlstate 42\\w{3}|invalid (object|column) name|ora 009\\d\\d|unrecognized name|(sql|query) (compilation|parsing|parse|syntax) error",
        side_effects="none",
        retryable=True,
        example=_on_tool('OperationalError: near "FROM": syntax error'),
        not_example=_on_tool("OperationalError: database is locked"),
    ),
    _tool(
        "tool.no_change", "model.tool_args_invalid", source="edit tools of coding agents",
        text="(string to replace|old_string|oldstring|oldstring) (was )?not found|no changes to make|"
        "(old_?string|new_?string|old_?str|new_?str|search_?(block|text|string)) ~(are|must|identical|not found|different|did not|does not|no match)|"
        "no replacement was performed|did not appear verbatim|multiple occurrences of|found \\d+ matches of the string|"
        "(failed to|could not|cannot|couldnt|unable to) (find|locate|match) (the )?(expected |old |search )?(context|lines|block|snippet)|no (sufficiently )?(similar|exact) match|"
        "(applying|apply) patch (\\S+ ){0,3}?(failed|invalid)|(invalid|malformed|corrupt) (patch|diff|hunk)|patch (does not|did not|failed to) apply|hunk \\S+ (failed|does not)|invalid context at",
        retryable=True, side_effects="none",
        example=_on_tool("String to replace not found in file."),
        not_example=_on_tool("String too long"),
    ),
    _tool(
        "tool.timeout", "tool.timeout", source=f"{_MCP}; TypeScript SDK -32001",
        text="time ?out|timeouts|timedout|timed out|deadline exceeded|etimedout|readtimeout|connecttimeout|"
        "timeouterror|timeoutexception|timeoutexpired|apitimeouterror|gateway time out|(call|execution|command) exceeded \\d+ ?(ms|s|seconds|minutes)?",
        unless="connection timed out errno|errno 110|max retries exceeded ~connection timed|invalid timeout|timeout must be",
        retryable=True,
        example=_on_tool("MCP error -32001: Request timed out"),
        not_example=_on_tool("MCP error -32000: Connection closed"),
    ),
    _tool(
        "tool.timeout_code", "tool.timeout", source="MCP TypeScript SDK ErrorCode.RequestTimeout",
        signals="-32001 TimeoutError ReadTimeout Timeout DEADLINE_EXCEEDED APITimeoutError", retryable=True,
        example=_on_tool("", body={"error": {"code": -32001, "message": "x"}}),
        not_example=_on_tool("", body={"error": {"code": -32000, "message": "x"}}),
    ),
    _tool(
        "tool.timeout_status", "tool.timeout", source="RFC 9110", statuses="408 504 524", retryable=True,
        example=_on_tool("", status_code=504), not_example=_on_tool("", status_code=500),
    ),
    _tool(
        "tool.rate_limited", "tool.rate_limited", source="https://docs.github.com/rest (secondary rate limits)",
        text="rate limit(s|ed|ing)?|ratelimit(ed)?|429|throttl(ed|ing)|too many requests|quota (was |has been )?(exceeded|exhausted|reached)|"
        "(exceeded|reached|hit) ~(quota|limit|limits)|ratelimiterror|requests? limit (reached|exceeded)|ratelimitexceeded",
        unless="(file|size|length|character|memory|recursion) (limit|exceeds)", retryable=True,
        example=_on_tool("You have exceeded a secondary rate limit."),
        not_example=_on_tool("Request failed with status code 500"),
    ),
    _tool(
        "tool.rate_limited_status", "tool.rate_limited", source="RFC 6585", statuses="429", retryable=True,
        example=_on_tool("", status_code=429), not_example=_on_tool("", status_code=403),
    ),
    _tool(
        "tool.auth_words", "tool.auth", source=_MCP,
        text="unauthori[sz]ed|unauthenticated|authentication (failed|required|error|is required)|"
        "(invalid|missing|expired|incorrect|bad|wrong|no) ~(api ?key|api_key|apikey|token|credentials|credential|access key)|"
        "(api ?key|apikey|token|credentials|session) ~(invalid|expired|missing|not (set|found|provided|configured|valid)|required|revoked)|"
        "not (logged in|authenticated|authorized)|401|oauth ~(failed|expired|required|error)|invalid_grant|"
        "access token (is|has) (invalid|expired)|please (log in|login|authenticate)",
        unless="max_tokens|unexpected token|token limit|json",
        retryable=False,
        example=_on_tool("Invalid Tavily API key"),
        not_example=_on_tool("Unexpected token < in JSON"),
    ),
    _tool(
        "tool.auth_status", "tool.auth", source="RFC 9110", statuses="401", retryable=False,
        example=_on_tool("", status_code=401), not_example=_on_tool("", status_code=403),
    ),
    _tool(
        "tool.http_status_retry", "tool.http_error", source="RFC 9110",
        statuses="500 502 503 520 521 522 523 529", retryable=True,
        example=_on_tool("Public API service is temporarily unavailable", status_code=503),
        not_example=_on_tool("", status_code=404),
    ),
    _tool(
        "tool.http_status", "tool.http_error", source="RFC 9110",
        statuses="400 402 403 404 405 406 409 410 411 412 413 414 415 416 422 423 424 426 428 431 451",
        retryable=False,
        example=_on_tool("non 2xx status code", status_code=403), not_example=_on_tool("", status_code=500),
    ),
    _tool(
        "tool.connection", "tool.connection", source="MCP SDK -32000; nodejs.org/api/errors.html",
        signals="-32000 ECONNREFUSED ECONNRESET ENOTFOUND EPIPE ConnectionError ConnectError ConnectionRefusedError "
        "NewConnectionError EAI_AGAIN ConnectTimeout BrokenResourceError ClosedResourceError SSLError "
        "RemoteProtocolError ConnectionResetError ClientConnectorError CERTIFICATE_VERIFY_FAILED gaierror ENETUNREACH "
        "SSLCertVerificationError EHOSTUNREACH ERR_CONNECTION_REFUSED ERR_NAME_NOT_RESOLVED RemoteDisconnected "
        "EndOfStream BrokenPipeError ReadError ServerDisconnectedError UND_ERR_SOCKET MaxRetryError NetworkError",
        retryable=True,
        example=_on_tool("MCP error -32000: Connection closed"),
        not_example=_on_tool("MCP error -32603: Internal error"),
    ),
    _tool(
        "tool.connection_words", "tool.connection", source=_MCP,
        text="connection ~(closed|refused|reset|error|failed|lost|aborted|terminated|dropped|timed)|fetch failed|"
        "(failed|unable|cannot|could not|couldnt|error|not able) ~(connect|connecting|reach|fetch)|not connected|"
        "(transport|stream|socket|session) ~(closed|error|terminated|lost|ended|hang)|disconnected|unreachable|"
        "network (error|is unreachable)|broken pipe|socket hang up|server ~not running|session not found|name resolution|"
        "client (closed|not connected)",
        retryable=True,
        example=_on_tool("Failed to call RAG Web Browser: TypeError: fetch failed"),
        not_example=_on_tool("tool execution failed"),
    ),
    _tool(
        "tool.http_words", "tool.http_error", source="RFC 9110",
        text="(status|code|http|error|response|returned|error code|status code) (code )?(4\\d\\d|5\\d\\d)|"
        "(4\\d\\d|5\\d\\d) (client|server) error|forbidden|bad gateway|service unavailable|internal server error|"
        "(403|404|500|502|503) \\w+",
        unless="mcp error|traceback", retryable=False,
        example=_on_tool("upstream said: Forbidden"),
        not_example=_on_tool("tool execution failed"),
    ),
    _tool(
        "tool.exception", "tool.exception", source="a tool ran or was dialled, and failed", retryable=False,
        example=_on_tool("Error: tool execution failed"), not_example={"span_kind": "llm", "message": "failed"},
    ),
)  # fmt: skip
