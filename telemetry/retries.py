"""The retry map: which layers send a call again, and how many attempts they make of one when nested.

Defaults are facts of the packages, read where a package says them; the source is named beside each.
"""

import ast
import contextlib
import importlib.util
import os
import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

_FILES: Final = 500
_FILE_BYTES: Final = 512 * 1024
_SKIPPED: Final = frozenset({"node_modules", "site-packages", "__pycache__", "build", "dist"})


@dataclass(frozen=True, slots=True)
class RetryLayer:
    """One place that may send again. `attempts` of one call, the first included; None is not known.

    `kind`: transport, sdk, framework, code or penstock. Layers of different kinds nest, and multiply.
    A framework that no code here imports is installed and not `used`: it multiplies nothing. SDKs count
    as soon as they are installed, since frameworks import them.
    """

    name: str
    kind: str
    attempts: int | None
    where: str
    used: bool = True


@dataclass(frozen=True, slots=True)
class RetryMap:
    """Every layer found, and the worst product of attempts with the layers that make it."""

    layers: tuple[RetryLayer, ...]
    worst: int
    chain: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    package: str
    kind: str
    attempts: int
    where: str
    constant: tuple[str, str] | None = None
    """Module and name of a number of *re*tries that the package itself states."""
    imports: str = ""
    """What code imports of a framework."""


_KNOWN: Final = (
    _Known("openai", "sdk", 3, "max_retries=2", ("openai._constants", "DEFAULT_MAX_RETRIES")),
    _Known("anthropic", "sdk", 3, "max_retries=2", ("anthropic._constants", "DEFAULT_MAX_RETRIES")),
    _Known("groq", "sdk", 3, "max_retries=2", ("groq._constants", "DEFAULT_MAX_RETRIES")),
    _Known("google-genai", "sdk", 2, "once more where aiohttp lost the connection; else HttpRetryOptions"),
    _Known("mistralai", "sdk", 1, "none unless retry_config is given"),
    _Known("cohere", "sdk", 3, "max_retries=2 of request_options"),
    _Known(
        "botocore", "sdk", 5, "legacy mode: max_attempts=5; AWS_RETRY_MODE and AWS_MAX_ATTEMPTS change it"
    ),
    _Known("litellm", "framework", 1, "num_retries=0; Router: num_retries=3 by default", imports="litellm"),
    _Known(
        "llama-index-llms-openai",
        "framework",
        4,
        "max_retries=3, by tenacity over the SDK's own",
        imports="llama_index",
    ),
    _Known("ollama", "sdk", 1, "none"),
    _Known("langchain-core", "framework", 1, "none, but with_retry() makes 3", imports="langchain"),
    _Known("langgraph", "framework", 1, "none, but a node's RetryPolicy() makes 3", imports="langgraph"),
    _Known("openai-agents", "framework", 1, "none unless ModelRetrySettings are given", imports="agents"),
    _Known(
        "pydantic-ai-slim",
        "framework",
        2,
        "retries=1, on output that does not validate",
        imports="pydantic_ai",
    ),
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """How a line of code asks for attempts; `first` is 1 where the number is of *re*tries."""

    name: str
    kind: str
    first: int
    pattern: re.Pattern[str]


def _asked(name: str, kind: str, first: int, pattern: str) -> _Asked:
    return _Asked(name, kind, first, re.compile(pattern))


_ASKED: Final = (
    # The first that fits a line counts: several share words.
    _asked("with_retry in your code", "framework", 0, r"with_retry\(.*stop_after_attempt\s*=\s*(\d{1,3})\b"),
    _asked("RetryPolicy in your code", "framework", 0, r"RetryPolicy\(.*max_attempts\s*=\s*(\d{1,3})\b"),
    _asked(
        "ModelRetrySettings in your code", "framework", 1,
        r"ModelRetrySettings\(.*max_retries\s*=\s*(\d{1,3})\b",
    ),
    _asked("HttpRetryOptions in your code", "sdk", 0, r"HttpRetryOptions\(.*attempts\s*=\s*(\d{1,3})\b"),
    _asked("botocore Config in your code", "sdk", 0, r"[\"']total_max_attempts[\"']\s*:\s*(\d{1,3})\b"),
    _asked("botocore Config in your code", "sdk", 1, r"[\"']max_attempts[\"']\s*:\s*(\d{1,3})\b"),
    _asked("HTTPTransport in your code", "transport", 1, r"HTTPTransport\(.*retries\s*=\s*(\d{1,3})\b"),
    _asked("urllib3 Retry in your code", "transport", 1, r"\bRetry\((?:.*\btotal\s*=\s*)?(\d{1,3})\b"),
    _asked(
        "retry in your code", "code", 0,
        r"(?:stop_after_attempt\(|max_tries\s*=|\battempts\s*=)\s*(\d{1,3})\b",
    ),
    _asked("max_retries in your code", "sdk", 1, r"\b(?:max_retries|num_retries)\s*=\s*(\d{1,3})\b"),
)  # fmt: skip
_IMPORT: Final = re.compile(r"^\s*(?:import|from)\s+(\w+)", re.MULTILINE)
_RETRYING: Final = frozenset(
    {
        "anthropic", "backoff", "boto3", "botocore", "cohere", "google", "groq", "httpx", "httpx2",
        "langchain_core", "langchain_openai", "langgraph", "litellm", "llama_index", "mistralai", "agents",
        "openai", "requests", "stamina", "tenacity", "urllib3",
    }
)  # fmt: skip
"""Packages whose users may ask for attempts."""


def retry_map(folder: Path, environ: Mapping[str, str], *, limiting: bool) -> RetryMap:
    """Find every layer that retries: installed packages, and the code below `folder`."""
    imported: set[str] = set()
    code = tuple(_code(folder, imported))
    layers = [*_packages(environ, imported), *code]
    if limiting:
        layers.append(
            RetryLayer("penstock", "penstock", None, "one owner: absorbs 429s; time, not attempts, bounds it")
        )
    worst, chain = _worst(layers)
    return RetryMap(tuple(layers), worst, chain)


def _packages(environ: Mapping[str, str], imported: Set[str]) -> Iterator[RetryLayer]:
    for known in _KNOWN:
        try:
            found = version(known.package)
        except PackageNotFoundError:
            continue
        attempts, where = _stated(known, environ)
        used = known.kind != "framework" or any(name.startswith(known.imports) for name in imported)
        yield RetryLayer(f"{known.package} {found}", known.kind, attempts, where, used)


def _stated(known: _Known, environ: Mapping[str, str]) -> tuple[int, str]:
    if known.package == "botocore":
        told = environ.get("AWS_MAX_ATTEMPTS", "")
        mode = environ.get("AWS_RETRY_MODE", "legacy")
        default = 5 if mode == "legacy" else 3
        return (
            int(told) if told.isdigit() else default
        ), f"retry mode {mode}, AWS_MAX_ATTEMPTS {told or 'unset'}"
    if known.constant is not None:
        retries = _constant(*known.constant)
        if retries is not None:
            return retries + 1, f"{known.constant[1]} = {retries}"
    return known.attempts, known.where


def _constant(module: str, name: str) -> int | None:
    """Read a number out of a module's source: importing an SDK takes a second."""
    package, _, leaf = module.rpartition(".")
    with contextlib.suppress(ImportError, OSError, SyntaxError, ValueError):
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or ()) if spec is not None else ():
            for node in ast.parse(Path(place, f"{leaf}.py").read_text(encoding="utf-8")).body:
                targets = node.targets if isinstance(node, ast.Assign) else []
                if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                    value = ast.literal_eval(node.value)  # type: ignore[attr-defined]
                    return int(value)
    return None


