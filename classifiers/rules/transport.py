# ruff: noqa: E501 - a pattern is read whole, and a table has its columns
"""The way there and back: TLS, DNS, connections, deadlines, servers that broke, cancels."""

from functools import partial
from typing import Final

from penstock.classifiers._rule import Rule, Tier, rule

_text = partial(rule, tier=Tier.TEXT)

_OPENAI = "https://platform.openai.com/docs/guides/error-codes"
_ANTHROPIC = "https://docs.claude.com/en/api/errors"
_GEMINI = "https://ai.google.dev/gemini-api/docs/troubleshooting"
_SERVERS = "vLLM, llama.cpp, Ollama, LM Studio, TGI: server sources and public issues"
_CODE = "https://github.com/anthropics/claude-code/issues"

TRANSPORT: Final[tuple[Rule, ...]] = (
    _text(
        "text.tls", "network.tls", source="OpenSSL, Node.js",
        statuses="0 200 495 500 502 503 525 526",
        text="(certificate|cert) ~(verify|verification|expired|invalid|self signed|not trusted|unknown|issuer|mismatch|failed|valid)|self signed certificate|(ssl|tls) ~(error|handshake|failure|failed|alert|wrong version)|"
        "(unable to|failed to) (verify|get local issuer)|handshake (failed|failure)|curl (error )?(35|51|58|60|77)",
        unless="eof|reset|timed? ?out|tcp handshake", retryable=False, side_effects="none",
        example="unable to get local issuer certificate", not_example="TCP handshake shutdown",
    ),
    _text(
        "text.dns", "network.dns", source="getaddrinfo(3)", text="(name|host|hostname|dns) (or service )?(resolution|not known|lookup|could not be resolved|unknown)|(could not|couldnt|cannot|failed to|unable to|failure in) ~(resolve|name resolution)|"
        "nodename nor servname|no such host|name or service not known|getaddrinfo|dns (error|lookup|failure)|no address associated|curl (error )?6", side_effects="none",
        statuses="0 200 500 502 503",
        example="[Errno -2] Name or service not known", not_example="unknown model name",
    ),
    _text(
        "text.model_start", "timeout.model_load", source=_SERVERS, statuses="0 200 500 503 504",
        text="(timed out|timeout) (waiting )?(for |on |while )?(\\S+ ){0,3}?(start|load|loading|runner|startup)|(load|loading|startup|start|runner) ~(timed out|timeout)",
        unless="connect|tool",
        example="error starting llama runner: timed out waiting for llama runner to start", not_example="Request timed out.",
    ),
    _text(
        "text.memory", "server_error.out_of_memory", source=_SERVERS,
        statuses="0 200 400 500 502 503", retryable=False,
        text="(out of|insufficient|not enough|more|enough|lack of|no) (available |system |gpu |device |video |graphics |host )?(memory|vram|ram)|memory (is )?(exhausted|insufficient)|oom( killed)?|out_of_memory|out_of_resources|ur_result_error_out_of_resources|ur_result_error_out_of_device_memory|cl_out_of_resources|vk_error_out_of_device_memory|cuda_error_out_of_memory|allocation fail(ure|ed)|cannot allocate|"
        "(failed|unable|could not|cannot) (to )?alloc(ate)?|cudamalloc failed|cuda error out of memory|kv cache ~(full|insufficient|not enough)|unable to allocate",
        unless="tool|conversation memory|memory limit of the (sandbox|container)",
        example="model requires more system memory (42.8 GiB) than is available (12.9 GiB)",
        not_example="Error saving memory: file not found",
    ),
    _text(
        "text.dead", "server_error.engine_dead", source=_SERVERS, statuses="0 200 400 500 502 503",
        text="engine ~(dead|died|is dead|has died|stopped|is not running|core initialization failed|loop has died|process died)|background loop ~(errored|has errored|stopped|is not running)|enginecore ~(error|encountered|failed|died)",
        example="Engine loop has died", not_example="Search engine returned nothing",
    ),
    _text(
        "text.crash", "server_error.crash", source=_SERVERS, statuses="0 200 400 500 502 503",
        text="(runner|process|server|worker|engine|model|backend|llama server|subprocess) ~(terminated|crashed|unexpectedly|exited|has died|was killed|died|stopped unexpectedly|no longer running)|(finished|ended|exited|stopped|quit) unexpectedly|(endpoint|server|container|replica|worker|engine|backend) failed to (start|initiali[sz]e|boot)|(llama|llm|model|inference|vllm|sglang|ollama) (server|runner|engine|backend) is not (running|responding)|no suitable ~servers found|exit status \\d|exit code \\d|encountered while running the model|segmentation fault|ggml_assert|failed to load (the |your )?model|error loading model|unknown model architecture|replica failed|startup failed|cuda error|illegal memory access|signal (killed|arrived|aborted|segmentation)|core dumped",
        unless="mcp|tool|connection|stream|command|user",
        example="model runner has unexpectedly stopped, this may be due to resource limitations", not_example="Session terminated by user",
    ),
    _text(
        "text.connect_timeout", "network.connect", source="urllib3, undici, libcurl",
        statuses="0 200 500 502 503", side_effects="none",
        text="connect(ion)? time ?out( error)?|connect(ing)? ~timed out|connection (attempt )?timed out(?! after)|timed? ?out ~(connecting|while connecting|to connect|establishing)|(tcp|tls|ssl) handshake time ?out|tcp handshake|"
        "(establish|establishing) ~(connection|socket) ~time ?d? ?out",
        unless="upstream timed out|read time|timed out after \\d+ 0 seconds litellm|request timed out|litellm timeout|connection timed out after",
        example="Connect Timeout Error (attempted address: api.openai.com:443)", not_example="litellm.Timeout: Connection timed out after 600.0 seconds.",
    ),
    _text(
        "text.gateway_timeout", "timeout.gateway", source="nginx, Cloudflare, AWS ALB", text="gateway time ?out|gateway timed out|(504|524) \\w+ ?(time|timeout)|upstream (request )?(timed? ?out|timeout)|origin ~(time ?out|timed out)|error (504|524)|(504|524) (server error|error|a timeout)|status (code )?(504|524)|endpoint request timed out",
        unless="not an upstream timeout",
        example="upstream request timeout", not_example="502 Bad Gateway",
    ),
    _text(
        "text.deadline", "timeout.deadline", source=_GEMINI, text="deadline ~(exceeded|expired|passed|reached|of)|exceeded ~deadline", statuses="0 200 408 499 500 502 503 504",
        example="503 UNAVAILABLE Deadline expired before operation could complete.", not_example="the deadline for the beta",
    ),
    _text(
        "text.stream_idle", "timeout.stream_idle", source="OpenAI Codex, Claude Code: idle streams", text="(stream|chunk|connection|response|streaming) ~(idle|stalled|inactivity) ?(time ?out)?|idle time ?out|no (data|chunks?|events?|tokens?) (\\S+ ){0,3}?(for|within|in) \\d+",
        unless="session idle", example="stream error: idle timeout waiting for SSE", not_example="server idle",
    ),
    _text(
        "text.timeout", "timeout.client_read", source="https://www.python-httpx.org/exceptions/",
        text="time ?out( error| exceeded| of| after| reached| while| waiting| during)?|timed out|timedout|took too long|exceeded ~(time limit|timeout)|did not respond (in time|within)|curl (error )?28|no response (\\S+ ){0,2}?(after|within) \\d+\\w*",
        unless="(timeout|time out) (parameter|argument|must|should|is not)|not an upstream timeout|(invalid|unsupported|unknown) ~timeout|connect ~time ?out|connection refused|unexpected keyword",
        statuses="0 200 400 408 499 500 502 503 504 524",
        example="The read operation timed out", not_example="got an unexpected keyword argument 'timeout'",
    ),
    _text(
        "text.refused", "network.connect", source="POSIX errno",
        statuses="0 200 500 502 503", side_effects="none",
        text="connection ~refused|(network|host|server|internet) (is )?(unreachable|not reachable|down|offline)|no route to host|(unable|failed|could not|couldnt|cannot|cant|error|not able|problem) (to )?(connect|reach|establish|fetch|communicat\\w+)|fetch failed|failed to fetch|"
        "(connect|connection) error|error (connecting|communicating|reaching|fetching)|connection attempts failed|cannot connect|proxy (error|connection)|actively refused|failed to open socket|network error|could not be reached|tcp handshake|is ollama running|"
        "(is the )?server running|internet connection|not connected to the internet|error (occurred )?(while )?sending (the |your |a )?request|^(typeerror )?load failed$|connection (could not|cannot) be|connection failed|curl (error )?7|getting$",
        unless="tool server|reset|image|download|connection error to (db|database)|url fetch",
        example="connect: connection refused", not_example="read ECONNRESET",
    ),
    _text(
        "text.dropped", "network.stream_dropped", source="httpx, aiohttp, undici, hyper",
        statuses="0 200 500 502 503 520",
        text="incomplete chunked read|peer closed|premature(ly)? (close|closed|end|ended)|(stream|response|body|connection|sse|websocket) ~(disconnected|dropped|interrupted|ended unexpectedly|ended before|closed before|terminated|ended without|incomplete|lost|cut|was closed|closed prematurely|closed unexpectedly|aborted by)|"
        "without (sending|receiving|producing) (any|a) (chunks?|data|events?|terminal|message_stop)|not enough data ~content length|response (payload )?(is )?not completed|error (decoding|reading) (response )?(body|stream)|disconnected before completion|unexpected(ly)? (eof|end of (file|stream)|close)|transfer closed|terminated other side|connection ~mid ?stream|other side closed|terminated$|unexpected eof|stream ~not closed cleanly|curl (error )?(18|52|92)|eof occurred in violation|response ended prematurely",
        unless="process|runner|client cancelled|client disconnected|user aborted|by (the )?user",
        example="peer closed connection without sending complete message body (incomplete chunked read)", not_example="connection refused",
    ),
    _text(
        "text.reset", "network.reset", source="POSIX errno", statuses="0 200 500 502 503",
        text="goaway|websocket ~(closed|disconnected|abnormal)|connection ~(reset|aborted|forcibly closed|was closed|closed|lost|broken|terminated)|socket (hang up|connection was closed|closed|error|disconnected|was disconnected)|broken pipe|server disconnected|remote end closed|disconnected without|closed unexpectedly|forcibly closed|upstream connect error|reset by peer|disconnect reset before headers|reset reason|remote host closed|curl (error )?(55|56)",
        unless="user|mcp",
        example="Connection reset by peer", not_example="connection refused",
    ),
    _text(
        "text.timeout_wide", "timeout.client_read", source="clients in other languages",
        substrings=("超时", "逾時", "タイムアウト", "시간 초과", "время ожидания"), unless="connect time ?out",
        example="请求超时，请稍后重试", not_example="网络连接失败",
    ),
    _text(
        "text.network_wide", "network.connect", source="clients in other languages",
        substrings=("网络连接", "连接错误", "连接异常", "网络错误", "网络异常", "连接失败", "无法连接", "連線失敗", "接続エラー", "接続できません", "연결 실패", "연결할 수 없", "ошибка сети", "не удалось подключиться"),
        side_effects="none", example="网络连接失败", not_example="请求超时，请稍后重试",
    ),
)  # fmt: skip

