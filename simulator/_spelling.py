"""How a pool's provider words what its quota says: one place for the HTTP server and for virtual time."""

import dataclasses

from penstock.simulator._headers import Windows, quota_headers, retry_headers
from penstock.simulator._wire import Wire
from penstock.simulator._wires import native_wire
from penstock.simulator.facts import Refused
from penstock.simulator.scenario import Pool


def response_headers(
    config: Pool, windows: Windows, wall: float, refused: Refused | None = None
) -> dict[str, str]:
    """Spell the quota headers, and Retry-After on a refusal. `wall` is Unix time.

    Cohere tells its quota only where it lets a call in.
    """
    if refused is None:
        return quota_headers(config, windows, wall)
    told = {} if config.headers == "cohere" else quota_headers(config, windows, wall)
    return told | retry_headers(config, refused, wall)


def refusal_body(
    config: Pool,
    refused: Refused,
    *,
    wire: Wire | None = None,
    model: str = "simulated",
    request_id: str = "req_simulated",
) -> tuple[int, bytes]:
    """Spell a refusal's status and body.

    Some name the wait in their text (OpenAI, Google) unless the pool tells it nowhere; the others only
    where only the body does.
    """
    wire = wire or native_wire(config)
    only_body, nowhere = config.retry_after == "body", config.retry_after == "none"
    told = not nowhere if wire.tells_wait else only_body
    worded = refused if told else dataclasses.replace(refused, retry_after=None)
    return wire.refusal(worded, model, request_id)