def _code(folder: Path, imported: set[str]) -> Iterator[RetryLayer]:
    """Find what code asks for; `imported` gathers the packages that it imports."""
    for path in _sources(folder):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        imports = set(_IMPORT.findall(text))
        imported |= imports
        if not imports & _RETRYING:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            where = f"{path.relative_to(folder)}:{number}"
            for asked in _ASKED:
                if match := asked.pattern.search(line):
                    yield RetryLayer(asked.name, asked.kind, int(match[1]) + asked.first, where)
                    break


def _sources(folder: Path) -> Iterator[Path]:
    """Walk the Python files of a project, not of its environments; at most 500, no links."""
    left = _FILES
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith((".", "venv")) and f not in _SKIPPED)
        for name in sorted(files):
            path = Path(place, name)
            if name.endswith(".py") and not path.is_symlink() and path.stat().st_size <= _FILE_BYTES:
                yield path
                left -= 1
                if not left:
                    return


def _worst(layers: list[RetryLayer]) -> tuple[int, tuple[str, ...]]:
    """Multiply the most eager used layer of each kind: each runs the whole of the next one again."""
    product, chain = 1, []
    for kind in ("code", "framework", "sdk", "transport"):
        of_kind = [
            layer for layer in layers if layer.used and layer.kind == kind and (layer.attempts or 0) > 1
        ]
        if of_kind:
            worst = max(of_kind, key=lambda layer: layer.attempts or 0)
            product *= worst.attempts or 1
            chain.append(f"{worst.name} ×{worst.attempts}")
    return product, tuple(chain)
