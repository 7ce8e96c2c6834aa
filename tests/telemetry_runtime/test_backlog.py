"""Notes are written once, in order, before every read; taking one never waits for anybody."""

import gc
import os
import threading

import pytest

from penstock.telemetry import backlog, guard
from penstock.telemetry import metrics as m
from penstock.telemetry.backlog import Backlog
from penstock.telemetry.registry import Registry


@pytest.fixture
def written():
    return []


@pytest.fixture
def book():
    made = Backlog(lambda: True)
    made.note(lambda record: None, None, 0)  # the first is written at once
    return made


def test_notes_wait_and_are_written_in_order_before_a_read(book, written):
    for number in range(5):
        book.note(written.append, number, 1)
    assert written == []
    with book.written():
        assert written == [0, 1, 2, 3, 4]
    book.write()
    assert written == [0, 1, 2, 3, 4]


def test_a_full_batch_is_written_by_whoever_filled_it(book, written):
    for number in range(backlog.BATCH):
        book.note(written.append, number, 1)
    assert written == list(range(backlog.BATCH))


def test_where_calls_go_on_a_note_waits_a_second_at_most(book, written):
    book.note(written.append, "old", 1)
    book.note(written.append, "new", 1 + backlog.LATEST_NS)
    assert written == ["old", "new"]


def test_a_note_never_waits_for_a_reader(book, written):
    with book.written():
        for number in range(3 * backlog.BATCH):
            thread = threading.Thread(target=book.note, args=(written.append, number, 1))
            thread.start()
            thread.join(30)
            assert not thread.is_alive()
        assert written == []
    book.write()
    assert sorted(written) == list(range(3 * backlog.BATCH))


def test_a_write_that_fails_keeps_nobody_else_from_being_written(book, written):
    book.note(lambda record: 1 / 0, None, 1)
    book.note(written.append, "next", 1)
    book.write()
    assert written == ["next"]
    assert guard.errors.pop("backlog.write") == 1


def test_what_is_to_be_done_afterwards_is_done_once(book, written):
    def write(record):
        written.append(record)
        book.afterwards(last)

    def last():
        written.append("last")

    book.note(write, 1, 1)
    book.note(write, 2, 1)
    book.write()
    assert written == [1, 2, "last"]


def test_a_read_inside_a_write_does_not_wait_for_itself(book, written):
    book.note(lambda record: book.write(), None, 1)
    book.note(written.append, "after", 1)
    book.write()
    assert written == ["after"]


def test_a_finalizer_may_note_while_its_thread_holds_the_registry(written):
    registry = Registry()

    class Dropped:
        def __del__(self):
            for _ in range(backlog.BATCH + 1):
                registry.backlog.note(lambda record: registry.inc(m.HOOK_ERRORS, (record,)), "here", 1)

    cycle = Dropped()
    cycle.itself = cycle
    del cycle
    with registry.lock:
        gc.collect()
    assert registry.value(m.HOOK_ERRORS, ("here",)) == backlog.BATCH + 1


def test_a_forked_child_begins_with_none(book, written):
    book.note(written.append, "parent", 1)
    pid = os.fork()
    if not pid:
        book.clear()
        book.note(written.append, "child", 1)
        os._exit(0 if written == ["child"] else 1)
    assert os.waitpid(pid, 0)[1] == 0
    book.write()
    assert written == ["parent"]
