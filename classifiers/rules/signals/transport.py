# ruff: noqa: E501 - a pattern is read whole, and a table has its columns
"""What broke between caller and answer: network, deadlines, servers, cancels; statuses that say enough."""

from functools import partial
from typing import Final

from penstock.classifiers._rule import Rule, Tier, rule

_signal = partial(rule, tier=Tier.SIGNAL)

_OPENAI = "https://platform.openai.com/docs/guides/error-codes"
_ANTHROPIC = "https://github.com/anthropics/anthropic-sdk-python (src/anthropic/_exceptions.py)"
_GOOGLE = "https://cloud.google.com/apis/design/errors"
_AWS = "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html"

TRANSPORT: Final[tuple[Rule, ...]] = (
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
        "ProxyConnectionError ERR_CONNECTION_REFUSED ERR_CONNECTION_TIMED_OUT ERR_INTERNET_DISCONNECTED ConnectionTimeoutError "
        "UnresolvedModelServerException",
        side_effects="none",
        example={"exception_type": "httpx.ConnectError", "message": "All connection attempts failed"},
        not_example={"exception_type": "httpx.ReadTimeout", "message": ""},
    ),
    _signal(
        "network.dropped", "network.stream_dropped", source="https://www.python-httpx.org/exceptions/",
        signals="RemoteProtocolError IncompleteRead ChunkedEncodingError ClientPayloadError ERR_STREAM_PREMATURE_CLOSE "
        "TransferEncodingError UND_ERR_BODY_TERMINATED ERR_INCOMPLETE_CHUNKED_ENCODING ERR_HTTP2_STREAM_ERROR "
        "ERR_HTTP2_PROTOCOL_ERROR ResponseStreamingError UND_ERR_RES_CONTENT_LENGTH_MISMATCH "
        "response_stream_disconnected stream_read_error IncompleteReadError ConnectionTerminated",
        example={"exception_type": "httpx.RemoteProtocolError", "message": "peer closed connection without sending"},
        not_example={"exception_type": "httpx.ReadTimeout", "message": ""},
    ),
    _signal(
        "network.reset", "network.reset", source="https://nodejs.org/api/errors.html",
        signals="ECONNRESET EPIPE ConnectionResetError BrokenPipeError UND_ERR_SOCKET ECONNABORTED ReadError "
        "ServerDisconnectedError ConnectionAbortedError RemoteDisconnected ClientOSError WriteError "
        "ConnectionClosedError ConnectionClosed SocketException ERR_CONNECTION_RESET ERR_CONNECTION_CLOSED "
        "ConnectionClosedOK ENETRESET ERR_NETWORK_CHANGED ERR_SOCKET_CLOSED SSLEOFError",
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
        signals="ETIMEDOUT", text="connect etimedout", side_effects="none",
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
        signals="InternalServerException ModelErrorException internal_server_error "
        "internal_error InternalFailure INTERNAL_SERVER_ERROR InternalServiceError server_internal_error "
        "ServiceInternalError backend_error",
        unless="(over ?capacity|overloaded|too many requests|capacity)",
        statuses="0 200 400 424 500 501 502 503",
        example={"status_code": 400, "exception_type": "ModelError", "message": "\"type\": \"InternalServerException\""},
        not_example={"status_code": 400, "exception_type": "ModelError", "message": "bad input"},
    ),
    # Only a cancel that nothing above explains is the caller's.
    _signal(
        "cancelled.class", "cancelled.caller", source="https://docs.python.org/3/library/asyncio-exceptions.html",
        signals="CancelledError CancellationException AbortError APIUserAbortError CancelledException OperationCanceledException "
        "RequestAbortedError ResponseAborted ClientClosedRequestError KeyboardInterrupt ERR_CANCELED TaskCanceledException "
        "UserCancelledError run_cancelled run_canceled ERR_ABORTED ClientDisconnect MessageAbortedError request_cancelled InterruptedError",
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
