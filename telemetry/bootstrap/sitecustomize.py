"""Loaded by Python itself at start-up, from the folder that `penstock run` puts on PYTHONPATH.

It runs before the program in every Python below the launcher, whichever that is: so it needs nothing
but the standard library until it knows that Penstock is there, and whatever goes wrong is one line.
"""

import os
import sys


def _step_aside() -> None:
    """Take our folder off the path and load the sitecustomize that we stand in front of, if any."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != here]
    ours = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
    finally:
        if ours is not None:
            sys.modules.setdefault("sitecustomize", ours)


def _start() -> None:
    """Instrument this process. PYTHONPATH is without us meanwhile, should a child be started."""
    path = os.environ.pop("PYTHONPATH", None)
    try:
        from penstock._runtime import awake

        awake()
    except ImportError as error:
        why = "it is not installed" if error.name == "penstock" else str(error)
        _say(f"nothing is seen in {sys.executable}: {why}")
    except Exception as error:  # noqa: BLE001 - and the program runs
        _say(f"nothing is seen in {sys.executable}: {type(error).__name__}: {error}")
    finally:
        if path is not None:
            os.environ["PYTHONPATH"] = path  # children are seen too


def _say(text: str) -> None:
    if "_PENSTOCK_TOLD" not in os.environ:
        os.environ["_PENSTOCK_TOLD"] = "1"
        sys.stderr.write(f"penstock: {text}\n")


try:
    _step_aside()
finally:
    _start()
