"""What the server loads that decoding workers are forked off: once, not in each of them."""

import pyarrow as pa

from penstock.analysis import _part
from penstock.analysis._verdicts import judge
from penstock.analysis.formats import _json

__all__ = ["_json", "_part"]

pa.array([])  # the first array makes pyarrow load pandas, where it is installed
judge("operation", {}, None, (), None)  # the first verdict makes the classifier read its rules
