"""Which URL is an LLM call, and whose.

The first look is one dict by the path's last word, so that other traffic pays next to nothing. Then
the host says whose quota it is; where the host is unknown (a proxy, vLLM, 127.0.0.1), the path does.
"""

from typing import Final

from penstock.providers import bedrock, gemini
from penstock.providers.anthropic import Anthropic
from penstock.providers.bedrock import Bedrock
from penstock.providers.cohere import Cohere
from penstock.providers.facts import Endpoint, Provider
from penstock.providers.gemini import Gemini
from penstock.providers.ollama import Ollama
from penstock.providers.openai import QUOTA, OpenAICompatible
from penstock.providers.quota import DAY, WindowHeaders

_CACHE_LIMIT: Final = 4096

_GROQ: Final = (
    # Groq's request headers count per day: console.groq.com/docs/rate-limits
    WindowHeaders(
        "requests",
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
        DAY,
    ),
    QUOTA[1],
)

# Host, or a suffix of it that begins with a dot -> whose it is.
_OPENAI_WIRE: Final[dict[str, Provider]] = {
    "api.openai.com": OpenAICompatible(),
    ".api.openai.com": OpenAICompatible(),
    ".openai.azure.com": OpenAICompatible("azure"),
    ".services.ai.azure.com": OpenAICompatible("azure"),
    ".cognitiveservices.azure.com": OpenAICompatible("azure"),
    "api.deepseek.com": OpenAICompatible("deepseek"),
    "api.groq.com": OpenAICompatible("groq", _GROQ),
    "openrouter.ai": OpenAICompatible("openrouter"),
    "api.together.xyz": OpenAICompatible("together"),
    "api.fireworks.ai": OpenAICompatible("fireworks"),
    "api.x.ai": OpenAICompatible("xai"),
    "api.perplexity.ai": OpenAICompatible("perplexity"),
    "api.cerebras.ai": OpenAICompatible("cerebras"),
    "integrate.api.nvidia.com": OpenAICompatible("nvidia_nim"),
    "router.huggingface.co": OpenAICompatible("huggingface"),
    "api.moonshot.ai": OpenAICompatible("moonshot"),
    "api.moonshot.cn": OpenAICompatible("moonshot"),
    "dashscope.aliyuncs.com": OpenAICompatible("dashscope"),
    "dashscope-intl.aliyuncs.com": OpenAICompatible("dashscope"),
    "api.githubcopilot.com": OpenAICompatible("github_copilot"),
    "models.github.ai": OpenAICompatible("github"),
    "generativelanguage.googleapis.com": OpenAICompatible("gemini"),
}
# api.mistral.ai spells its windows in two ways, old and new: docs.mistral.ai/deployment/laplateforme/tier
_MISTRAL: Final = (
    WindowHeaders(
        "requests", "x-ratelimit-limit-req-minute", "x-ratelimit-remaining-req-minute", "x-ratelimit-reset"
    ),
    WindowHeaders(
        "tokens",
        "x-ratelimit-limit-tokens-minute",
        "x-ratelimit-remaining-tokens-minute",
        "x-ratelimit-reset",
    ),
    WindowHeaders(
        "tokens",
        "x-ratelimitbysize-limit-minute",
        "x-ratelimitbysize-remaining-minute",
        "ratelimitbysize-reset",
    ),
)
_OWN_WIRE: Final[dict[str, Provider]] = {
    "api.mistral.ai": OpenAICompatible("mistral", _MISTRAL),
    "api.anthropic.com": Anthropic(),
    "generativelanguage.googleapis.com": Gemini(),
    ".googleapis.com": Gemini("vertex_ai"),
    "api.cohere.com": Cohere(),
    "api.cohere.ai": Cohere(),
    ".amazonaws.com": Bedrock(),
    "ollama.com": Ollama(),
}

# The path's last word (after `/` or `:`) -> whose wires to try, for hosts that no table knows.
_WORDS: Final[dict[str, tuple[Provider, ...]]] = {
    "completions": (OpenAICompatible(),),
    "responses": (OpenAICompatible(),),
    "embeddings": (Ollama(), OpenAICompatible()),
    "messages": (Anthropic(),),
    "chat": (Cohere(), Ollama()),
    "embed": (Cohere(), Ollama()),
    "generate": (Ollama(),),
    **{method: (Gemini(),) for method in gemini.METHODS},
    **{method: (Bedrock(),) for method in bedrock.METHODS},
}


class Registry:
    """The tables, and what users add to them."""

    def __init__(self) -> None:
        self._words: dict[str, list[Provider]] = {word: list(providers) for word, providers in _WORDS.items()}
        self._hosts: dict[str, list[Provider]] = {}
        for table in (_OPENAI_WIRE, _OWN_WIRE):
            for host, provider in table.items():
                self._hosts.setdefault(host, []).append(provider)
        self._seen: dict[tuple[str, str], tuple[Provider, Endpoint] | None] = {}

    def lookup(self, host: str, path: str) -> tuple[Provider, Endpoint] | None:
        """Say whose LLM call a URL is; None for other traffic. `host` is lower case, without port."""
        word = path[path.rfind("/") + 1 :]
        if ":" in word:
            word = word[word.rfind(":") + 1 :]
        if word not in self._words:
            return None
        key = (host, path)
        try:
            return self._seen[key]
        except KeyError:
            if len(self._seen) >= _CACHE_LIMIT:
                self._seen.clear()
            found = self._seen[key] = self._find(host, path, word)
            return found

    def knows(self, host: str) -> bool:
        """Tell whether a host is some vendor's, and not one that merely speaks its wire."""
        return bool(self._of_host(host))

    def add_host(self, host: str, provider: Provider) -> None:
        """Say whose a host is; a leading dot makes it a suffix. Newer additions win."""
        self._hosts.setdefault(host.lower(), []).insert(0, provider)
        self._seen.clear()

    def add_path(self, word: str, provider: Provider) -> None:
        """Ask `provider.endpoint` about paths whose last word (after `/` or `:`) is `word`, on any host."""
        self._words.setdefault(word, []).insert(0, provider)
        self._seen.clear()

    def _find(self, host: str, path: str, word: str) -> tuple[Provider, Endpoint] | None:
        for provider in (*self._of_host(host), *self._words[word]):
            endpoint = provider.endpoint(host, path)
            if endpoint is not None:
                return provider, endpoint
        return None

    def _of_host(self, host: str) -> list[Provider]:
        if host in self._hosts:
            return self._hosts[host]
        dot = host.find(".")
        while dot >= 0:
            suffix = host[dot:]
            if suffix in self._hosts:
                return self._hosts[suffix]
            dot = host.find(".", dot + 1)
        return []


REGISTRY: Final = Registry()
"""What the hooks of this process ask."""


def lookup(host: str, path: str) -> tuple[Provider, Endpoint] | None:
    """Say whose LLM call a URL is; None for other traffic."""
    return REGISTRY.lookup(host, path)
