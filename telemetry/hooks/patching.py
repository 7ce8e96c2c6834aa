"""Putting hooks in and taking them out, whatever is imported when.

Each stack is patched when its module is first imported (or at once if it is). Import hooks can not
be withdrawn, so what they install asks here who is listening: with nobody, a hook is one look-up.
"""

import os
import sys
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, Final

import wrapt

from penstock.telemetry import collecting, guard
from penstock.telemetry.hooks.engine import Engine

Wrapper = Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], Any]
"""wrapt's: (wrapped, instance, args, kwargs)."""

_active: Engine | None = None
_announced: Final[set[str]] = set()
_patched: Final[list[tuple[Any, str, Any, Any]]] = []
_done: Final[set[str]] = set()


def active() -> Engine | None:
    """Tell who is listening."""
    return _active


def install(engine: Engine) -> None:
    """Let `engine` listen: patch what is imported, and the rest when it will be."""
    global _active
    from penstock.telemetry.hooks.stacks import STACKS

    _active = engine
    collecting.watch()
    for name, patch in STACKS.items():
        if name in sys.modules:
            _apply(name, patch, sys.modules[name])
        elif name not in _announced:
            _announced.add(name)
            wrapt.register_post_import_hook(partial(_apply, name, patch), name)


def uninstall() -> None:
    """Take every patch out; where someone has patched over ours, ours stays and does nothing."""
    global _active
    _active = None
    collecting.unwatch()
    for owner, attribute, ours, original in reversed(_patched):
        if owner.__dict__.get(attribute) is ours:
            setattr(owner, attribute, original)
    _patched.clear()
    _done.clear()


def installed() -> tuple[str, ...]:
    """Name the modules that are patched now."""
    return tuple(sorted(_done))


def wrap(owner: Any, attribute: str, wrapper: Wrapper) -> None:
    """Wrap a class's own attribute, so that `uninstall` finds the way back. Missing ones are left out."""
    original = owner.__dict__.get(attribute)
    if original is None:
        return
    ours = wrapt.FunctionWrapper(original, wrapper)
    setattr(owner, attribute, ours)
    _patched.append((owner, attribute, ours, original))


def replace(owner: Any, attribute: str, make: Callable[[Any], Any]) -> None:
    """Put `make(original)` in the place of a class's own method: cheaper than a wrapper, where it counts."""
    original = owner.__dict__.get(attribute)
    if original is None:
        return
    ours = make(original)
    setattr(owner, attribute, ours)
    _patched.append((owner, attribute, ours, original))


def _apply(name: str, patch: Callable[[ModuleType], None], module: ModuleType) -> None:
    if _active is None or name in _done:
        return
    _done.add(name)
    try:
        patch(module)
    except guard.OURS as error:
        guard.failed(f"patch.{name}", error)


def _in_child() -> None:
    if _active is not None:
        _active.forget()


os.register_at_fork(after_in_child=_in_child)
