"""What to call the quota that a request draws on.

`provider:model`, with `@region` or `#cred4` only where several are seen: the first one that a process
sees keeps the short name, so that names never change under a running limiter. The user's own names win.
"""

import hashlib
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final

from penstock.providers import REGISTRY

_REGION: Final = re.compile(r"(?:^|[.-])((?:us|eu|ap|ca|sa|me|af|il|mx)(?:-gov)?-[a-z]+-?\d{1,2})(?:[.-]|$)")
_SEEN_LIMIT: Final = 4096


class PoolNamer:
    """Names pools. `names` maps shell patterns of `provider:model` to the user's own names."""

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        self.names = dict(names or {})
        self._first: dict[str, tuple[str, str]] = {}
        self._named: dict[tuple[str, str, str, str], str] = {}
        self._asked: dict[tuple[str, str, str, int | None, int], str] = {}

    def name(self, provider: str, model: str, place: str = "", credential: str = "") -> str:
        """Name the pool of a model at a place (region or host) under a credential's fingerprint."""
        key = (provider, model, place, credential)
        name = self._named.get(key)
        if name is None:
            if len(self._named) >= _SEEN_LIMIT:
                self._named.clear()
            name = self._named[key] = self._choose(f"{provider}:{model}", place, credential)
        return name

    def name_of(self, provider: str, model: str, host: str, port: int | None, credential: str) -> str:
        """Name the pool of a request; what was asked before is one look-up."""
        key = (provider, model, host, port, hash(credential))
        name = self._asked.get(key)
        if name is None:
            if len(self._asked) >= _SEEN_LIMIT:
                self._asked.clear()
            name = self.name(provider, model, place_of(host, port), fingerprint(credential))
            self._asked[key] = name
        return name

    def _choose(self, short: str, place: str, credential: str) -> str:
        for pattern, name in self.names.items():
            if fnmatchcase(short, pattern):
                return name
        if len(self._first) >= _SEEN_LIMIT and short not in self._first:
            return short
        first_place, first_credential = self._first.setdefault(short, (place, credential))
        at = f"@{place}" if place and place != first_place else ""
        by = f"#{credential}" if credential and credential != first_credential else ""
        return f"{short}{at}{by}"


def fingerprint(credential: str) -> str:
    """Reduce a credential to four hex digits: enough to tell a few apart, too little to find it."""
    if not credential:
        return ""
    return hashlib.blake2b(credential.encode(), digest_size=2, person=b"penstock").hexdigest()


def place_of(host: str, port: int | None) -> str:
    """Tell where a request goes: a cloud region; host and port of an unknown host; nothing for the rest."""
    region = _REGION.search(host)
    if region:
        return region[1]
    if host.endswith(".openai.azure.com"):
        return host.partition(".")[0]  # a resource is a quota of its own
    if REGISTRY.knows(host):
        return ""
    return f"{host}:{port}" if port else host
