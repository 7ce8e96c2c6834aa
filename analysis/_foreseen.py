"""Ask what is likely to be asked next, so that it is answered at once: answers are kept beside the spans.

Of a large file some of it is asked while its spans are read, the rest once the first answer is out: so
nobody waits for an answer longer than it takes to read and to ask.
"""

from typing import Final

from penstock.analysis import _engine
from penstock.analysis._held import Held
from penstock.analysis._kept import Kept, kept
from penstock.analysis.spans import Selection, Spans, make_views

WORTH_ASKING: Final = 100_000
"""Fewer spans answer at once whenever they are asked."""
QUICK_TO_ASK: Final = 500_000
"""Questions about each task and each attempt would make reading more spans noticeably longer."""
_DONE: Final = "all that is foreseen"


def while_read(engine: _engine.DuckDB, held: Held, count: int) -> None:
    """Ask about so many spans that were read and related just now."""
    if count < WORTH_ASKING:
        return
    from penstock.analysis.verbs.bursts import bursts
    from penstock.analysis.verbs.storms import storms
    from penstock.analysis.verbs.trust import trust

    make_views(engine.con, held, Selection())
    with kept(held.files, lambda: engine) as answering:
        spans = Spans(answering, {})
        for verb in (storms, bursts, trust):
            verb(spans)
        if count <= QUICK_TO_ASK:
            _each(spans)


def after_an_answer(spans: Spans) -> None:
    """Ask what was left out while these spans were read; nothing where it is known, or quickly asked."""
    engine = spans.engine
    if isinstance(engine, Kept) and spans.quality["spans"] > QUICK_TO_ASK and not engine.knows(_DONE):
        _each(spans)
        engine.kept(_DONE, list)


def _each(spans: Spans) -> None:
    """Ask what looks at each task and at each attempt."""
    from penstock.analysis.verbs.fanout import fanout
    from penstock.analysis.verbs.quota import quota

    for verb in (fanout, quota):
        verb(spans)
