"""`penstock dashboards preview`: every panel drawn from a real Prometheus, looked at in a real Chromium."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser

import pytest

from penstock import dashboards
from penstock.dashboards import preview
from penstock.dashboards.preview import _draw
from penstock.dashboards.preview._views import POINTS, Series, View
from penstock.dashboards.preview._words import worded

SPAN = (0.0, float(POINTS))
"""A step is a second."""


class Elements(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen = Counter()
        self.attributes = Counter()

    def handle_starttag(self, tag, attrs):
        self.seen[tag] += 1
        self.attributes.update(name for name, _ in attrs)


def rendered(path):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "chromium is missing: apt-get install chromium"
    command = [
        chromium,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={path.parent}/profile",
    ]
    done = subprocess.run(
        [*command, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=100, check=True
    )
    elements = Elements()
    elements.feed(done.stdout)
    return elements, done.stdout


def run(*arguments):
    command = [sys.executable, "-m", "penstock", "dashboards", "preview", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def page(prometheus, tmp_path_factory):
    path = tmp_path_factory.mktemp("preview") / "all.html"
    options = ["--job", "full", "--scrape-interval", "2s", "--since", "30s"]
    done = run(path, "--prometheus", prometheus.url, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout, *rendered(path)


@pytest.fixture(scope="module")
def panels():
    return [panel for board in dashboards.shipped() for panel in board.model["panels"]]


def test_every_panel_but_the_list_of_alerts_has_data(page, panels):
    drawn = [panel for panel in panels if panel["type"] != "row"]
    alerts = sum(panel["type"] == "alertlist" for panel in drawn)
    assert alerts == 1
    assert page[0].endswith(f": {len(drawn) - alerts} of {len(drawn)} panels have data\n")
    assert (page[2].count("no data"), page[2].count("nothing fires")) == (0, alerts)


def test_each_is_drawn_in_its_own_way(page, panels):
    kinds = Counter(panel["type"] for panel in panels)
    seen = page[1].seen
    assert seen["article"] == len(panels) - kinds["row"]
    assert seen["h2"] == kinds["row"]
    assert seen["svg"] == kinds["timeseries"] + kinds["heatmap"] + kinds["state-timeline"]
    starts = {"heatmap": '<rect class="heat s', "stat": '<div class="stat ', "timeseries": "<poly",
              "state-timeline": '<rect class="state '}  # fmt: skip
    assert all(page[2].count(start) >= kinds[kind] for kind, start in starts.items())


def test_nothing_is_remote_and_nothing_runs(page):
    seen, attributes, text = page[1].seen, page[1].attributes, page[2]
    assert not seen.keys() & {"script", "img", "iframe", "link", "object", "form"}
    assert not [name for name in attributes if name.startswith("on") or name in ("style", "src")]
    assert "default-src 'none'" in text
    assert set(re.findall(r'href="([^"]*)"', text)) == {f"#{board.uid}" for board in dashboards.shipped()}


def test_a_stat_says_the_newest_value(prometheus, tmp_path):
    api = dashboards.Prometheus(prometheus.url)
    filling, end = dashboards.Filling("8s", "2s", "full"), api.now()
    board = next(board for board in dashboards.shipped() if board.uid == "penstock-overview")
    stat = next(view for view in preview.look(api, board.model, filling, 30, end) if view.kind == "stat")
    expr = next(panel for panel in board.model["panels"] if panel["title"] == stat.title)["targets"][0][
        "expr"
    ]
    rows = api.query_range(filling.fill(expr), end - 30, end, POINTS)
    newest = {row["metric"]["pool"]: float(row["values"][-1][1]) for row in rows}
    assert newest
    assert {series.name: series.last for series in stat.series} == pytest.approx(newest)
    text = preview.page([(board, [stat])])
    assert all(f"<b>{worded(value, stat.unit)}</b>{pool}" in text for pool, value in newest.items())


def test_labels_stay_text(tmp_path):
    board = dashboards.shipped()[0]
    counts = []
    for name in ("<img src=x onerror=alert(1)>\"'&", "plain"):
        series = [Series(name, {"pool": name, "le": "1"}, [(0.0, 1.0), (1.0, 2.0)])]
        kinds = ("timeseries", "heatmap", "state-timeline", "stat", "table", "alertlist")
        views = [View(kind=kind, title=name, description=name, span=SPAN, series=series) for kind in kinds]
        views += [
            View(kind="row", title=name),
            View(kind="timeseries", title=name, span=SPAN, series=series, stacked=True),
        ]
        path = tmp_path / "page.html"
        path.write_text(preview.page([(board, views)]))
        counts.append(rendered(path)[0])
    assert counts[0].seen == counts[1].seen
    assert counts[0].attributes == counts[1].attributes


def points_of(picture, element="polyline"):
    return [
        [tuple(map(float, point.split(","))) for point in points.split()]
        for points in re.findall(rf'<{element} [^>]*points="([^"]*)"', picture)
    ]


def test_a_gap_is_not_joined():
    kept = [(at, 1.0) for at in (0.0, 1.0, 2.0, 30.0, 31.0)]
    view = View(kind="timeseries", title="t", span=SPAN, series=[Series("a", {}, kept)])
    assert [len(piece) for piece in points_of(_draw.lines(view))] == [3, 2]


def test_what_lies_below_zero_and_never_moves_is_drawn():
    view = View(kind="timeseries", title="t", span=SPAN, series=[Series("a", {}, [(0.0, -5.0), (1.0, -5.0)])])
    (drawn,) = points_of(_draw.lines(view))
    assert len({y for _, y in drawn}) == 1


def test_what_is_written_stands_beside_the_picture_and_keeps_its_size_at_any_width(page):
    assert "<text" not in page[2]
    assert all(f'<div class="{axis}">' in page[2] for axis in ("ys", "ys rows", "xs", "names"))


def test_a_stack_adds_up():
    series = [
        Series(name, {}, [(at, value) for at in (0.0, 1.0)]) for name, value in (("a", 3.0), ("b", 1.0))
    ]
    view = View(kind="timeseries", title="t", span=SPAN, series=series, stacked=True)
    low, high = points_of(_draw.stack(view), "polygon")
    assert high[-1] == low[0]
    assert high[-1][1] - high[0][1] == pytest.approx((low[-1][1] - low[0][1]) / 3, abs=0.1)


def test_a_state_lasts_until_the_next():
    kept = [(0.0, 0.0), (1.0, 0.0), (2.0, 2.0), (3.0, 2.0), (60.0, 0.0)]
    words = {0.0: ("open", "green"), 2.0: ("closed", "red")}
    view = View(kind="state-timeline", title="t", span=SPAN, series=[Series("a", {}, kept)], words=words)
    told = re.findall(r'class="state (\w+)".*?<title>(\w+)</title>', _draw.states(view))
    assert told == [("green", "open"), ("red", "closed"), ("green", "open")]


def test_heat_is_what_a_bucket_alone_holds():
    series = [Series(le, {"le": le}, [(0.0, value)]) for le, value in (("+Inf", 9.0), ("1", 0.0), ("2", 9.0))]
    view = View(kind="heatmap", title="t", span=SPAN, series=series)
    assert re.findall(r'class="heat (s\d)"', _draw.heatmap(view)) == ["s9"]


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [(0.482, "percentunit", "48.2%"), (-16.8, "percentunit", "-1680%"), (9.999, "percentunit", "1000%"),
     (0.0042, "s", "4.2 ms"), (0, "s", "0 s"), (90, "s", "90 s"), (7200, "s", "2 h"), (172800, "s", "2 d"),
     (22.84, "reqps", "22.8 req/s"),
     (1234567, "none", "1.23M"), (999.7, "none", "1K"), (999700, "none", "1M"),
     (3, "ops", "3 ops/s"), (12, "celsius", "12")],
)  # fmt: skip
def test_values_are_worded(value, unit, words):
    assert worded(value, unit) == words


def test_a_mistake_is_one_line_and_exit_2(prometheus, tmp_path):
    for arguments, said in (
        ((tmp_path / "p.html", "--prometheus", "http://127.0.0.1:9"), "does not answer"),
        (
            (tmp_path / "none" / "p.html", "--prometheus", prometheus.url, "--only", "penstock-slo"),
            "cannot write",
        ),
        (
            (tmp_path / "p.html", "--prometheus", prometheus.url, "--only", "penstock-none"),
            "no dashboard penstock-none",
        ),
    ):
        done = run(*arguments)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert said in done.stderr
