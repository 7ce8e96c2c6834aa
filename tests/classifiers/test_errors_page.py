"""The page about errors is what the table says."""

from pathlib import Path

from penstock.classifiers import ErrorClass
from penstock.classifiers._page import errors_page
from penstock.classifiers.rules import RULES

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == errors_page(), (
        "python -m penstock.classifiers > docs/errors.md"
    )


def test_the_page_names_every_class_and_rule() -> None:
    page = errors_page()
    assert all(f"`{name}`" in page for name in ErrorClass)
    assert all(f"`{rule.id}`" in page for rule in RULES)
