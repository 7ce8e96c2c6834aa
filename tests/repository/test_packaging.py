"""The rooms at the top of the repository are the package: nothing missing, nothing leaked."""

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = [
    "alerts", "analysis", "classifiers", "cli", "dashboards",
    "limiter", "providers", "simulator", "telemetry", "trust",
]  # fmt: skip


def files_of(room: str) -> set[str]:
    """Name the files of a room as the wheel should hold them."""
    return {
        f"penstock/{path.relative_to(ROOT)}"
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel the long way: sdist first, wheel from the sdist."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out)]
    subprocess.run([*build, "--sdist", str(ROOT)], check=True, capture_output=True)
    with tarfile.open(next(out.glob("*.tar.gz"))) as archive:
        archive.extractall(out / "source", filter="data")
    source = next((out / "source").iterdir())
    subprocess.run([*build, "--wheel", str(source)], check=True, capture_output=True)
    return next(out.glob("*.whl"))


def test_wheel_from_sdist_holds_every_file_of_every_room(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    facade = {f"penstock/{path.name}" for path in (ROOT / "src/penstock").iterdir() if path.is_file()}
    expected = facade.union(*(files_of(room) for room in ROOMS))
    assert {name for name in names if name.startswith("penstock/")} == expected
    assert "penstock/py.typed" in names


def test_penstock_is_the_only_top_level_name(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"penstock"}


@pytest.mark.parametrize("room", ROOMS)
def test_each_room_is_linked_below_the_import_name(room: str) -> None:
    link = ROOT / "src/penstock" / room
    assert link.is_symlink()
    assert str(link.readlink()) == f"../../{room}"


def test_folder_lists_of_the_build_agree() -> None:
    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    assert set(hatch["wheel"]["sources"]) == {"src/penstock", *ROOMS}
    assert set(hatch["wheel"]["only-include"]) < set(hatch["sdist"]["only-include"])
    assert {entry for entry in hatch["wheel"]["only-include"] if "/" not in entry} == set(ROOMS)


def test_import_penstock_stays_light() -> None:
    heavy = "{'duckdb', 'grafana_foundation_sdk', 'rich', 'typer', 'pyarrow', 'uvicorn', 'starlette'}"
    code = f"import sys, penstock; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_grafana_sdk_is_the_unified_line() -> None:
    from importlib.metadata import version

    assert version("grafana-foundation-sdk").lstrip("v").startswith("0.0.")


def test_the_wheel_works_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "clean")], check=True)
    run = {"cwd": tmp_path, "capture_output": True, "text": True, "check": True}
    python, penstock = (str(tmp_path / "clean" / "bin" / name) for name in ("python", "penstock"))
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)], **run
    )
    said = subprocess.run([penstock, "classify", "Error code: 429 - insufficient_quota"], **run).stdout
    assert said.startswith("quota.insufficient_quota")
    subprocess.run([penstock, "dashboards", "export", "grafana"], **run)
    assert len(list((tmp_path / "grafana").glob("*.json"))) == 8
    (tmp_path / "app.py").write_text("import penstock; print(penstock.instrument())")
    assert subprocess.run([penstock, "run", python, "app.py"], **run).returncode == 0
