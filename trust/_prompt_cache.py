"""What moving a conversation to another pool would cost in provider prompt cache."""

import threading
import time
from collections.abc import Callable
from typing import Final

from cachetools import TTLCache

from penstock.providers import Usage

# OpenAI keeps a prefix 5 to 10 minutes after its last use (platform.openai.com/docs/guides/prompt-caching),
# Anthropic 5 minutes by default (docs.claude.com/en/docs/build-with-claude/prompt-caching).
WARM_SECONDS: Final = 300.0
MAX_CONVERSATIONS: Final = 10_000


class PromptCache:
    """Follows what each pool's provider holds of each conversation, as measured by its answers' usage.

    Thread-safe and bounded. `clock` is monotonic seconds.
    """

    def __init__(
        self, *, warm_seconds: float = WARM_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lock = threading.Lock()
        self._warm: TTLCache[tuple[str, str], int] = TTLCache(MAX_CONVERSATIONS, warm_seconds, timer=clock)

    def after_fork(self) -> None:
        """Make the lock anew: a thread that is not in the child may have held it."""
        self._lock = threading.Lock()

    def observe(self, pool: str, conversation: str | None, usage: Usage | None) -> None:
        """Learn from an answer: what was read or written now is warm for the next call."""
        if conversation is None or usage is None:
            return
        if usage.cache_read is None and usage.cache_write is None:
            return
        with self._lock:
            self._warm[pool, conversation] = (usage.cache_read or 0) + (usage.cache_write or 0)

    def warm_tokens(self, pool: str, conversation: str | None) -> int:
        """Tokens of the conversation's prompt that the pool's provider holds, now."""
        if conversation is None:
            return 0
        with self._lock:
            return self._warm.get((pool, conversation), 0)

    def penalty_seconds(
        self, from_pool: str, to_pool: str, conversation: str | None, tokens_per_second: float
    ) -> float:
        """Price a move in seconds of the new pool's quota: the tokens it would have to read anew.

        `tokens_per_second` is what the new pool admits (its input tokens per minute ÷ 60). Never
        negative: moving back to where the prompt is warm costs nothing.
        """
        if not tokens_per_second > 0:
            return 0.0
        lost = self.warm_tokens(from_pool, conversation) - self.warm_tokens(to_pool, conversation)
        return max(0, lost) / tokens_per_second
