"""What the server loads that decoding workers are forked off: once, not in each of them."""

import sys
from importlib.abc import MetaPathFinder

import pyarrow as pa

from penstock.analysis import _part
from penstock.analysis._verdicts import judge
from penstock.analysis.formats import _json

__all__ = ["_json", "_part"]


class _WithoutPandas(MetaPathFinder):
    """Makes pandas seem missing: pyarrow loads it, slowly, to ask whether a list is one of its columns."""

    def find_spec(self, name: str, *_: object) -> None:
        """Refuse pandas, and know nothing of other modules."""
        if name == "pandas":
            raise ModuleNotFoundError(name)


sys.meta_path.insert(0, _WithoutPandas())
pa.array([])  # the first array makes pyarrow look for pandas
judge("operation", {}, None, (), None)  # the first verdict makes the classifier read its rules
