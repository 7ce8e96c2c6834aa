"""Any callable through a pool: a tool host with a quota of its own, and a call that would come too late."""

import asyncio
import math
import time

from penstock.errors import WouldExceedDeadline
from penstock.limiter import Limiter

limiter = Limiter()
search = limiter.pool("tool:search", requests_per_minute=600, max_concurrency=2, max_wait_seconds=math.inf)


async def look_up(word: str) -> str:
    async with search.permit() as permit:
        await asyncio.sleep(0.01)  # the real call
        return f"{word} after {permit.queued_seconds:.1f} s in the queue"


async def main() -> None:
    began = time.monotonic()
    for line in await asyncio.gather(*(look_up(f"word {n}") for n in range(70))):
        if line.startswith(("word 0 ", "word 69 ")):
            print(line)
    print(f"70 calls in {time.monotonic() - began:.1f} s, {search.headroom()} more could start now")
    held = [search.permit(), search.permit()]
    for permit in held:
        await permit.__aenter__()
    try:
        async with search.permit(deadline_seconds=0.05):
            pass
    except WouldExceedDeadline as late:
        print(f"refused: {late}")
    for permit in held:
        await permit.__aexit__(None, None, None)


asyncio.run(main())
