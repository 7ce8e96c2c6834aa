"""`docs/attributes.md` from the span contract: `python -m penstock.telemetry.attributes_page`."""

import ast
import inspect

from penstock.telemetry import semconv

_HEAD = """# Span attributes

Generated from the span contract (`telemetry/semconv.py`); do not edit.

A task, an operation, an attempt, a tool call, a time in the queue and guarded work are one span each; a
call's attempts are children of its operation. Where an LLM span of somebody else's describes the call, it is
the operation, and gets these attributes beside its own. What an answer did not tell is absent, never 0. None
holds text of a prompt, an answer, an argument or a key."""
_TITLES = (("OpenTelemetry's", ""), ("Penstock's", "penstock."))


def catalogue() -> dict[str, str]:
    """Give every attribute with what it means: constants that are dotted names, and what follows them."""
    found: dict[str, str] = {}
    body = ast.parse(inspect.getsource(semconv)).body
    for statement, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.value, ast.Constant):
            name = str(statement.value.value)
            if "." in name:
                found[name] = _text(after)
    return found


def page() -> str:
    """Build the page."""
    told = catalogue()
    parts = [_HEAD]
    for title, prefix in _TITLES:
        parts.append(f"\n## {title}\n\n| attribute | meaning |\n|---|---|")
        ours = [name for name in told if name.startswith("penstock.") == bool(prefix)]
        parts += [f"| `{name}` | {_cell(told[name])} |" for name in ours]
    return "\n".join(parts) + "\n"


def _text(statement: ast.stmt | None) -> str:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return inspect.cleandoc(str(value.value)) if isinstance(value, ast.Constant) else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "/")


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201
