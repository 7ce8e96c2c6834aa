"""A fast simulator for tests, and a loopback HTTP client without opinions."""

import dataclasses
import http.client
import json
from urllib.parse import urlsplit

import pytest

from penstock.simulator import Config, Distribution, profile, serve


@pytest.fixture
def fast():
    """Make a pool that answers in a hundredth of a second."""

    def make(name="openai", **keys):
        keys.setdefault("latency_seconds", Distribution("constant", 0.01))
        keys.setdefault("rejection_seconds", 0.0)
        return dataclasses.replace(profile(name), **keys)

    return make


@pytest.fixture
def simulator(fast):
    """Serve OpenAI and Anthropic, each with a quota of its own."""
    with serve(Config(pools=(fast("openai"), fast("anthropic")), tool_call_share=0.0)) as sim:
        yield sim


@pytest.fixture
def post():
    """Send JSON; give status, headers (lower case) and body."""

    def send(url, path, body, headers=None, method="POST"):
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
        try:
            payload = body if isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, payload, headers or {})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return response.status, names, response.read()
        finally:
            connection.close()

    return send
