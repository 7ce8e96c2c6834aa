"""Fuzz one target, guided by coverage: `python -m benchmarks.fuzz.one TARGET [libFuzzer flags, folders]`."""

import sys

import atheris

with atheris.instrument_imports(include=["penstock"]):
    from benchmarks.fuzz.targets import TARGETS

if __name__ == "__main__":
    _, name, *flags = sys.argv
    atheris.Setup([sys.argv[0], *flags], TARGETS[name])
    atheris.Fuzz()
