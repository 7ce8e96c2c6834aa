"""Every format gives the same truth."""

from collections import defaultdict
from itertools import pairwise

from penstock.analysis import concurrency, errors, summary, trust
from penstock.analysis.verbs.concurrency import percentile

LOSES_NANOSECONDS = {"console", "jaeger", "phoenix lines", "phoenix parquet"}


def oracle(intervals):
    """Weigh each level by walking all change points, the slow way."""
    times = sorted({at for interval in intervals for at in interval})
    held = defaultdict(int)
    for begin, end in pairwise(times):
        held[sum(start <= begin and stop >= end for start, stop in intervals)] += end - begin
    return dict(held)


def test_every_format_gives_the_recording_truth(encode, recorded, opened, request):
    truth = recorded(7)
    with opened(encode(truth.spans)) as spans:
        told = errors(spans).data
        page = summary(spans).data
        live = concurrency(spans).data
    for level in ("attempts", "operations", "tools"):
        assert told[level] == truth.level(level)
    assert sum(group["count"] for group in told["groups"]) == sum(truth.failed_attempts.values())
    assert {key: page["tokens"][key] for key in ("input", "output")} == dict(truth.tokens)
    assert told["quality"]["bad_records"] == 0
    assert told["quality"]["orphans"] == 0
    exact = request.node.callspec.params["encode"] not in LOSES_NANOSECONDS
    if exact:
        for group in live["groups"]:
            held = oracle([(s, e) for pool, provider, s, e in truth.live if pool == group["pool"]])
            assert group["max"] == max(held)
            assert [group[f"p{p}"] for p in (50, 95, 99)] == [percentile(held, p) for p in (50, 95, 99)]
            assert group["seconds"] == sum(held.values()) / 1e9
    assert sum(group["attempts"] for group in live["groups"]) == truth.attempts


def test_groups_name_provider_model_pool_class_and_reason(recorded, opened, formats):
    truth = recorded(3)
    with opened(formats.lines(truth.spans)) as spans:
        groups = errors(spans).data["groups"]
    assert set(groups[0]) == {"provider", "model", "pool", "class", "reason", "count"}
    assert all(group["pool"] == f"{group['provider']}:{group['model']}" for group in groups)
    assert all(group["reason"] == f"{group['class']}_reason" for group in groups)


def test_a_cancelled_call_is_neither_an_error_nor_an_answer(recorded, opened, formats):
    truth = recorded(5, calls=80)
    with opened(formats.lines(truth.spans)) as spans:
        told, answers = errors(spans), trust(spans).data["answers"]
        quality = spans.quality
    cancelled = truth.cancelled["operations"]
    assert cancelled > 0
    assert told.data["operations"] == truth.level("operations")
    assert f"; {cancelled} cancelled" in told.lines[1]
    assert quality["calls_without_tokens"] == 0
    succeeded = truth.attempts - truth.cancelled["attempts"] - sum(truth.failed_attempts.values())
    assert sum(row["answers"] for row in answers) == succeeded


def test_several_files_are_one_recording(recorded, opened, formats):
    truth = recorded(11, calls=60)
    half = len(truth.spans) // 2
    with opened(formats.lines(truth.spans[:half]), formats.lines(truth.spans[half:], 9)) as spans:
        told = errors(spans).data
    assert told["attempts"] == truth.level("attempts")
    assert told["operations"] == truth.level("operations")
    assert told["quality"]["files"] == 2
    assert told["quality"]["orphans"] == 0
