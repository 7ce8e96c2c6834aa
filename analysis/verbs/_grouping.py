"""The columns that answers may be grouped by, and how each is computed."""

from collections.abc import Sequence
from functools import reduce
from typing import Final

from penstock.errors import UsageError

_COLUMNS: Final = {
    "provider": "coalesce(provider, 'unknown')",
    "model": "coalesce(model, 'unknown')",
    "pool": "coalesce(pool, 'unknown')",
    "class": "coalesce(error_class, 'unknown')",
    "reason": "coalesce(error_reason, error_class, 'unknown')",
    "tool": "coalesce(tool, name, 'unknown')",
    "operation": "coalesce(operation, 'unknown')",
    "service": "coalesce(service, 'unknown')",
    "instance": "coalesce(instance, 'unknown')",
    "server": "coalesce(server, 'unknown')",
    "tenant": "coalesce(tenant, 'unknown')",
    "task": "coalesce(task_name, 'unknown')",
    "agent": "coalesce(agent, 'unknown')",
    "status": "coalesce(CAST(http_status AS VARCHAR), 'none')",
    "dimension": "coalesce(limit_dimension, 'none')",
    "minute": "intDiv(start_ns, 60000000000) * 60",
    "hour": "intDiv(start_ns, 3600000000000) * 3600",
}


def hashed(by: Sequence[str]) -> str:
    """Give one number for a group: sorting by it is quicker than by its names."""
    return reduce(lambda told, name: f"cityHash64({told}, {_COLUMNS[name]})", by, "0") if by else "0"


def grouped(by: Sequence[str]) -> tuple[str, list[str]]:
    """Turn names into a SELECT list and the quoted names it yields.

    Raises:
        UsageError: a name is not one to group by.
    """
    for name in by:
        if name not in _COLUMNS:
            raise UsageError(f"cannot group by {name!r}; choose from {', '.join(_COLUMNS)}")
    return ", ".join(f'{_COLUMNS[name]} AS "{name}"' for name in by), [f'"{name}"' for name in by]
