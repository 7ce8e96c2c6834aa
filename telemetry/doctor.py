"""What would be seen in this environment and what not: a silent skip is the field's commonest failure."""

import importlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from penstock.telemetry.export import wanted_exporters
from penstock.telemetry.hooks import Engine, install, installed, uninstall
from penstock.telemetry.hooks.stacks import STACKS
from penstock.telemetry.retries import RetryMap, retry_map

# Distribution -> the HTTP stacks that its calls may leave by.
_SDKS: Final[Mapping[str, tuple[str, ...]]] = {
    "openai": ("httpx2", "httpx"),
    "anthropic": ("httpx2", "httpx"),
    "google-genai": ("httpx2", "httpx", "aiohttp"),
    "mistralai": ("httpx2", "httpx"),
    "cohere": ("httpx2", "httpx"),
    "groq": ("httpx2", "httpx"),
    "ollama": ("httpx2", "httpx"),
    "boto3": ("botocore",),
    "aiobotocore": ("aiobotocore", "aiohttp"),
    "litellm": ("httpx", "aiohttp"),
    "langchain-core": (),
    "langgraph": (),
    "llama-index-core": (),
    "pydantic-ai-slim": (),
    "openai-agents": (),
    "mcp": (),
}
_NATIVE: Final = {
    "anthropic": (
        "ANTHROPIC_OPEN_TELEMETRY",
        "traces itself once a TracerProvider is set; its span is adopted",
    ),
    "mistralai": ("", "has tracing of its own; its span is adopted"),
}
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")
_INSTRUMENTOR_GROUP: Final = "opentelemetry_instrumentor"


@dataclass(frozen=True, slots=True)
class Sdk:
    """One installed SDK or framework; `stacks` are those of its HTTP stacks that are installed."""

    name: str
    version: str
    stacks: tuple[str, ...]
    seen: bool
    native_tracing: str | None


@dataclass(frozen=True, slots=True)
class Hook:
    """One module that we hook. `state`: live, not installed, or failed with why."""

    module: str
    state: str


@dataclass(frozen=True, slots=True)
class Instrumentor:
    """One OpenTelemetry instrumentor of others. `problem`: why it would be skipped in silence."""

    name: str
    package: str
    version: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """What doctor found. `problems` are sentences: what is wrong and what to type."""

    python: str
    executable: str
    penstock: str
    sdks: tuple[Sdk, ...]
    hooks: tuple[Hook, ...]
    instrumentors: tuple[Instrumentor, ...]
    exporters: tuple[str, ...]
    retries: RetryMap
    problems: tuple[str, ...]


def examine(
    folder: Path, *, spans: Path | None, metrics_port: int | None, limit: str, disabled: bool
) -> Report:
    """Look at this interpreter, its environment variables and the code below `folder`.

    Hooks are put in and taken out again, unless somebody has put them in: what is said of them is tried.
    """
    hooks = tuple(_hooks())
    live = {hook.module.partition(".")[0] for hook in hooks if hook.state == "live"}
    sdks = tuple(_sdks(live))
    instrumentors = tuple(_instrumentors())
    retries = retry_map(folder, os.environ, limiting=limit == "enforce")
    return Report(
        python=sys.version.split()[0],
        executable=sys.executable,
        penstock=version("penstock"),
        sdks=sdks,
        hooks=hooks,
        instrumentors=instrumentors,
        exporters=tuple(_exporters(spans, metrics_port)),
        retries=retries,
        problems=tuple(_problems(sdks, hooks, instrumentors, retries, spans, disabled)),
    )


def _sdks(live: set[str]) -> Iterator[Sdk]:
    for name, possible in _SDKS.items():
        found = _version(name)
        if found is None:
            continue
        used = (_required(name) & set(possible) or set(possible)) | ({"aiohttp"} & set(possible))
        stacks = tuple(stack for stack in possible if stack in used and find_spec(stack) is not None)
        yield Sdk(name, found, stacks, bool(set(stacks) & live) or not possible, _native(name))


def _required(name: str) -> set[str]:
    """Name what a distribution depends on: openai 3 needs httpx2 and never calls the httpx beside it.

    aiohttp is an extra, and used as soon as it is there.
    """
    words = (
        _NAME.match(requirement) for requirement in requires(name) or () if "extra ==" not in requirement
    )
    return {word[0].lower() for word in words if word is not None}


