"""JSON over HTTP for two servers that people name on the command line: Prometheus and Grafana."""

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import Any, Final

from penstock.errors import UsageError

_TIMEOUT_SECONDS: Final = 30


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect could carry the token to another host: it is an answer like any other."""

    def redirect_request(self, *_args: object) -> None:
        return None


_OPENER: Final = urllib.request.build_opener(_NoRedirect)


@dataclass(frozen=True, slots=True)
class JsonServer:
    """One server. The token goes into the header, and into nothing that is printed.

    Raises:
        UsageError: on a URL that is not http or https, or when nothing answers there.
    """

    name: str
    url: str
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise UsageError(f"{self.name} URL {self.url!r} is not one; write it as http://host:port")
        if not (self.token.isascii() and self.token.isprintable()):
            raise UsageError(f"the {self.name} token holds characters that no token has; copy it again")

    def request(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Send one request; return status and decoded answer (text where it is not JSON)."""
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - http and https only, see above
            self.url.rstrip("/") + path, data=data, headers=headers, method=method
        )
        try:
            with _OPENER.open(request, timeout=_TIMEOUT_SECONDS) as answer:
                return answer.status, _decode(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _decode(error.read())
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise UsageError(f"{self.name} at {self.url} does not answer: {reason}") from error


def _decode(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode("utf-8", "replace")[:500]
