"""Hooks on the HTTP stacks: where attempts are seen, and where the limiter acts."""

from penstock.telemetry.hooks.engine import Engine
from penstock.telemetry.hooks.patching import install, installed, uninstall

__all__ = ["Engine", "install", "installed", "uninstall"]