def _native(name: str) -> str | None:
    if name not in _NATIVE:
        return None
    switch, says = _NATIVE[name]
    if switch and os.environ.get(switch, "").lower() in ("false", "0"):
        return None
    return says


def _hooks() -> Iterator[Hook]:
    ours = not installed()
    failures: dict[str, str] = {}
    if ours:
        install(Engine())
    try:
        for module in STACKS:
            if _absent(module):
                continue
            try:
                importlib.import_module(module)
            except Exception as error:  # noqa: BLE001 - a broken package is what is looked for
                failures[module] = f"{type(error).__name__}: {error}"
        live = set(installed())
    finally:
        if ours:
            uninstall()
    for module in STACKS:
        yield Hook(module, _state(module, module in live, _absent(module), failures))


def _absent(module: str) -> bool:
    """Whether there is nothing to hook: no package, or a release that keeps its loop in another module."""
    try:
        return find_spec(module) is None
    except ModuleNotFoundError:
        return True
    except Exception:  # noqa: BLE001 - a broken package is there, and is what is looked for
        return False


def _state(module: str, live: bool, absent: bool, failures: Mapping[str, str]) -> str:
    if live:
        return "live"
    if absent:
        return "not installed"
    return f"failed: {failures.get(module, 'it could not be patched')}"


def _instrumentors() -> Iterator[Instrumentor]:
    for point in entry_points(group=_INSTRUMENTOR_GROUP):
        package = point.dist.name if point.dist is not None else "?"
        if package == "penstock":
            continue
        yield Instrumentor(
            point.name, package, point.dist.version if point.dist else "?", _load_problem(point)
        )


def _load_problem(point: EntryPoint) -> str | None:
    """Load an instrumentor as the auto-instrumentation does, which hides an ImportError at DEBUG."""
    try:
        made = point.load()()
    except Exception as error:  # noqa: BLE001 - whatever it raises is the finding
        return f"does not load ({type(error).__name__}: {error})"
    try:
        wanted = tuple(made.instrumentation_dependencies())
    except Exception:  # noqa: BLE001 - not every instrumentor says
        return None
    missing = [text for text in wanted if not _satisfied(str(text))]
    return (
        f"instruments nothing: wants {', '.join(missing)}"
        if missing and len(missing) == len(wanted)
        else None
    )


def _satisfied(requirement: str) -> bool:
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return True
    wanted = Requirement(requirement)
    found = _version(wanted.name)
    return found is not None and wanted.specifier.contains(found, prereleases=True)


def _exporters(spans: Path | None, metrics_port: int | None) -> Iterator[str]:
    yield f"span file {spans}" if spans is not None else "no span file"
    for name, there in wanted_exporters().items():
        yield f"{name}: {'installed' if there else 'NOT INSTALLED'}"
    yield (
        f"metrics on port {metrics_port}"
        if metrics_port is not None
        else "no metrics endpoint (--metrics-port N)"
    )


def _problems(
    sdks: tuple[Sdk, ...],
    hooks: tuple[Hook, ...],
    instrumentors: tuple[Instrumentor, ...],
    retries: RetryMap,
    spans: Path | None,
    disabled: bool,
) -> Iterator[str]:
    if disabled:
        yield "PENSTOCK_DISABLE is set: nothing is seen; unset it"
    for sdk in sdks:
        if not sdk.seen:
            stack = " or ".join(sdk.stacks) or "its stack"
            yield f"{sdk.name} {sdk.version} would not be seen: no hook on {stack}"
    for hook in hooks:
        if hook.state.startswith("failed"):
            yield f"the hook on {hook.module} {hook.state}"
    for other in instrumentors:
        if other.problem is not None:
            yield f"{other.package} {other.version} {other.problem}"
    for name, there in wanted_exporters().items():
        if not there:
            yield f"span exporter {name} is asked for and not installed; pip install 'penstock[otlp]'"
    if spans is not None and not os.access(spans if spans.exists() else spans.parent, os.W_OK):
        yield f"spans cannot be written to {spans}; name another file with --spans"
    if retries.worst > 3:
        yield (f"one call can become {retries.worst} attempts ({', '.join(retries.chain)}); "
               "let one layer retry: set max_retries=0 elsewhere, or run with --limit")  # fmt: skip
    if find_spec("gevent") is not None:
        yield "gevent is installed: patch before anything else is imported; untested with Penstock"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
