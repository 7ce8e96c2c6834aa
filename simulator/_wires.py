"""Which wire a path asks for: the family by the path, the dialect by the pool that answers."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from penstock.simulator._anthropic import AnthropicMessages
from penstock.simulator._bedrock import BedrockConverse, BedrockInvoke
from penstock.simulator._cohere import CohereChat, CohereEmbeddings
from penstock.simulator._dialects import DIALECTS, Dialect
from penstock.simulator._gemini import GeminiContent, GeminiEmbeddings
from penstock.simulator._ollama import OllamaChat, OllamaEmbeddings, OllamaGenerate
from penstock.simulator._openai import OpenAIChat, OpenAIEmbeddings
from penstock.simulator._responses import OpenAIResponses
from penstock.simulator._wire import Target, Wire
from penstock.simulator.scenario import Pool

_OPENAI: Final[dict[str, Callable[[Dialect], Wire]]] = {
    "chat/completions": OpenAIChat,
    "responses": OpenAIResponses,
    "embeddings": OpenAIEmbeddings,
}
_OWN: Final[dict[str, dict[str, Callable[[], Wire]]]] = {
    "anthropic": {"messages": AnthropicMessages},
    "gemini": {
        "generateContent": GeminiContent,
        "streamGenerateContent": GeminiContent,
        "embedContent": GeminiEmbeddings,
        "batchEmbedContents": GeminiEmbeddings,
    },
    "bedrock": {
        "converse": BedrockConverse,
        "converse-stream": BedrockConverse,
        "invoke": BedrockInvoke,
        "invoke-with-response-stream": BedrockInvoke,
    },
    "cohere": {"v2/chat": CohereChat, "v2/embed": CohereEmbeddings},
    "ollama": {"api/chat": OllamaChat, "api/generate": OllamaGenerate, "api/embed": OllamaEmbeddings},
}
_PATHS: Final = (
    # Google's and Amazon's paths name the model, the others' end in a name of their own.
    ("gemini", re.compile(r"/models/(?P<model>[^/:]+):(?P<endpoint>\w+)\Z")),
    ("bedrock", re.compile(r"/model/(?P<model>.+)/(?P<endpoint>[a-z-]+)\Z")),
    ("anthropic", re.compile(r"/(?P<endpoint>messages)\Z")),
    ("cohere", re.compile(r"/(?P<endpoint>v2/(chat|embed))\Z")),
    ("ollama", re.compile(r"/(?P<endpoint>api/(chat|generate|embed))\Z")),
    ("openai", re.compile(r"/(?P<endpoint>chat/completions|responses|embeddings)\Z")),
)
ENDPOINTS: Final = (*_OPENAI, *(endpoint for endpoints in _OWN.values() for endpoint in endpoints))


@dataclass(frozen=True, slots=True)
class Route:
    """A path that is somebody's: `family` is the wire without its dialect."""

    family: str
    target: Target


def find_route(path: str, query: str = "") -> Route | None:
    """Say what a path asks for; None when it is nobody's."""
    for family, pattern in _PATHS:
        found = pattern.search(path)
        if found and found["endpoint"] in ENDPOINTS:
            model = found.groupdict().get("model") or ""
            return Route(family, Target(found["endpoint"], model, query))
    return None


def family_of(pool: Pool) -> str:
    """Say which wire a pool speaks, dialects apart."""
    return "openai" if pool.speaks in DIALECTS else pool.speaks


def wire_of(route: Route, pool: Pool) -> Wire:
    """Give the wire of a request; a pool of another family answers OpenAI's paths in OpenAI's own words."""
    endpoint = route.target.endpoint
    if route.family == "openai":
        return _OPENAI[endpoint](DIALECTS.get(pool.speaks, DIALECTS["openai"]))
    return _OWN[route.family][endpoint]()


def native_wire(pool: Pool) -> Wire:
    """Give the chat wire of a pool, for whoever has a pool and no path."""
    family = family_of(pool)
    endpoint = next(iter(_OPENAI if family == "openai" else _OWN[family]))
    return wire_of(Route(family, Target(endpoint)), pool)
