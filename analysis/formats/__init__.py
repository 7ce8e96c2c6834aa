"""Read spans of every format and dialect, by content."""

from penstock.analysis._reading import Bad, Decoded
from penstock.analysis.formats._decode import decode_range, read_file
from penstock.analysis.formats._sniff import Shape, sniff
from penstock.analysis.formats._source import Source

__all__ = ["Bad", "Decoded", "Shape", "Source", "decode_range", "read_file", "sniff"]
