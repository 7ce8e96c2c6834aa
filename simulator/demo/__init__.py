"""The demo: the same agents, three habits of calling a model, in real time and side by side."""

from penstock.simulator.demo.arm import AGENT, Arm, need_clients
from penstock.simulator.demo.race import ARMS, Options, Result, race

__all__ = ["AGENT", "ARMS", "Arm", "Options", "Result", "need_clients", "race"]
