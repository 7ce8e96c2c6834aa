"""`--fail-if`: turn an answer into a pass or a fail, for CI."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from penstock.errors import UsageError

_OPERATORS: Final[dict[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_FORM: Final = re.compile(r"\s*([\w.\-]+)\s*(>=|<=|==|!=|>|<)\s*(-?\d+(?:\.\d+)?)\s*(%?)\s*")
_SHORT: Final = {
    **{
        f"{rank}_live": (f"live.total.{rank}", f"total.{rank}")
        for rank in ("mean", "p50", "p95", "p99", "max")
    },
    "failed_attempts": ("attempts.failed",),
    "failed_operations": ("operations.failed",),
    "failed_tools": ("tools.failed",),
    "rate_limited": ("attempts.by_class.rate_limit",),
}


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition that must not hold, such as `p99_live>180`, `attempts.failed>5%` or `storms>0`.

    A list counts as its length.
    """

    text: str
    name: str
    compare: Callable[[float, float], bool]
    bound: float
    percent: bool

    @classmethod
    def parse(cls, text: str) -> "Gate":
        """Read a condition.

        Raises:
            UsageError: it is not `name op number`.
        """
        found = _FORM.fullmatch(text)
        if not found:
            raise UsageError(
                f"--fail-if {text!r}: write it as name>number, such as 'p99_live>180' or 'attempts.failed>5%'"
            )
        return cls(text.strip(), found[1], _OPERATORS[found[2]], float(found[3]), found[4] == "%")

    def broken(self, data: Mapping[str, Any]) -> str | None:
        """Say what is wrong when the condition holds.

        Raises:
            UsageError: the answer has no such number.
        """
        value = self._value(data)
        if self.percent:
            total = _find(data, f"{self.name.rsplit('.', 1)[0]}.total") or 0.0
            value = 100 * value / total if total else 0.0
        if self.compare(value, self.bound):
            return f"{self.text}: it is {value:g}{'%' if self.percent else ''}"
        return None

    def _value(self, data: Mapping[str, Any]) -> float:
        for path in _SHORT.get(self.name, (self.name,)):
            if (value := _find(data, path)) is not None:
                return value
            head, _, _ = path.rpartition(".by_class.")
            if head and _find(data, f"{head}.total") is not None:
                return 0.0  # a class that did not occur
        raise UsageError(
            f"--fail-if {self.text!r}: this answer has no number {self.name!r}; see its --format json"
        )


def _find(data: Mapping[str, Any], path: str) -> float | None:
    value: Any = data
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    if isinstance(value, list):
        return float(len(value))
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
