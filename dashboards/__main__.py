"""Write the generated dashboards beside this file: `python -m penstock.dashboards`."""

from pathlib import Path

from penstock.dashboards._generate import generate
from penstock.dashboards.boards import BOARDS


def main() -> None:
    """Regenerate every committed dashboard."""
    here = Path(__file__).resolve().parent
    for board in BOARDS:
        (here / f"{board.uid}.json").write_text(generate(board), encoding="utf-8")


if __name__ == "__main__":
    main()
