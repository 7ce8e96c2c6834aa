"""The demo: the same agents, three habits of calling a model, in real time and side by side."""

from penstock.simulator.demo.arm import Arm
from penstock.simulator.demo.race import ARMS, Options, Result, race

__all__ = ["ARMS", "Arm", "Options", "Result", "race"]
