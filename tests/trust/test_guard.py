import asyncio
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from penstock.errors import OutcomeUnknown, TrustError, TrustTooLow, UsageError
from penstock.telemetry.desk import Desk, close_desk, open_desk
from penstock.telemetry.interceptor import Refused
from penstock.telemetry.tools import add_gate, tool
from penstock.trust import (
    Level,
    Lineage,
    MemoryLedger,
    Origin,
    Question,
    TrustSettings,
    activate,
    follow_threads,
    guard,
    guard_tool,
    idempotency_key,
    irreversible,
    lineage,
    read_rules,
    trust,
)
from penstock.trust._lineage import cell
from penstock.trust._marks import is_primary_only

FALLBACK = Origin(level=Level.FALLBACK, pool="mini", tier=1, reason="outage")
PRIMARY = Origin(level=Level.PRIMARY, pool="gpt-5")


@pytest.fixture
def spans():
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    desk = Desk(tracer_source=lambda: provider.get_tracer("test"), work_sinks=())
    open_desk(desk)
    yield exporter
    close_desk(desk)
    provider.shutdown()


def test_on_primary_answers_the_work_runs(outcomes):
    paid = []

    @irreversible()
    def pay(amount: int) -> str:
        """Pay."""
        paid.append(amount)
        return "receipt"

    with lineage():
        cell().add(PRIMARY)
        assert pay(5) == "receipt"
    assert paid == [5]
    assert outcomes == ["ran"]
    assert pay.__name__ == "pay"
    assert inspect.signature(pay).parameters.keys() == {"amount"}


def test_on_a_fallbacks_answer_it_does_not_run_and_says_who_answered_and_why(outcomes):
    paid = []
    pay = irreversible(action="pay")(paid.append)
    with lineage():
        cell().add(FALLBACK)
        with pytest.raises(TrustTooLow, match=r"pay requires primary .* mini answered \(outage\)") as raised:
            pay(5)
    assert (raised.value.level, raised.value.required) == ("fallback", "primary")
    assert paid == []
    assert outcomes == ["refused"]


def test_a_lower_demand_lets_a_fallback_through():
    with lineage():
        cell().add(FALLBACK)
        assert irreversible(requires="fallback")(lambda: 1)() == 1


def test_an_unknown_level_is_refused_where_it_is_written():
    with pytest.raises(UsageError, match="primry"):
        irreversible(requires="primry")


def test_a_recheck_gets_the_works_arguments_runs_on_the_primary_and_lets_it_run(outcomes):
    seen = []

    def verify(invoice: str, *, amount: int) -> bool:
        seen.append((invoice, amount, is_primary_only()))
        cell().add(PRIMARY)
        return True

    @irreversible(recheck=verify)
    def pay(invoice: str, *, amount: int) -> str:
        return invoice

    with lineage():
        cell().add(FALLBACK)
        assert pay("i1", amount=3) == "i1"
        assert trust().level is Level.FALLBACK  # one payment was checked, not everything before it
        assert PRIMARY not in trust().origins  # a re-check is no input
    assert seen == [("i1", 3, True)]
    assert outcomes == ["rechecked"]


@pytest.mark.parametrize("said", [False, None, "yes, I am sure", 1])
def test_only_true_confirms(said):
    with lineage():
        cell().add(FALLBACK)
        with pytest.raises(TrustTooLow, match="did not confirm"):
            irreversible(recheck=lambda: said)(lambda: 1)()


def test_a_recheck_that_a_fallback_answered_confirms_nothing():
    def verify() -> bool:
        cell().add(FALLBACK)
        return True

    with lineage():
        cell().add(FALLBACK)
        with pytest.raises(TrustTooLow, match="re-check itself was answered by fallback"):
            irreversible(recheck=verify)(lambda: 1)()


def test_a_recheck_outside_any_task_does_not_lose_the_lineage_of_the_process():
    cell().add(FALLBACK)
    work = irreversible(recheck=lambda: True)(lambda: 1)
    assert work() == work() == 1
    assert trust().level is Level.FALLBACK


