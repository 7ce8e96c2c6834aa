"""A provider that says no: a quota model, over real HTTP or in virtual time."""

from penstock.simulator.quota import Accepted, Dimension, Fault, Quota, Refusal, Refused, Request, Window
from penstock.simulator.scenario import Pool, Scenario, load_scenario, read_scenario

__all__ = [
    "Accepted",
    "Dimension",
    "Fault",
    "Pool",
    "Quota",
    "Refusal",
    "Refused",
    "Request",
    "Scenario",
    "Window",
    "load_scenario",
    "read_scenario",
]
