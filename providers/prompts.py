"""What a request body declares, whatever the vendor calls its fields."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

import orjson

from penstock.providers.bodies import count, decode, part, text
from penstock.providers.facts import PromptHead, RequestFacts

CHARACTERS_PER_TOKEN: Final = 4
"""OpenAI's rule of thumb, help.openai.com "What are tokens and how to count them"."""
IMAGE_CHARACTERS: Final = 4 * 1000
"""What one inline image or file stands for: about a thousand tokens, not its base64 length."""
_INLINE: Final = 2048
PARSE_LIMIT: Final = 4 * 1024 * 1024
_HEAD_BYTES: Final = 8 * 1024
_TOOLS: Final = frozenset({"tools", "toolConfig"})
_SYSTEM: Final = frozenset({"system", "systemInstruction", "instructions", "preamble"})
_SYSTEM_ROLES: Final = ("system", "developer")
_MODEL: Final = re.compile(rb'"model"\s*:\s*"([^"\\]{1,200})"')
_STREAM: Final = re.compile(rb'"stream"\s*:\s*true')


def read_request(
    body: bytes,
    *,
    prompt_fields: Iterable[str],
    max_tokens_fields: Iterable[str],
    limits_in: str | None = None,
    model: str | None = None,
    stream: bool | None = None,
) -> RequestFacts | None:
    """Read a JSON request.

    `limits_in` is the object that holds the token limit, if it is not the body itself. `model` and
    `stream` are given where the URL names them.
    """
    if len(body) > PARSE_LIMIT:
        return _huge(body, model, stream)
    value = decode(body)
    if value is None:
        return None
    model = model or text(value, "model")
    if model is None:
        return None
    holder = part(value, limits_in) if limits_in else value
    limit = None
    for name in max_tokens_fields:
        if name in holder and limit is None:
            limit = count(holder, name)
    prompt = {name: value[name] for name in prompt_fields if name in value}
    return RequestFacts(
        model=model,
        stream=value.get("stream") is True if stream is None else stream,
        max_output_tokens=limit,
        input_tokens=-(-sum(map(_characters, prompt.values())) // CHARACTERS_PER_TOKEN),
        head=_head(prompt),
    )


def _huge(body: bytes, model: str | None, stream: bool | None) -> RequestFacts | None:
    """Read a body that is mostly inline files: parsing it would cost the app milliseconds."""
    found = _MODEL.search(body, 0, 64 * 1024) or _MODEL.search(body, len(body) - 64 * 1024)
    if model is None:
        if found is None:
            return None
        model = found[1].decode("utf-8", "replace")
    if stream is None:
        stream = bool(_STREAM.search(body, 0, 64 * 1024) or _STREAM.search(body, len(body) - 64 * 1024))
    return RequestFacts(model=model, stream=stream, input_tokens=IMAGE_CHARACTERS // CHARACTERS_PER_TOKEN)


def _characters(value: object) -> int:
    if isinstance(value, str):
        if len(value) > _INLINE and " " not in value[:_INLINE]:
            return IMAGE_CHARACTERS
        return len(value)
    if isinstance(value, dict):
        items: Iterable[object] = value.values()
    elif isinstance(value, list):
        items = value
    else:
        return 1
    total = 0
    for item in items:  # most are short words and texts: a long history should not cost a call for each
        total += len(item) if isinstance(item, str) and len(item) <= _INLINE else _characters(item)
    return total


def _head(prompt: Mapping[str, object]) -> PromptHead:
    """Take what stays between calls: the tools and the system prompt, wherever the vendor puts them."""
    tools = system = said = None
    for name, value in prompt.items():
        if name in _TOOLS:
            tools = value if tools is None else tools
        elif name in _SYSTEM:
            system = value if system is None else system
        elif said is None:
            said = value
    first = said[0] if isinstance(said, list) and said else said
    if system is None and isinstance(first, Mapping) and first.get("role") in _SYSTEM_ROLES:
        system = first
    if tools is None and system is None:
        return PromptHead(first=_encoded(first))
    return PromptHead(tools=_encoded(tools), system=_encoded(system))


def _encoded(value: object) -> bytes:
    """Encode the start of a part and its length, which tells of most changes further on."""
    if not value:
        return b""
    whole = orjson.dumps(value)
    return whole if len(whole) <= _HEAD_BYTES else b"%s%d" % (whole[:_HEAD_BYTES], len(whole))
