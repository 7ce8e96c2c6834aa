"""A report as one self-contained HTML page."""

from penstock.analysis.page._page import page

__all__ = ["page"]
