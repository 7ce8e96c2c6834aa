"""What each provider's wire looks like: hosts, headers, bodies, streams. Data and codecs, no policy."""

from penstock.providers.anthropic import Anthropic
from penstock.providers.facts import (
    BodyReader,
    Endpoint,
    Outcome,
    PromptHead,
    Provider,
    Quota,
    RequestFacts,
    Usage,
    Window,
)
from penstock.providers.openai import BACKPRESSURE, OpenAICompatible
from penstock.providers.registry import REGISTRY, Registry, lookup
from penstock.providers.routing import Rewritten, rewrite

__all__ = [
    "BACKPRESSURE",
    "REGISTRY",
    "Anthropic",
    "BodyReader",
    "Endpoint",
    "OpenAICompatible",
    "Outcome",
    "PromptHead",
    "Provider",
    "Quota",
    "Registry",
    "RequestFacts",
    "Rewritten",
    "Usage",
    "Window",
    "lookup",
    "rewrite",
]
