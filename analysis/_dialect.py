"""Load the dialect table: attribute name -> column and rank, JSON attributes, roles."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from penstock.analysis._columns import INDEX


@dataclass(frozen=True, slots=True)
class Dialects:
    """The table in the shape the row builder walks.

    `columns`: attribute -> (row index, rank; 0 is the best spelling). `json`: attribute whose value
    is a JSON object -> its keys' row indexes. `roles`: attributes in order of authority, each with
    lower-case value -> role.
    """

    columns: dict[str, tuple[int, int]]
    json: dict[str, dict[str, int]]
    roles: tuple[tuple[str, dict[str, str]], ...]
    spellings: dict[str, tuple[str, ...]]
    json_columns: dict[str, dict[str, str]]


@cache
def dialects() -> Dialects:
    """Read `dialects.toml` once."""
    table = tomllib.loads(files("penstock.analysis").joinpath("dialects.toml").read_text())
    columns = {
        attribute: (INDEX[column], rank)
        for column, attributes in table["columns"].items()
        for rank, attribute in enumerate(attributes)
    }
    json = {
        attribute: {key: INDEX[column] for key, column in keys.items()}
        for attribute, keys in table["json"].items()
    }
    roles = tuple(
        (rule["attribute"], {value: role for value, role in rule.items() if value != "attribute"})
        for rule in table["role"]
    )
    spellings = {column: tuple(attributes) for column, attributes in table["columns"].items()}
    return Dialects(columns, json, roles, spellings, table["json"])
