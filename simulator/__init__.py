"""A provider that says no: a quota model, over real HTTP or in virtual time."""

from penstock.simulator._site import Config
from penstock.simulator._spelling import refusal_body, response_headers
from penstock.simulator.facts import Accepted, Dimension, Fault, Refusal, Refused, Request, Window
from penstock.simulator.profiles import PROFILES, profile
from penstock.simulator.quota import Quota
from penstock.simulator.scenario import (
    Distribution,
    Event,
    Pool,
    Scenario,
    Workload,
    load_scenario,
    read_event,
    read_scenario,
)
from penstock.simulator.server import Simulator, serve
from penstock.simulator.truth import Entry, Live, Truth

__all__ = [
    "PROFILES",
    "Accepted",
    "Config",
    "Dimension",
    "Distribution",
    "Entry",
    "Event",
    "Fault",
    "Live",
    "Pool",
    "Quota",
    "Refusal",
    "Refused",
    "Request",
    "Scenario",
    "Simulator",
    "Truth",
    "Window",
    "Workload",
    "load_scenario",
    "profile",
    "read_event",
    "read_scenario",
    "refusal_body",
    "response_headers",
    "serve",
]
