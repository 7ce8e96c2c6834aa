"""Columns of Python values -> Arrow."""

import pyarrow as pa

from penstock.analysis._raw import Coded, Column


def array_of(values: Column, kind: pa.DataType) -> pa.Array:
    """Lay out a column; None is null. Lone surrogates, legal JSON and no legal text, become `?`."""
    if isinstance(values, Coded):
        codes = pa.Array.from_buffers(pa.uint8(), len(values), [None, pa.py_buffer(values.codes)])
        return array_of(values.values, kind).take(codes)
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:
        return pa.array([_legal(value) for value in values], kind)


def _legal(value: object) -> object:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