SERVER: Final[tuple[Rule, ...]] = (
    _text(
        "text.bad_gateway", "server_error.bad_gateway", source="nginx, Cloudflare", statuses="0 200 500 502 503 520",
        text="bad gateway|(502|520) (error|web server|bad|unknown)|error (502|520)|status (code )?(502|520)|invalid response ~upstream|web server (is )?(returned an unknown error|down)",
        example="<h1>502 Bad Gateway</h1>", not_example="504 Gateway Time-out",
    ),
    _text(
        "text.interrupted", "server_error.interrupted", source="https://replicate.com/docs", text="(prediction|generation|inference|request) (was |has been )?(interrupted|failed)(?! to call)|interrupted ~retry",
        unless="cancell?ed|aborted|user|by the client|api request failed|timed? ?out|request failed with|request failed \\d",
        statuses="0 200 500 502 503",
        example="Prediction interrupted; please retry (code: PA)", not_example="Request interrupted by user",
    ),
    _text(
        "text.cancelled_upstream", "cancelled.upstream", source="Gemini 499 CANCELLED", providers="gemini vertex_ai google",
        statuses="499", text="(operation|request|the operation) (was )?(cancelled|canceled)", retryable=True, fault="provider_capacity",
        example={"provider": "gemini", "status_code": 499, "message": "The operation was cancelled."},
        not_example={"provider": "openai", "status_code": 499, "message": "The operation was cancelled."},
    ),
    _text(
        "text.user_cancel", "cancelled.user", source=_CODE, statuses="0 200 499 500", side_effects="possible",
        text="(interrupted|aborted|cancelled|canceled|stopped|rejected|terminated|declined|denied) by (the )?user|user (has )?(rejected|cancelled|canceled|aborted|interrupted|declined|denied|stopped)|user (doesnt|does not) want|user ~abort\\w*",
        unless="access denied for user|by user ~policy",
        example="Request interrupted by user", not_example="User not found",
    ),
    _text(
        "text.cancel", "cancelled.caller", source="fetch AbortController; asyncio; gRPC CANCELLED", statuses="0 200 499 500",
        text="(request|operation|call|task|signal|run|workflow|stream|query|generation|execution|fetch|it|job|client|scope|context) (was |has been |is |got |were )?(aborted|cancelled|canceled|being cancelled)|abort(ed|error)?|(cancelled|canceled) (by|via|error)|context canceled|client (disconnected|closed (the )?(request|connection))|cancel scope|cancelled|canceled canceled|^canceled",
        unless="timed? ?out|timeout|connection aborted|connection was aborted|econnaborted|software caused|subscription|transaction",
        example="Request was aborted.", not_example="Connection aborted.",
    ),
    _text(
        "text.internal", "server_error.internal", source=f"{_OPENAI}; {_ANTHROPIC}", statuses="0 200 500 501 502 520 530",
        text="internal (server )?(error|failure|exception|service error)|server(s)? (had|encountered|has|experienced|returned|side) (an |a )?(\\S+ )?(error|issue|problem|exception|condition)|(encountered|experienced|experiencing|hit) (an |a )?(\\S+ )?(server|backend|internal) (error|issue|problem)|internalservererror|http 1 1 500|status (code )?5\\d\\d|error (code )?5\\d\\d|"
        "(500|501) (server error|internal|error)|unexpected (server |internal )?error|(error|problem|issue) (occurred )?while processing your request|something went wrong|upstream (error|request failed|service error|failure)|provider returned error|unable to process (the |your )?request|"
        "an (unknown |unexpected |internal )?error (has )?occurred|unknown error",
        unless="rate limit|invalid|not found|unauthorized|parse|validation|when calling the \\S+ operation",
        example="The server had an error while processing your request. Sorry about that!", not_example="Invalid request error",
    ),
    _text(
        "text.internal_wide", "server_error.internal", source="clients in other languages",
        substrings=("内部错误", "服务器错误", "系统错误", "系统异常", "伺服器錯誤", "サーバーエラー", "内部エラー", "서버 오류", "внутренняя ошибка", "ошибка сервера"),
        example="服务器内部错误", not_example="请求模型失败",
    ),
)  # fmt: skip
