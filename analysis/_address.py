"""Where a ClickHouse table is, as people type it. Apart from what asks it, which takes long to load."""

import os
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from penstock.errors import UsageError

TABLE: Final = "otel_traces"
PASSWORDS: Final = ("PENSTOCK_CLICKHOUSE_PASSWORD", "CLICKHOUSE_PASSWORD")
_PORTS: Final = {"clickhouse": 8123, "clickhouses": 8443}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a table is. `secure` means TLS."""

    host: str
    port: int
    secure: bool
    user: str
    password: str
    database: str
    table: str

    def __str__(self) -> str:
        scheme = "clickhouses" if self.secure else "clickhouse"
        return f"{scheme}://{self.host}:{self.port}/{self.database}?table={self.table}"

    @property
    def quoted(self) -> str:
        """Give the table's full name as SQL."""
        return quoted(self.database, self.table)


def is_address(name: str) -> bool:
    """Say whether a name means a table in ClickHouse."""
    return name.startswith(tuple(f"{scheme}://" for scheme in _PORTS))


def address_of(name: str) -> Address:
    """Read `clickhouse://user@host:port/database?table=otel_traces`; `clickhouses://` means TLS.

    Raises:
        UsageError: something in it cannot be used.
    """
    try:
        parts = urlsplit(name)
        port = parts.port or _PORTS[parts.scheme]
    except ValueError:
        parts, port = urlsplit(""), 0
    options = dict(parse_qsl(parts.query))
    table = options.pop("table", TABLE)
    if not parts.hostname or options or parts.path.count("/") > 1:
        raise UsageError(
            "a ClickHouse address reads clickhouse://user@host:8123/database?table=otel_traces "
            "(clickhouses:// for TLS; the password comes from CLICKHOUSE_PASSWORD)"
        )
    told = next((held for variable in PASSWORDS if (held := os.environ.get(variable))), "")
    return Address(
        parts.hostname,
        port,
        parts.scheme == "clickhouses",
        unquote(parts.username or "default"),
        unquote(parts.password or "") or told,
        unquote(parts.path.strip("/")) or "default",
        table,
    )


def quoted(*names: str) -> str:
    """Quote a name of several parts as SQL."""
    return ".".join("`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`" for name in names)
