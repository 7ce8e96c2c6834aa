"""The report stands alone, and nothing in a trace can become part of its page."""

import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser

import pytest

from penstock.analysis import report

S = 1_760_000_000_000_000_000
PAYLOADS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</title><script>alert(1)</script>",
    "</style><style>*{display:none}</style>",
    "javascript:alert(1)",
    "<a href='http://evil.invalid'>x</a>",
    "&lt;b&gt;",
    "\u202e<iframe src=//evil.invalid>",
    "\x1b[31m<b>",
]


class Elements(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = Counter()

    def handle_starttag(self, tag, attrs):
        self.found[tag] += 1
        for name, _ in attrs:
            if name.startswith("on"):
                self.found[f"@{name}"] += 1


def spans(make_span, word):
    found = []
    for i in range(1, 9):
        held = {
            "penstock.span.kind": "attempt",
            "penstock.pool": f"{word}{i}",
            "penstock.provider": word,
            "penstock.model": word,
        }
        if i % 2:
            held |= {"penstock.error.class": "rate_limit", "penstock.error.reason": word}
        found.append(
            make_span("ab" * 16, f"{i:016x}", None, word, S + i, S + i + 10**9, held, 3, 2 if i % 2 else 0)
        )
    tool = {
        "penstock.span.kind": "tool",
        "gen_ai.tool.name": word,
        "penstock.error.class": "tool",
        "penstock.error.reason": word,
    }
    return [*found, make_span("ab" * 16, f"{99:016x}", None, word, S, S + 5, tool, 1, 2)]


def render(path):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "install chromium from Debian"
    done = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={path.parent}/profile",
         "--dump-dom", path.as_uri()],
        capture_output=True, text=True, timeout=100, check=True,
    )  # fmt: skip
    return done.stdout


def test_no_payload_becomes_an_element(make_span, formats, opened, tmp_path):
    counts = []
    for name, words in (("evil", PAYLOADS), ("plain", ["word"] * len(PAYLOADS))):
        page = tmp_path / f"{name}.html"
        everything = [span for i, word in enumerate(words) for span in _moved(spans(make_span, word), i)]
        with opened(formats.lines(everything)) as view:
            report(view, page, title=words[0])
        counts.append(page)
    evil, plain = (_count(render(page)) for page in counts)
    assert evil.keys() == plain.keys()
    assert not {"script", "img", "iframe", "a"} & evil.keys()
    assert not [name for name in evil if name.startswith("@")]
    assert (evil["style"], evil["b"]) == (plain["style"], plain["b"])


def _moved(held, i):
    for span in held:
        span.id = f"{i:02x}{span.id[2:]}"
    return held


def _count(dom):
    parser = Elements()
    parser.feed(dom)
    return parser.found


def test_the_page_is_alone_and_says_nothing_private(make_span, formats, opened, tmp_path, recorded):
    truth = recorded(2)
    for span in truth.spans:
        span.attributes["gen_ai.input.messages"] = "my secret prompt"
        span.message = "my secret message"
    with opened(formats.lines(truth.spans)) as view:
        report(view, tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    assert not re.search(r"https?://|src=|href=|@import|url\(|<script|style=", text)
    assert "default-src 'none'" in text
    assert "secret" not in text
    assert truth.spans[0].trace not in text
    assert str(tmp_path) not in text


@pytest.mark.parametrize("content", ["one", "none"])
def test_a_report_of_almost_nothing_is_still_a_page(content, make_span, formats, opened, tmp_path):
    held = [make_span("ab" * 16, "01" * 8, None, "x", S, S + 1, {}, 1)] if content == "one" else []
    with opened(formats.lines(held) or b'{"resourceSpans":[]}\n') as view:
        report(view, tmp_path / "r.html")
    assert (tmp_path / "r.html").read_text().endswith("</body></html>\n")