def test_a_recheck_that_fails_refuses_and_an_interrupt_passes():
    def down() -> bool:
        raise ConnectionError("secret prompt")

    def interrupt() -> bool:
        raise KeyboardInterrupt

    with lineage():
        cell().add(FALLBACK)
        with pytest.raises(TrustTooLow, match="ConnectionError") as raised:
            irreversible(recheck=down)(lambda: 1)()
        assert "secret" not in str(raised.value)
        with pytest.raises(KeyboardInterrupt):
            irreversible(recheck=interrupt)(lambda: 1)()


@pytest.mark.parametrize(("said", "expected"), [(True, "asked"), (False, "refused"), ("no", "refused")])
def test_whoever_is_asked_decides_and_sees_what_there_is_to_know(said, expected, outcomes):
    questions: list[Question] = []

    def approve(question: Question) -> object:
        questions.append(question)
        return said

    @irreversible(ask=approve, recheck=lambda invoice, amount=1: False)
    def pay(invoice: str, amount: int = 1) -> int:
        return amount

    with lineage():
        cell().add(FALLBACK)
        if expected == "asked":
            assert pay("i1") == 1
        else:
            with pytest.raises(TrustTooLow, match="said no"):
                pay("i1")
    assert outcomes == [expected]
    (question,) = questions
    assert question.arguments == {"invoice": "i1", "amount": 1}
    assert question.trust.weakest == FALLBACK
    assert question.why == "the re-check did not confirm"


def test_async_work_awaits_async_rechecks_and_hooks(outcomes):
    async def verify(n: int) -> bool:
        await asyncio.sleep(0)
        return n == 1

    async def approve(question: Question) -> bool:
        await asyncio.sleep(0)
        return question.arguments["n"] == 2

    @irreversible(recheck=verify, ask=approve)
    async def work(n: int) -> int:
        await asyncio.sleep(0)
        return n

    async def main() -> None:
        with lineage():
            cell().add(FALLBACK)
            assert await work(1) == 1
            assert await work(2) == 2
            with pytest.raises(TrustTooLow):
                await work(3)

    assert inspect.iscoroutinefunction(work)
    asyncio.run(main())
    assert outcomes == ["rechecked", "asked", "refused"]


def test_an_async_recheck_of_sync_work_is_a_clear_mistake():
    async def verify() -> bool:
        return True

    with lineage():
        cell().add(FALLBACK)
        with pytest.raises(UsageError, match="must not be async"):
            irreversible(recheck=verify)(lambda: 1)()


def test_generators_cannot_be_guarded():
    with pytest.raises(UsageError, match="generator"):

        @irreversible()
        def stream():
            yield 1


def test_the_works_own_exception_passes_untouched(outcomes):
    error = LookupError("no such account")

    @irreversible(key="k", ledger=MemoryLedger())
    def pay() -> None:
        raise error

    with pytest.raises(LookupError) as raised:
        pay()
    assert raised.value is error
    assert outcomes == ["unknown"]


def test_lost_lineage_is_refused():
    with lineage():
        pass
    with pytest.raises(TrustTooLow, match="no task is open"):
        irreversible()(lambda: 1)()


def test_a_block_is_judged_when_it_is_entered(outcomes):
    with lineage():
        with guard("pay"):
            pass
        cell().add(FALLBACK)
        with pytest.raises(TrustTooLow), guard("pay"):
            pytest.fail("the block ran")
        with guard("pay", recheck=lambda: True):
            pass
    assert outcomes == ["ran", "refused", "rechecked"]


def test_an_async_block_is_judged_too_and_runs_sync_and_async_work_once(ledger):
    runs = []

    async def pay(n: int) -> int:
        runs.append(n)
        return n

    async def main() -> None:
        for _ in range(2):
            async with guard("pay", key="i1", ledger=ledger) as once:
                assert await once(pay, 7) == 7
            async with guard("note", key="i1", ledger=ledger) as once:
                assert await once(lambda: runs.append(0) or "noted") == "noted"
        with lineage():
            cell().add(FALLBACK)
            with pytest.raises(TrustTooLow):
                async with guard("pay", key="i2", ledger=ledger):
                    pytest.fail("the block ran")

    asyncio.run(main())
    assert runs == [7, 0]


