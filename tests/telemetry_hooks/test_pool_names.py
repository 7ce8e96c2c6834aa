"""Pools are named shortly, and longer only where several are seen."""

from penstock.telemetry.pools import PoolNamer, fingerprint, place_of


def test_one_place_and_one_key_need_no_suffix():
    pools = PoolNamer()
    assert pools.name("openai", "gpt-5", "", fingerprint("a")) == "openai:gpt-5"
    assert pools.name("openai", "gpt-5", "", fingerprint("a")) == "openai:gpt-5"


def test_a_second_key_and_a_second_region_get_one_and_the_first_keeps_its_name():
    pools = PoolNamer()
    first = pools.name("bedrock", "nova", "us-east-1", "aaaa")
    assert pools.name("bedrock", "nova", "eu-west-1", "aaaa") == "bedrock:nova@eu-west-1"
    assert pools.name("bedrock", "nova", "us-east-1", "bbbb") == "bedrock:nova#bbbb"
    assert pools.name("bedrock", "nova", "us-east-1", "aaaa") == first == "bedrock:nova"


def test_the_users_name_wins():
    pools = PoolNamer({"openai:gpt-5*": "main"})
    assert pools.name("openai", "gpt-5-mini", "x", "y") == "main"
    assert pools.name("openai", "o3", "", "") == "openai:o3"


def test_a_fingerprint_is_short_and_stable_and_not_the_key():
    assert fingerprint("Bearer sk-secret") == fingerprint("Bearer sk-secret")
    assert len(fingerprint("Bearer sk-secret")) == 4
    assert fingerprint("") == ""


def test_places_are_regions_or_unknown_hosts():
    assert place_of("api.openai.com", None) == ""
    assert place_of("bedrock-runtime.us-east-1.amazonaws.com", 443) == "us-east-1"
    assert place_of("us-central1-aiplatform.googleapis.com", None) == "us-central1"
    assert place_of("sweden.openai.azure.com", None) == "sweden"
    assert place_of("127.0.0.1", 8000) == "127.0.0.1:8000"


def test_memory_stays_bounded():
    pools = PoolNamer()
    for index in range(10_000):
        pools.name("openai", f"m{index}")
    assert len(pools._named) <= 4096
