"""The defects file: nothing aborts, every defect is counted exactly."""

# ruff: noqa: E501 - spans read as the tables they are

import json

from penstock.analysis import concurrency, errors, quality, summary

S = 1_760_000_000_000_000_000
SEC = 1_000_000_000


def chat(extra=None):
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        **(extra or {}),
    }


def test_every_defect_is_counted_exactly(make_span, formats, opened):
    trace = "ab" * 16

    def one(i, start, end, parent=None):
        stop = None if end is None else S + end
        return make_span(trace, f"{i:016x}", parent, "chat", S + start, stop, chat())

    spans = [formats.span(one(i, i * SEC, (i + 2) * SEC)) for i in range(1, 11)]
    spans += [formats.span(one(3, 3 * SEC, 5 * SEC)), formats.span(one(4, 4 * SEC, None))]  # duplicates
    spans += [
        formats.span(one(i, i * SEC, (i + 1) * SEC, f"{i + 1000:016x}")) for i in (11, 12, 13)
    ]  # orphans
    spans += [formats.span(one(i, i * SEC, None)) for i in (14, 15)]  # unfinished
    spans += [formats.span(one(16, 20 * SEC, 19 * SEC))]  # clock step
    parent = make_span(trace, f"{17:016x}", None, "agent", S + 30 * SEC, S + 40 * SEC, {}, 1)
    spans += [formats.span(parent), formats.span(one(18, 29 * SEC, 31 * SEC, f"{17:016x}"))]  # skew
    odd = formats.span(one(19, 41 * SEC, 42 * SEC))
    odd |= {"kind": "SPAN_KIND_CLIENT", "status": {"code": "STATUS_CODE_ERROR"}, "startTimeUnixNano": S + 41 * SEC,
            "unknownField": {"deep": [1, 2]}, "traceId": trace.upper()}  # fmt: skip
    loose = formats.span(one(20, 43 * SEC, 44 * SEC))
    loose["attributes"].append({"key": "nothing", "value": {}})
    loose["attributes"].append({"key": "gen_ai.request.model", "value": {"stringValue": "second"}})
    broken = formats.span(one(21, 43 * SEC, 44 * SEC)) | {"startTimeUnixNano": "tomorrow"}
    spans += [odd, loose, broken]
    rows = [json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}) for span in spans[::-1]]
    rows.insert(5, "{not json")
    rows.insert(9, '{"level": "info"}')
    whole = "\n".join(rows).encode() + b"\n"
    cut = json.dumps({"resourceSpans": []}).encode()[:-3]
    with opened(whole + cut) as view:
        told = quality(view).data["quality"]
        failures, live = errors(view).data, concurrency(view).data
        page = summary(view).data
    expected = {
        "spans": len(spans) - 1, "duplicates": 2, "orphans": 3, "unfinished": 2, "negative_durations": 1,
        "starting_before_parent": 1, "bad_records": 3, "truncated_records": 1, "without_ids": 0,
    }  # fmt: skip
    assert {name: told[name] for name in expected} == expected
    assert failures["operations"]["total"] == 19
    assert failures["operations"]["failed"] == 1
    assert live["total"]["max"] == 2
    assert {group["pool"] for group in live["groups"]} == {"openai:m"}
    assert page["quality"]["bad_places"][-1]["reason"]


def test_the_finished_copy_of_a_duplicate_is_kept(make_span, formats, opened):
    held = [
        make_span("ab" * 16, "01" * 8, None, "chat", S, end, chat()) for end in (None, S + SEC, S + 3 * SEC)
    ]
    with opened(formats.lines(held)) as view:
        assert concurrency(view).data["total"]["seconds"] == 3.0
        assert quality(view).data["quality"]["duplicates"] == 2


def test_mixed_id_encodings_join(make_span, formats, opened):
    spans = [
        make_span("ab" * 16, "01" * 8, None, "chat", S, S + 4 * SEC, chat()),
        make_span("ab" * 16, "02" * 8, "01" * 8, "chat", S, S + 3 * SEC, chat()),
        make_span(
            "ab" * 16, "03" * 8, "02" * 8, "attempt", S, S + 2 * SEC, {"penstock.span.kind": "attempt"}
        ),
    ]
    mixed = formats.lines(spans[:1]) + formats.base64_ids(spans[1:2]) + formats.lines(spans[2:]).upper().replace(
        b"RESOURCESPANS", b"resourceSpans")[:0] + formats.snake(spans[2:])  # fmt: skip
    with opened(mixed) as view:
        told = errors(view).data
    assert told["quality"]["orphans"] == 0
    assert (told["operations"]["total"], told["attempts"]["total"]) == (1, 1)


def test_sampled_spans_are_said_to_be_lower_bounds(make_span, formats, opened):
    request = formats.request([make_span("ab" * 16, "01" * 8, None, "chat", S, S + SEC, chat())])
    request["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceState"] = "ot=th:c"
    with opened(json.dumps(request).encode()) as view:
        told = quality(view).data["quality"]
        assert view.rows("SELECT sampled_one_in FROM spans")[0]["sampled_one_in"] == 4
    assert told["sampled"] == 1
    assert any("lower bounds" in note for note in told["notes"])


def test_lost_nanoseconds_are_noticed(make_span, formats, opened):
    held = [make_span("ab" * 16, f"{i:016x}", None, "chat", (S + i * 997_331) // 256 * 256, (S + SEC) // 256 * 256 + i * 256, chat())
            for i in range(1, 40)]  # fmt: skip
    with opened(formats.lines(held)) as view:
        assert quality(view).data["quality"]["lost_nanoseconds"] is True


def test_deep_nesting_lone_surrogates_and_nan_do_not_stop_the_reader(make_span, formats, opened):
    good = formats.lines([make_span("ab" * 16, "01" * 8, None, "chat", S, S + SEC, chat())])
    deep = b'{"resourceSpans":' + b"[" * 5000 + b"]" * 5000 + b"}\n"
    lone = good.replace(b'"chat"', b'"\\ud800"').replace(b"01010101", b"02020202")
    nan = good.replace(b'{"code": 0}', b'{"code": NaN}').replace(b"01010101", b"03030303")
    with opened(good + deep + lone + nan) as view:
        told = quality(view).data["quality"]
    assert told["bad_records"] >= 1
    assert told["spans"] >= 2


def test_a_parent_that_is_its_own_ancestor_ends(make_span, formats, opened):
    held = [
        make_span("ab" * 16, "01" * 8, "02" * 8, "chat", S, S + SEC, chat()),
        make_span("ab" * 16, "02" * 8, "01" * 8, "chat", S, S + SEC, chat()),
        make_span("ab" * 16, "03" * 8, "03" * 8, "chat", S, S + SEC, chat()),
    ]
    with opened(formats.lines(held)) as view:
        assert errors(view).data["quality"]["spans"] == 3
