"""Write the generated rule files beside this file: `python -m penstock.alerts`."""

from pathlib import Path

from penstock.alerts import shipped_files


def main() -> None:
    """Regenerate every committed file."""
    here = Path(__file__).resolve().parent
    for name, text in shipped_files().items():
        (here / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
