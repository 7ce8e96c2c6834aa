"""docs/configuration.md names every option and variable that the code reads, and nothing else."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from penstock._config import KNOBS, OPTIONS, TABLES, load
from penstock.errors import UsageError
from penstock.limiter import parse_settings
from penstock.trust._configure import read_options

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/configuration.md").read_text()
ROOMS = (
    "src/penstock",
    "telemetry",
    "limiter",
    "trust",
    "providers",
    "analysis",
    "dashboards",
    "alerts",
    "cli",
)
SHARED = {option.name: option for option in (*OPTIONS, *KNOBS)}
VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
NOT_READ = {
    *(
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_BASE_URL",
    ),  # set for the stack's apps
    "DEFAULT_MAX_RETRIES",  # a constant of the openai SDK
}


def rows(first_column):
    """Give a table's rows by name: the cells after the first."""
    tables = re.findall(rf"^\| {re.escape(first_column)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    lines = "".join(tables).splitlines()
    cells = [re.split(r"(?<!\\) \| ", line.strip("| ")) for line in lines]
    return {name.strip("`"): rest for name, *rest in cells}


def known(read):
    """Give the options that an error lists when one of them is misspelt."""
    with pytest.raises(UsageError) as refused:
        read({"mispelt": "x"})
    return set(str(refused.value).partition("known: ")[2].split(", "))


READERS = {
    "option": load,
    'option of `[pools."NAME"]`': lambda table: parse_settings({"pools": {"p": table}}),
    "option of a fallback": lambda table: parse_settings(
        {"pools": {"p": {"fallback": [{"pool": "q"} | table]}}}
    ),
    "option of `[trust]`": read_options,
    'option of `[trust.tools."NAME"]`': lambda table: read_options({"tools": {"t": table}}),
    "option of `[trust.cache]`": lambda table: read_options({"cache": table}),
}


@pytest.mark.parametrize("table", READERS)
def test_a_table_lists_what_its_reader_knows(table):
    listed = set(rows(table))
    if table == "option":
        listed |= set(TABLES)
    if "pools" in table:
        listed |= {knob.name for knob in KNOBS}
    assert listed == known(READERS[table])


def test_every_option_is_shown_with_flag_variable_default_and_meaning():
    for option in OPTIONS:
        variables = f"`{option.variable}`" + (f", then `{option.also}`" if option.also else "")
        flag = f"`{option.flag}`".replace("|", "\\|") if option.flag else "none"  # a bar ends a cell
        assert f"| `{option.name}` | {flag} | {variables} | {option.default} | {option.meaning} |" in PAGE
    for knob in KNOBS:
        assert f"| `{knob.name}` | `{knob.variable}` | {knob.default} | {knob.meaning} |" in PAGE


def test_the_defaults_of_the_response_cache_are_those_of_the_page():
    said = {
        name: tomllib.loads(f"value = {default.strip('`')}")["value"]
        for name, (default, _) in rows("option of `[trust.cache]`").items()
    }
    assert read_options({"cache": said}).cache.default is None is read_options({"cache": {}}).cache.default
    said, unsaid = (read_options({"cache": given | {"every_call": True}}).cache for given in (said, {}))
    assert said.default == unsaid.default
    assert type(said.store) is type(unsaid.store)


def test_every_variable_that_is_read_is_listed_and_every_listed_one_is_read():
    by_option = {option.variable for option in SHARED.values()} | {o.also for o in OPTIONS if o.also}
    assert set(rows("variable")) == read_variables() - by_option


def read_variables():
    """Find the names of variables in the modules that look at the environment."""
    found = set()
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        text = path.read_text()
        if "environ" in text:
            constants = (node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
            found |= {word for word in constants if isinstance(word, str) and VARIABLE.fullmatch(word)}
            found |= {f"PENSTOCK_{name}" for name in re.findall(r'PREFIX \+ "(\w+)"', text)}
            found |= set(re.findall(r'envvar="(\w+)"', text))
    return found - NOT_READ