def test_a_block_that_learns_from_a_fallback_is_judged_again_before_its_work_runs():
    with lineage(), guard("pay", key="i1", ledger=MemoryLedger()) as once:
        cell().add(FALLBACK)
        with pytest.raises(TrustTooLow):
            once(lambda: 1)


def test_work_on_record_is_replayed_whatever_the_trust_is_now(ledger, outcomes):
    runs = []

    @irreversible(key="{invoice}", ledger=ledger)
    def pay(invoice: str) -> dict[str, object]:
        runs.append(idempotency_key())
        return {"receipt": invoice, "cents": 1250}

    first = pay("i1")
    with lineage():
        cell().add(FALLBACK)
        assert pay("i1") == first
        assert pay(invoice="i1") == first
        with guard("pay", key="i1", ledger=ledger) as once:
            assert once(pytest.fail, "ran again") == first
    assert runs == ["pay:i1"]
    assert idempotency_key() is None
    assert outcomes == ["ran", "replayed", "replayed", "replayed"]


def test_the_outcome_is_on_a_span_of_its_own_without_keys_or_error_text(spans):
    @irreversible(key="{invoice}", ledger=MemoryLedger())
    def pay(invoice: str) -> None:
        raise ValueError(f"card 4711 of {invoice}")

    with lineage():
        with pytest.raises(ValueError, match="4711"):
            pay("secret-invoice")
        cell().add(FALLBACK)
        with pytest.raises(TrustTooLow):
            pay("i2")
    unknown, refused = spans.get_finished_spans()
    assert refused.attributes["penstock.guard.outcome"] == "refused"
    assert refused.attributes["penstock.guard.requires"] == "primary"
    assert refused.attributes["penstock.guard.answered_by"] == "mini"
    assert refused.attributes["penstock.trust"] == "fallback"
    assert refused.attributes["penstock.span.kind"] == "guard"
    assert unknown.attributes["penstock.guard.outcome"] == "unknown"
    for text in ("secret-invoice", "4711"):
        assert text not in unknown.to_json()


@pytest.mark.parametrize("key", ["", lambda n: None])
def test_an_empty_key_is_refused_before_anything_runs(key):
    with pytest.raises(UsageError, match="empty"):
        irreversible(key=key)(lambda n: pytest.fail("ran"))(1)


def test_a_template_that_does_not_fit_names_the_arguments():
    with pytest.raises(UsageError, match=r"\{id\}.*invoice"):
        irreversible(key="{id}")(lambda invoice: None)("i1")


@pytest.mark.parametrize("missing", [None, ""])
def test_a_template_with_a_part_left_out_is_no_key(missing, ledger):
    """Or all operations whose id is missing would be taken for one, and only the first would run."""
    pay = irreversible(key="{month} {invoice}", ledger=ledger)(lambda month, invoice: (month, invoice))
    with pytest.raises(UsageError, match=r"invoice is (None|'')"):
        pay("may", missing)
    assert pay("may", 0) == ("may", 0)


def test_an_object_that_is_called_and_awaited_is_async_work(ledger):
    class Bank:
        def __init__(self):
            self.sent = []

        async def __call__(self, invoice):
            self.sent.append(invoice)
            return "receipt"

    bank = Bank()
    pay = irreversible(key="{invoice}", ledger=ledger, action="pay")(bank)
    assert [asyncio.run(pay("i1")), asyncio.run(pay("i1"))] == ["receipt", "receipt"]
    assert bank.sent == ["i1"]


def test_a_ledger_that_fails_keeps_the_work_from_starting(outcomes):
    class Down(MemoryLedger):
        def begin(self, key, claim):
            raise ConnectionError("redis is gone")

    with pytest.raises(TrustError, match="not started"):
        irreversible(key="k", ledger=Down())(lambda: pytest.fail("ran"))()


def test_a_ledger_that_fails_after_the_work_costs_the_record_and_not_the_result(outcomes):
    class Down(MemoryLedger):
        def end(self, key, entry):
            raise ConnectionError("redis is gone")

    work = irreversible(key="k", ledger=Down(), action="work")(lambda: 7)
    assert work() == 7
    with pytest.raises(OutcomeUnknown):
        work()


