"""Before: tenacity around the SDK, whose own retries multiply with it. After: one owner of retries."""

import openai
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

client = openai.OpenAI()


# before: 5 tries of an SDK that itself tries 3 times are up to 15 attempts
@retry(
    retry=retry_if_exception_type(openai.RateLimitError),
    wait=wait_random_exponential(max=20),
    stop=stop_after_attempt(5),
)
def ask_before(question: str) -> str:
    answer = client.chat.completions.create(
        model="gpt-5-mini", messages=[{"role": "user", "content": question}]
    )
    return answer.choices[0].message.content or ""


# after: started by `penstock run --limit`; what still raises is final for `retry-after` seconds
def ask(question: str) -> str:
    answer = client.chat.completions.create(
        model="gpt-5-mini", messages=[{"role": "user", "content": question}]
    )
    return answer.choices[0].message.content or ""


print(bool(ask_before("What is a weir?")), bool(ask("What is a weir?")))
