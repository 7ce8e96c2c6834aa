"""A request as a hook found it, whatever stack it leaves by."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from penstock.providers import Endpoint, Provider, Registry, RequestFacts

_CREDENTIALS: Final = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
"""What identifies the caller."""
_AWS_KEY: Final = re.compile(r"Credential=([^/,]+)")
_AMZ_ATTEMPT: Final = re.compile(r"attempt=(\d{1,4})")
READ_HEADERS: Final = frozenset(
    {*_CREDENTIALS, "x-stainless-retry-count", "amz-sdk-request", "idempotency-key"}
)
"""All that is read of a request's headers; a hook need not copy more."""
UNREAD: Final = RequestFacts(model="unknown")
"""For a body that is itself a stream: reading it would take it from the app."""


@dataclass(slots=True)
class Outgoing:
    """What is known of a request before it is sent. `attempt_header` is the SDK's own count, from 1.

    Made at each send, by position: Python takes twice as long by keyword.
    """

    provider: Provider
    endpoint: Endpoint
    facts: RequestFacts
    host: str
    port: int | None
    path: str
    body: bytes = b""
    credential: str = field(default="", repr=False)
    timeout_seconds: float | None = None
    attempt_header: int | None = None
    idempotency_key: str | None = None


def describe(
    registry: Registry,
    found: tuple[Provider, Endpoint],
    *,
    host: str,
    port: int | None,
    path: str,
    headers: Mapping[str, str],
    body: bytes | None,
    timeout_seconds: float | None,
) -> Outgoing | None:
    """Read a request that the registry has `found`; None if its body shows that it is no LLM call.

    `headers` has lower-case names, of which `READ_HEADERS` suffice; `body` None is unread.
    """
    provider, endpoint = found
    facts = provider.request(endpoint, body) if body is not None else None
    if body is None and registry.knows(host):
        facts = UNREAD
    if facts is None:
        return None
    credential = ""
    for name in _CREDENTIALS:
        if name in headers:
            credential = headers[name]
            break
    if credential.startswith("AWS4-"):
        signed = _AWS_KEY.search(credential)  # of a signature only the key's id stays between requests
        credential = signed[1] if signed else credential
    return Outgoing(
        provider,
        endpoint,
        facts,
        host,
        port,
        path,
        body or b"",
        credential,
        timeout_seconds,
        _attempt(headers),
        headers.get("idempotency-key"),
    )


def _attempt(headers: Mapping[str, str]) -> int | None:
    """Stainless SDKs count retries from 0; botocore says `attempt=2; max=3`."""
    count = headers.get("x-stainless-retry-count")
    if count is not None and count.isdecimal():
        return int(count) + 1
    amz = headers.get("amz-sdk-request")
    found = _AMZ_ATTEMPT.match(amz) if amz is not None else None
    return int(found[1]) if found else None
