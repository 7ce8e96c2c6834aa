"""Fleets of real processes on one quota, over a real Redis that breaks."""
