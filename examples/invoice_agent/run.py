"""Pay thirty invoices through an outage, a fallback that misreads, lost answers and kill -9.

    python examples/invoice_agent/run.py [INVOICES]

It plays provider and bank on this machine, restarts the payer whenever it dies, and reads the statement.
"""

import asyncio
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import openai
from agent import Invoice, InvoiceAgent, UnavailableError
from bank import FileBank
from provider import provider

import penstock

OUTAGE_SECONDS = 2.0
POOLS = {
    "openai:big": {"fallback": ["openai:small"], "wait_up_to_seconds": 0.2},
    "openai:small": {"model": "small"},
}


def totals(invoices: int) -> dict[str, int]:
    """Make up what is owed: invoice and cents."""
    return {f"i{n}": 1_000 + 37 * n for n in range(invoices)}


async def work(url: str, folder: Path, invoices: int) -> None:
    """Be the payer: one process, which may be killed at any moment."""
    with penstock.instrument(limit="enforce", pools=POOLS, spans=folder / "spans.jsonl"):
        async with openai.AsyncOpenAI(api_key="none", base_url=url, max_retries=0) as client:

            async def ask(prompt: str) -> str:
                messages = [{"role": "user", "content": prompt}]
                try:
                    answer = await client.chat.completions.create(model="big", messages=messages)
                except openai.APIError as error:
                    raise UnavailableError from error
                return answer.choices[0].message.content or ""

            bank, ledger = FileBank(folder / "bank.db"), penstock.SqliteLedger(folder / "ledger.db")
            agent = InvoiceAgent(ask, bank, ledger)
            for name, cents in totals(invoices).items():
                await agent.handle(Invoice(name, f"invoice {name}, total {cents}"))


def main(invoices: int) -> int:
    """Be everyone else."""
    owed = totals(invoices)
    with tempfile.TemporaryDirectory() as name, provider(OUTAGE_SECONDS) as url:
        folder = Path(name)
        starts = 1
        payer = [sys.executable, __file__, url, name, str(invoices)]
        while subprocess.run(payer, check=False).returncode != 0:
            starts += 1
        paid = FileBank(folder / "bank.db", mishaps=False).statement()
    times = Counter(invoice for invoice, _ in paid)
    double = sum(n - 1 for n in times.values())
    wrong = sum(cents != owed[invoice] for invoice, cents in paid)
    print(f"{len(times)} of {len(owed)} invoices paid; {double} twice, {wrong} wrongly; {starts - 1} crashes")
    return 0 if (len(times), double, wrong) == (len(owed), 0, 0) else 1


if __name__ == "__main__":
    if len(sys.argv) == 4:
        asyncio.run(work(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
    else:
        sys.exit(main(int(sys.argv[1]) if len(sys.argv) == 2 else 30))
