"""How spans are given attributes, and asked for them.

The SDK looks at every value, copies it and takes a lock for each, which costs more than all else that an
attempt does. Ours are of plain types and final, so where no limit could touch them they are put in at once.
Asking costs as much: its mapping raises and catches an exception for each name that is absent.
"""

from collections.abc import Mapping
from typing import Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.trace import Span
from opentelemetry.util.types import AttributeValue

_OPEN: Final = isinstance(getattr(BoundedAttributes(), "_dict", None), dict)
"""False for an SDK that keeps attributes in another way."""


def read(span: Span) -> Mapping[str, object]:
    """Look at a span's attributes; empty for a span that keeps none."""
    held = getattr(span, "_attributes", None)
    if _OPEN and type(held) is BoundedAttributes:
        return held._dict
    found = getattr(span, "attributes", None)
    return found if isinstance(found, Mapping) else {}


def put(span: Span, attributes: Mapping[str, AttributeValue]) -> None:
    """Set attributes of a span that is recording; values are strings, numbers, booleans or tuples of them."""
    held = getattr(span, "_attributes", None)
    if _OPEN and type(held) is BoundedAttributes and held.max_value_len is None:
        values = held._dict
        if held.maxlen is None or len(values) + len(attributes) <= held.maxlen:
            with held._lock:
                values.update(attributes)
            return
    span.set_attributes(attributes)
