"""What a prompt began with, as hashes that tell whether it changed and nothing of what it said.

They are keyed with the caller's credential, so that processes and deploys that share one compare, and
nobody without it can test a guessed prompt against a recorded mark.
"""

import hashlib
from functools import lru_cache
from typing import Final

from penstock.providers import PromptHead

PARTS: Final = ("tools", "system", "first")
"""In the order in which providers cache them, docs.claude.com/en/docs/build-with-claude/prompt-caching."""
MARK_LENGTH: Final = 8
NO_MARK: Final = "-" * MARK_LENGTH
_KNOWN_LIMIT: Final = 4096


class PromptMarks:
    """Mark the prompts of one process. Most of an app's calls begin alike: the same head is hashed once.

    `salt` is as for `mark_prompt`. Of what was marked only Python's own 64-bit hashes are kept.
    """

    def __init__(self, salt: bytes) -> None:
        self._salt = salt
        self._known: dict[int, str] = {}

    def mark(self, head: PromptHead, credential: str) -> str:
        """Give the mark of a prompt's head."""
        key = hash((head, credential))
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _KNOWN_LIMIT:
                self._known.clear()
            known = self._known[key] = mark_prompt(head, credential, self._salt)
        return known


def mark_prompt(head: PromptHead, credential: str, salt: bytes) -> str:
    """Write `tools:1a2b3c4d system:5e6f7a8b first:--------`; every part stands at a fixed place.

    `salt` is the key where there is no credential: such marks compare within one process only.
    """
    key = _key(credential) if credential else salt
    return f"tools:{_mark(head.tools, key)} system:{_mark(head.system, key)} first:{_mark(head.first, key)}"


def place_of_part(name: str) -> int:
    """Tell at which character of a mark (from 0) a part's hash stands."""
    before = PARTS[: PARTS.index(name)]
    return sum(len(part) + MARK_LENGTH + 2 for part in before) + len(name) + 1


def _mark(data: bytes, key: bytes) -> str:
    return hashlib.blake2b(data, digest_size=MARK_LENGTH // 2, key=key).hexdigest() if data else NO_MARK


@lru_cache(maxsize=64)
def _key(credential: str) -> bytes:
    return hashlib.blake2b(credential.encode(), digest_size=32, person=b"penstock prompt").digest()
