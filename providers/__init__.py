"""What each provider's wire looks like: hosts, headers, bodies, streams. Data and codecs, no policy."""

from penstock.providers.facts import (
    BodyReader,
    Endpoint,
    Outcome,
    Provider,
    Quota,
    RequestFacts,
    Usage,
    Window,
)

__all__ = ["BodyReader", "Endpoint", "Outcome", "Provider", "Quota", "RequestFacts", "Usage", "Window"]
