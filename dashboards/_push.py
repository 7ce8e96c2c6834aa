"""Bring the dashboards into a Grafana by its HTTP API: look first, show the difference, then save.

https://grafana.com/docs/grafana/latest/developers/http_api/dashboard/
"""

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from penstock.dashboards._http import JsonServer
from penstock.dashboards._shipped import Shipped
from penstock.errors import UsageError

# Grafana sets these on every save.
_SERVER_KEYS: Final = ("id", "version")


class Change(StrEnum):
    """What pushing a dashboard would do."""

    NEW = "new"
    CHANGED = "changed"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Step:
    """One dashboard's part of a push. `version` is the one that the difference was taken against."""

    board: Shipped
    change: Change
    diff: str = ""
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Folder:
    """Where dashboards go."""

    uid: str
    title: str


class Grafana:
    """The part of Grafana's HTTP API that a push needs."""

    def __init__(self, url: str, token: str) -> None:
        self._server = JsonServer("Grafana", url, token)

    def plan(self, board: Shipped, folder: Folder) -> Step:
        """Compare a dashboard with the one that is there."""
        status, answer = self._server.request("GET", f"/api/dashboards/uid/{board.uid}")
        if status == 404:
            return Step(board, Change.NEW)
        self._expect(status, answer, "read dashboards")
        there = answer["dashboard"]
        diff = "".join(_diff(board, there, answer["meta"].get("folderUid", ""), folder))
        change = Change.CHANGED if diff else Change.SAME
        return Step(board, change, diff, there.get("version"))

    def ensure_folder(self, folder: Folder) -> bool:
        """Create the folder unless it is there; return whether it was created."""
        status, answer = self._server.request("GET", f"/api/folders/{folder.uid}")
        if status == 200:
            return False
        if status != 404:
            self._expect(status, answer, "read folders")
        status, answer = self._server.request(
            "POST", "/api/folders", {"uid": folder.uid, "title": folder.title}
        )
        self._expect(status, answer, "create a folder")
        return True

    def save(self, step: Step, folder: Folder, *, message: str, overwrite: bool) -> bool:
        """Save a dashboard; return False if somebody saved it since the plan."""
        model = step.board.model | {"id": None}
        if step.version is not None:
            model["version"] = step.version
        body = {"dashboard": model, "folderUid": folder.uid, "message": message, "overwrite": overwrite}
        status, answer = self._server.request("POST", "/api/dashboards/db", body)
        if status == 412 and answer.get("status") == "version-mismatch":
            return False
        self._expect(status, answer, f"save {step.board.uid}")
        return True

    def _expect(self, status: int, answer: Any, what: str) -> None:
        if status == 200:
            return
        said = answer.get("message", "") if isinstance(answer, dict) else str(answer)
        if self._server.token:
            said = said.replace(self._server.token, "…")
        hint = {
            401: "; the token is not valid here",
            403: "; give the service account the Editor role",
        }.get(status, "; is this Grafana's own URL?" if 300 <= status < 400 or status == 404 else "")
        raise UsageError(f"Grafana at {self._server.url} would not {what}: {status} {said}".rstrip() + hint)


def _diff(board: Shipped, there: dict[str, Any], folder_uid: str, folder: Folder) -> Iterator[str]:
    if folder_uid != folder.uid:
        yield f"folder: {folder_uid or '(none)'} -> {folder.uid}\n"
    old, new = _lines(there), _lines(board.model)
    yield from difflib.unified_diff(old, new, f"{board.uid} in Grafana", f"{board.uid} to push", n=2)


def _lines(model: dict[str, Any]) -> list[str]:
    kept = {key: value for key, value in model.items() if key not in _SERVER_KEYS}
    return json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False).splitlines(keepends=True)
