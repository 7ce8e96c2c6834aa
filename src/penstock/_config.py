"""Configuration: code or flag > `PENSTOCK_*` > `penstock.toml` or `[tool.penstock]` > default.

`OPTIONS` is the one table of what can be set; `docs/configuration.md` shows it and a test compares them.
The limiter's and the trust room's own tables are read by those rooms.
"""

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from penstock._memory import default_folder
from penstock.errors import UsageError

PREFIX: Final = "PENSTOCK_"
DEFAULT_SPANS: Final = "penstock-spans.jsonl"
MODES: Final = ("off", "observe", "enforce")
_FALSE: Final = frozenset({"", "0", "false", "no", "off"})
_TRUE: Final = frozenset({"1", "true", "yes", "on"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `instrument()` starts with. `spans` is None when no file is written.

    `state` is the folder where what the limiter learnt is kept, if it is; `store` the URL of the Redis
    through which a fleet shares its quota.
    `pools` is the limiter's table (defaults for every pool beside `pools`), `trust` the trust room's;
    `names` maps patterns of `provider:model` to the user's own pool names.
    """

    limit: str = "off"
    spans: Path | None = None
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"
    names: Mapping[str, str] = field(default_factory=dict)
    limiter: Mapping[str, object] = field(default_factory=dict)
    trust: Mapping[str, object] = field(default_factory=dict, repr=False)  # its stores' URLs hold passwords
    state: Path | None = None
    store: str | None = field(default=None, repr=False)
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Option:
    """One row of the table. `read` turns text or a TOML value into what is used, or raises ValueError."""

    name: str
    default: str
    meaning: str
    read: Callable[[object], object]
    flag: str = ""
    also: str = ""
    """The standard variable that is honoured where ours is not set."""

    @property
    def variable(self) -> str:
        """The environment variable."""
        return PREFIX + self.name.upper()


def _mode(value: object) -> str:
    if value not in MODES:
        raise ValueError(f"one of {', '.join(MODES)}")
    return str(value)


def _port(value: object) -> int:
    try:
        port = int(value) if isinstance(value, str) else value
    except ValueError:
        port = None
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= 65535:
        raise ValueError("a port from 0 to 65535")
    return port


def _store(value: object) -> str:
    if value == "none":
        raise ValueError("the URL of a Redis")
    return _text(value)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a text")
    return value


def _path(value: object) -> str:
    return _text(os.fspath(value) if isinstance(value, os.PathLike) else value)


def _number(value: object) -> float | int:
    """Take a number; its range is the limiter's business."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("a number")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise ValueError("a number") from None
    if number != number:
        raise ValueError("a number")
    return int(number) if number.is_integer() else number


OPTIONS: Final = (
    Option("limit", "off", "`off` senses only; `observe` also tells what the limiter would do; "
           "`enforce` queues and retries.", _mode, "--limit[=observe|enforce]"),
    Option("spans", DEFAULT_SPANS, "The local span file; `off` writes none. With an OTLP endpoint in the "
           "environment spans go there and a file is written only if named.", _path, "--spans FILE"),
    Option("metrics_port", "off", "Serve `/metrics` on this port; 0 picks a free one.", _port,
           "--metrics-port N", "OTEL_EXPORTER_PROMETHEUS_PORT"),
    Option("metrics_host", "127.0.0.1", "Address that `/metrics` listens on.", _text, "",
           "OTEL_EXPORTER_PROMETHEUS_HOST"),
    Option("state", "off", "Keep what `enforce` learnt of each pool for the next run: `on` in "
           "`$XDG_STATE_HOME/penstock` (else `~/.local/state/penstock`), or the folder named.", _path),
    Option("store", "none", "Share every pool's quota with the processes that name the same Redis: "
           "`redis://host:6379/0`, `rediss://` for TLS (docs/fleet.md).", _store),
)  # fmt: skip

# Knobs of every pool that no `[pools."…"]` table sets: pool knob -> default and meaning.
KNOBS: Final = (
    Option("requests_per_minute", "learned", "Known quota of requests.", _number),
    Option("tokens_per_minute", "learned", "Known quota of tokens.", _number),
    Option("max_concurrency", "none", "Hard cap on live calls.", _number),
    Option("headroom_ratio", "0.1", "Share of a known quota that is left unused.", _number),
    Option("wait_up_to_seconds", "30", "Wait this long for a pool before a fallback is taken.", _number),
    Option("max_wait_seconds", "60", "Queue no longer than this, then refuse.", _number),
    Option("queue_limit", "10000", "Queue no more calls than this, then refuse at once.", _number),
)
TABLES: Final = ("names", "pools", "trust")


def load(
    given: Mapping[str, object] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """Merge code or flags (`given`; None is unsaid), the environment and the file of `folder`.

    Raises:
        UsageError: an unknown key, a value that cannot be, or a file that cannot be read.
    """
    environ = os.environ if environ is None else environ
    told = {key: value for key, value in (given or {}).items() if value is not None}
    if environ.get(PREFIX + "DISABLE", "").lower() not in _FALSE:
        return Settings(disabled=True)
    table, source = read_file(environ, folder or Path())
    _refuse_unknown(told, "instrument()")
    _refuse_unknown(table, source)
    chosen = {option.name: _choose(option, told, environ, table, source) for option in (*OPTIONS, *KNOBS)}
    return _settle(chosen, {name: _table(name, told, table, source) for name in TABLES}, environ)


def read_file(environ: Mapping[str, str], folder: Path) -> tuple[Mapping[str, object], str]:
    """Read `PENSTOCK_CONFIG`, else `penstock.toml`, else `[tool.penstock]` of `pyproject.toml`.

    Raises:
        UsageError: it cannot be read or is no TOML.
    """
    path = find_file(environ, folder)
    if path is None:
        return {}, ""
    data = _toml(path)
    if path.name != "pyproject.toml":
        return data, str(path)
    tool = data.get("tool")
    table = tool.get("penstock") if isinstance(tool, dict) else None
    return (table if isinstance(table, dict) else {}), f"[tool.penstock] of {path}"


def find_file(environ: Mapping[str, str], folder: Path) -> Path | None:
    """Find the file that counts, if there is one."""
    named = environ.get(PREFIX + "CONFIG")
    if named:
        return Path(named)
    return next((p for p in (folder / "penstock.toml", folder / "pyproject.toml") if p.is_file()), None)


def _toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error


def _refuse_unknown(table: Mapping[str, object], source: str) -> None:
    known = {option.name for option in (*OPTIONS, *KNOBS)} | set(TABLES)
    for key in table:
        if key not in known:
            raise UsageError(f"unknown option {key!r} in {source}; known: {', '.join(sorted(known))}")


def _choose(
    option: Option,
    told: Mapping[str, object],
    environ: Mapping[str, str],
    table: Mapping[str, object],
    source: str,
) -> object:
    also = (option.also, environ.get(option.also)) if option.also else ("", None)
    places = (
        (option.name, told.get(option.name)),
        (option.variable, environ.get(option.variable) or None),
        also,
        (f"{option.name} in {source}", table.get(option.name)),
    )
    for place, value in places:
        if value is None:
            continue
        try:
            return option.read(value)
        except ValueError as error:
            if value == option.default:  # the word that our table has for it: as if nobody had said more
                return None
            raise UsageError(f"{place} must be {error}, not {value!r}") from None
    return None


def _table(
    name: str, told: Mapping[str, object], table: Mapping[str, object], source: str
) -> Mapping[str, object]:
    value = told.get(name, table.get(name, {}))
    if not isinstance(value, Mapping):
        raise UsageError(f"{name} in {source or 'instrument()'} must be a table, not {value!r}")
    return value


def _settle(
    chosen: Mapping[str, object], tables: Mapping[str, Mapping[str, object]], environ: Mapping[str, str]
) -> Settings:
    knobs = {knob.name: chosen[knob.name] for knob in KNOBS if chosen[knob.name] is not None}
    port = chosen["metrics_port"]
    return Settings(
        limit=str(chosen["limit"] or "off"),
        spans=_spans(chosen["spans"], environ),
        metrics_port=port if isinstance(port, int) else None,
        metrics_host=str(chosen["metrics_host"] or "127.0.0.1"),
        names={str(pattern): str(name) for pattern, name in tables["names"].items()},
        limiter={**knobs, "pools": tables["pools"]},
        trust=tables["trust"],
        state=_state(chosen["state"], environ),
        store=None if chosen["store"] is None else str(chosen["store"]),
    )


def _state(named: object, environ: Mapping[str, str]) -> Path | None:
    if named is None or str(named).lower() in _FALSE:
        return None
    return default_folder(environ) if str(named).lower() in _TRUE else _absolute(str(named))


def _spans(named: object, environ: Mapping[str, str]) -> Path | None:
    """Decide on the local file: off where spans leave by OTLP already, unless it was named."""
    if named == "off" or (named is None and exports_elsewhere(environ)):
        return None
    return _absolute(str(named or DEFAULT_SPANS))


def _absolute(path: str) -> Path:
    try:
        return Path(path).absolute()
    except OSError:  # a process whose working folder was removed
        raise UsageError(f"the working folder is gone; say where {path!r} is, from / on") from None


def exports_elsewhere(environ: Mapping[str, str]) -> bool:
    """Tell whether the standard variables send spans somewhere, or forbid to send them."""
    names = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER")
    return any(environ.get(name) for name in names) or environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