def test_rules_by_tool_name_come_from_toml(outcomes):
    rules = read_rules(
        {"send_money": {"requires": "primary", "key": "{invoice}"}, "search": {"requires": "cache_stale"}}
    )
    undo = activate(TrustSettings(tools=rules, on_outcome=outcomes.append))
    try:
        runs = []

        def send_money(invoice: str) -> str:
            runs.append(invoice)
            return "sent"

        guarded = guard_tool("send_money", send_money)
        assert guard_tool("other", send_money) is send_money
        assert guarded(invoice="i1") == guarded(invoice="i1") == "sent"
        with lineage():
            cell().add(FALLBACK)
            with pytest.raises(TrustTooLow):
                guarded(invoice="i2")
            assert guard_tool("search", lambda: "found")() == "found"
        assert runs == ["i1"]
    finally:
        undo()


def test_a_generator_that_a_rule_names_does_not_run_unguarded():
    ran = []

    @tool(name="send_money")
    def send_money(invoice: str):
        ran.append(invoice)
        yield "sent"

    @tool(name="send_money")
    async def send_money_async(invoice: str):
        ran.append(invoice)
        yield "sent"

    async def read() -> list[str]:
        return [piece async for piece in send_money_async("i1")]

    assert list(send_money("free")) == asyncio.run(read()) == ["sent"]
    ran.clear()
    undo = [activate(TrustSettings(tools=read_rules({"send_money": {}}))), add_gate(guard_tool)]
    try:
        with pytest.raises(UsageError, match="is a generator"):
            list(send_money("i1"))
        with pytest.raises(UsageError, match="is a generator"):
            asyncio.run(read())
        assert ran == []
    finally:
        for back in undo:
            back()


def approve_everything(question: Question) -> bool:
    return True


def test_a_rule_names_its_hooks_as_module_and_function(monkeypatch):
    import sys
    import types

    module = types.ModuleType("shop_rules")
    module.approve = approve_everything
    monkeypatch.setitem(sys.modules, "shop_rules", module)
    rules = read_rules({"pay": {"ask": "shop_rules:approve"}, "ship": {"ask": "shop_rules:nobody"}})
    undo = activate(TrustSettings(tools=rules))
    try:
        with lineage():
            cell().add(FALLBACK)
            assert guard_tool("pay", lambda: 1)() == 1
            with pytest.raises(UsageError, match="shop_rules:nobody"):
                guard_tool("ship", lambda: 1)()
    finally:
        undo()


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"requires": "most"}, "most"),
        ({"require": "primary"}, "unknown option 'require'"),
        ({"requires": 3}, "table of strings"),
        ("primary", "table of strings"),
        ({"ask": "approve"}, "module:function"),
    ],
)
def test_a_wrong_rule_is_one_clear_line(rule, message):
    with pytest.raises(UsageError, match=message) as raised:
        read_rules({"pay": rule})
    assert "\n" not in str(raised.value)


def test_calls_of_a_recheck_ask_the_interceptor_for_the_primary(inner, call_of):
    inner.admissions = [Refused(eta_seconds=1, reason="x")]
    transport = Lineage(inner)

    def verify() -> bool:
        transport.admit(call_of()).wait()
        return True

    with lineage():
        cell().add(FALLBACK)
        transport.admit(call_of()).wait()
        irreversible(recheck=verify)(lambda: 1)()
    assert [call.primary_only for call in inner.calls] == [False, True]


def test_the_key_follows_into_the_threads_that_the_work_starts():
    keys = []

    @irreversible(key="{number}", action="pay")
    def pay(number):
        with ThreadPoolExecutor(1) as pool:
            keys.append(pool.submit(idempotency_key).result())
        thread = threading.Thread(target=lambda: keys.append(idempotency_key()))
        thread.start()
        thread.join()

    undo = follow_threads()
    pay(7)
    undo()
    assert keys == ["pay:7", "pay:7"]
    assert idempotency_key() is None


@pytest.mark.parametrize("key", [None, "{number}"])
def test_even_the_exception_that_ends_generators_passes_untouched(key):
    raised = StopIteration("nothing left")

    @irreversible(key=key)
    def work(number):
        raise raised

    with pytest.raises(StopIteration) as seen:
        work(1)
    assert seen.value is raised
