"""Check the committed dashboards against the packages that Grafana publishes. See README.md."""

import copy
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

PACKAGES = ("@grafana/schema@13.2.3", "@grafana/data@13.2.3", "typescript@5")
DASHBOARDS = Path(__file__).resolve().parents[2] / "dashboards"
TYPES = "@grafana/schema/dist/types/raw/dashboard/x/types.gen"

IDS = """
const browser = {languages: ["en"], language: "en", userAgent: "node"};
Object.defineProperty(globalThis, "navigator", {value: browser});
const data = require("@grafana/data");
console.log(JSON.stringify({
  units: data.getValueFormats().flatMap((group) => group.submenu.map((format) => format.value)),
  transformations: Object.values(data.DataTransformerID),
  reducers: data.fieldReducers.list().map((reducer) => reducer.id),
  matchers: Object.values(data.FieldMatcherID),
}));
"""


def main() -> int:
    boards = {path.stem: json.loads(path.read_text()) for path in sorted(DASHBOARDS.glob("*.json"))}
    with tempfile.TemporaryDirectory(prefix="grafana-types-") as name:
        folder = Path(name)
        run(folder, "npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", ".", *PACKAGES)
        wrong = type_errors(folder, boards) + unknown_ids(folder, boards)
    print("\n".join(wrong) or f"{len(boards)} dashboards: types and ids are Grafana's own")
    return 1 if wrong else 0


def type_errors(folder: Path, boards: dict) -> list[str]:
    lines = [f'import * as raw from "{TYPES}";']
    lines += [f"export const board{n}: raw.Dashboard = {literal(b)};" for n, b in enumerate(boards.values())]
    (folder / "boards.ts").write_text("\n".join(lines))
    flags = ["--noEmit", "--strict", "--skipLibCheck", "--moduleResolution", "node", "--target", "es2020"]
    said = run(folder, "npx", "tsc", *flags, "boards.ts", check=False)
    errors = Counter(line.partition("error ")[2] for line in said.splitlines() if "error TS" in line)
    return [f"{count} x {error}" for error, count in errors.items()]


def literal(board: dict) -> str:
    """Write a dashboard as TypeScript, two differences spelt as the types want them.

    A JSON text cannot have the type of an enum. And what Grafana's Prometheus data source reads of an
    annotation (`expr`, which it moves to `target` on load, and formats) the raw type does not know. Left in,
    their errors would hide others in the same literal.
    """
    board = copy.deepcopy(board)
    for annotation in board["annotations"]["list"]:
        for key in ("expr", "titleFormat", "textFormat", "tagKeys"):
            annotation.pop(key, None)
    for defaults in (p["fieldConfig"]["defaults"] for p in board["panels"] if "targets" in p):
        assert defaults["thresholds"]["mode"] == "absolute"
        defaults["thresholds"]["mode"] = "@raw.ThresholdsMode.Absolute@"
        for mapping in defaults.get("mappings", ()):
            assert mapping["type"] == "value"
            mapping["type"] = "@raw.MappingType.ValueToText@"
    return json.dumps(board).replace('"@', "").replace('@"', "")


def unknown_ids(folder: Path, boards: dict) -> list[str]:
    (folder / "ids.cjs").write_text(IDS)
    known = {kind: set(ids) for kind, ids in json.loads(run(folder, "node", "ids.cjs")).items()}
    used = {kind: set() for kind in known}
    for panel in (p for board in boards.values() for p in board["panels"] if "targets" in p):
        config = panel["fieldConfig"]
        used["units"].add(config["defaults"]["unit"])
        for override in config["overrides"]:
            used["matchers"].add(override["matcher"]["id"])
            used["units"] |= {p["value"] for p in override["properties"] if p["id"] == "unit"}
        used["transformations"] |= {t["id"] for t in panel.get("transformations", ())}
        options = panel.get("options", {})
        used["reducers"] |= set(options.get("reduceOptions", {}).get("calcs", ()))
        used["reducers"] |= set(options.get("legend", {}).get("calcs", ()))
    print("; ".join(f"{len(used[kind])} of {len(known[kind])} {kind}" for kind in known))
    return [
        f"unknown {kind}: {sorted(used[kind] - known[kind])}" for kind in known if used[kind] - known[kind]
    ]


def run(folder: Path, *command: str, check: bool = True) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    if check and done.returncode:
        sys.exit(f"{' '.join(command[:2])} failed: {done.stderr.strip()[-500:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
