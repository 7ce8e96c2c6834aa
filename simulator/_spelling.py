"""How a pool's provider words what its quota says: one place for the HTTP server and for virtual time."""

import dataclasses

from penstock.simulator import _anthropic, _openai
from penstock.simulator._answers import Wire
from penstock.simulator._headers import Windows, quota_headers, retry_headers
from penstock.simulator.quota import Refused
from penstock.simulator.scenario import Pool


def native_wire(config: Pool) -> Wire:
    """Give the chat wire format that goes with a pool's headers."""
    if config.headers == "anthropic":
        return _anthropic.AnthropicMessages()
    return _openai.AzureChat() if config.headers == "azure" else _openai.OpenAIChat()


def response_headers(
    config: Pool, windows: Windows, wall: float, refused: Refused | None = None
) -> dict[str, str]:
    """Spell the quota headers, and Retry-After on a refusal. `wall` is Unix time."""
    headers = quota_headers(config, windows, wall)
    return headers | retry_headers(config, refused, wall) if refused else headers


def refusal_body(
    config: Pool,
    refused: Refused,
    *,
    wire: Wire | None = None,
    model: str = "simulated",
    request_id: str = "req_simulated",
) -> tuple[int, bytes]:
    """Spell a refusal's status and body.

    OpenAI's text names the wait, unless the pool tells it nowhere; Anthropic's only where only the
    body does.
    """
    wire = wire or native_wire(config)
    only_body, nowhere = config.retry_after == "body", config.retry_after == "none"
    told = only_body if isinstance(wire, _anthropic.AnthropicMessages) else not nowhere
    worded = refused if told else dataclasses.replace(refused, retry_after=None)
    return wire.refusal(worded, model, request_id)
