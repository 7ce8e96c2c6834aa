"""An agent that pays invoices: right on every run, through outages, fallbacks, timeouts and crashes."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Protocol

import penstock


@dataclass(frozen=True)
class Invoice:
    """An invoice whose total a model has to read."""

    id: str
    text: str


class UnavailableError(Exception):
    """No model can answer now."""


class Bank(Protocol):
    """Where money moves. Neither call is safe to guess about."""

    async def transfer(self, invoice_id: str, cents: int) -> str:
        """Send money; returns a receipt. May time out after the money has left."""
        ...

    async def find(self, invoice_id: str) -> str | None:
        """Look a transfer up on the statement, once everything that was sent has settled."""
        ...


Ask = Callable[[str], Awaitable[str]]


class InvoiceAgent:
    """Reads each invoice with a model and pays it. `ask` is one model call."""

    def __init__(self, ask: Ask, bank: Bank, ledger: penstock.Ledger) -> None:
        self._ask = ask
        self._bank = bank
        self._ledger = ledger
        # The whole protection: only on the primary's word, and once per invoice.
        self._pay = penstock.irreversible(
            action="pay", requires="primary", recheck=self._confirm, key="{invoice.id}", ledger=ledger
        )(self._transfer)

    async def handle(self, invoice: Invoice) -> str:
        """Pay one invoice; returns the receipt."""
        primary = False
        while True:
            try:
                with penstock.lineage(), penstock.primary_only() if primary else nullcontext():
                    return await self._pay(invoice, await self._read(invoice))
            except penstock.TrustTooLow:
                primary = True  # a fallback or an old answer said it, and the primary says otherwise
            except penstock.OutcomeUnknown as unknown:
                receipt = await self._bank.find(invoice.id)
                penstock.resolve(self._ledger, unknown.key, done=receipt is not None, result=receipt)
            except TimeoutError:
                pass  # the money may have left; trying again finds that on record
            except UnavailableError:
                await asyncio.sleep(2)

    async def _read(self, invoice: Invoice) -> int:
        return int(await self._ask(f"Total of this invoice, in cents, digits only: {invoice.text}"))

    async def _confirm(self, invoice: Invoice, cents: int) -> bool:
        answer = await self._ask(f"Is {cents} cents the total of this invoice? yes or no: {invoice.text}")
        return answer == "yes"

    async def _transfer(self, invoice: Invoice, cents: int) -> str:
        return await self._bank.transfer(invoice.id, cents)
