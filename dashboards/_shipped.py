"""The committed dashboards, read without the SDK that made them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

COMPOSE: Final = "compose.yaml"
_PROVISIONING: Final = (
    "provisioning/dashboards/penstock.yaml",
    "provisioning/datasources/penstock.yaml",
)


@dataclass(frozen=True, slots=True)
class Shipped:
    """One dashboard as it is imported."""

    uid: str
    title: str
    description: str
    text: str

    @property
    def model(self) -> dict[str, Any]:
        """Grafana's JSON, decoded."""
        model: dict[str, Any] = json.loads(self.text)
        return model


def shipped() -> tuple[Shipped, ...]:
    """Return the dashboards, overview first, then by name."""
    room = files("penstock.dashboards")
    found = []
    for entry in room.iterdir():
        if entry.name.endswith(".json"):
            text = entry.read_text(encoding="utf-8")
            model = json.loads(text)
            found.append(Shipped(model["uid"], model["title"], model["description"], text))
    return tuple(sorted(found, key=lambda board: ("overview" not in board.uid, board.uid)))


def board_files(boards: Iterable[Shipped]) -> dict[str, str]:
    """Return the text of each dashboard's file, by file name."""
    return {f"{board.uid}.json": board.text for board in boards}


def provisioning() -> dict[str, str]:
    """Return what lies beside the dashboards: Grafana's provisioning files, and a compose file."""
    room = files("penstock.dashboards")
    return {path: room.joinpath(path).read_text(encoding="utf-8") for path in (*_PROVISIONING, COMPOSE)}
