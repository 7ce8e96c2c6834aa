# ruff: noqa: E501 - a table has its columns
"""Providers that answer in numbers: what a number means depends on who said it."""

from functools import partial
from typing import Final

from penstock.classifiers._rule import Rule, Tier, rule

_MINIMAX = "https://platform.minimax.io/docs/api-reference/errorcode"
_SPARK = "https://www.xfyun.cn/doc/spark/Web.html (error codes)"
_ZHIPU = "https://docs.bigmodel.cn/cn/api/api-code"
_BAIDU = "https://github.com/baidubce/sdc (qianfan-app-demo, ernie/error.go)"

_minimax = partial(rule, tier=Tier.SIGNAL, source=_MINIMAX, providers="minimax")
_spark = partial(rule, tier=Tier.SIGNAL, source=_SPARK, providers="spark")
_zhipu = partial(rule, tier=Tier.SIGNAL, source=_ZHIPU, providers="zhipu zai")
_baidu = partial(rule, tier=Tier.SIGNAL, source=_BAIDU, providers="baidu")


def _says(provider: str, number: int) -> dict[str, object]:
    """Write an example: MiniMax has an envelope of its own, the others a code."""
    if provider == "minimax":
        return {"provider": provider, "body": {"base_resp": {"status_code": number, "status_msg": ""}}}
    return {"provider": provider, "body": {"error": {"code": number}}}


NUMBERS: Final[tuple[Rule, ...]] = (
    _minimax("minimax.balance", "quota.credit_balance", signals="1008", limit_dimension="billing",
             example=_says("minimax", 1008), not_example=_says("zhipu", 1008)),
    _minimax("minimax.plan", "quota.subscription_window", signals="2056", limit_dimension="billing",
             example=_says("minimax", 2056), not_example=_says("minimax", 1002)),
    _minimax("minimax.requests", "rate_limit.rpm", signals="1002", limit_dimension="requests_per_minute",
             example=_says("minimax", 1002), not_example=_says("zhipu", 1002)),
    _minimax("minimax.tokens", "rate_limit.tpm", signals="1039", limit_dimension="tokens_per_minute",
             example=_says("minimax", 1039), not_example=_says("minimax", 1008)),
    _minimax("minimax.connections", "rate_limit.concurrency", signals="1041", limit_dimension="concurrency",
             example=_says("minimax", 1041), not_example=_says("minimax", 1042)),
    _minimax("minimax.growth", "rate_limit.ramp", signals="2045", limit_dimension="ramp",
             example=_says("minimax", 2045), not_example=_says("minimax", 2013)),
    _minimax("minimax.key", "auth.invalid_key", signals="1004 2049",
             example=_says("minimax", 1004), not_example=_says("minimax", 1008)),
    _minimax("minimax.input", "content_filter.prompt", signals="1026",
             example=_says("minimax", 1026), not_example=_says("minimax", 1027)),
    _minimax("minimax.output", "content_filter.output", signals="1027",
             example=_says("minimax", 1027), not_example=_says("minimax", 1026)),
    _minimax("minimax.deadline", "timeout.deadline", signals="1001",
             example=_says("minimax", 1001), not_example=_says("zhipu", 1001)),
    _minimax("minimax.internal", "server_error.internal", signals="1000 1024 1033",
             example=_says("minimax", 1024), not_example=_says("minimax", 1026)),
    _minimax("minimax.params", "invalid_request.bad_param", signals="2013 1042",
             example=_says("minimax", 2013), not_example=_says("minimax", 2049)),
    _spark("spark.requests", "rate_limit.rpm", signals="10007 11202", limit_dimension="requests_per_minute",
           example=_says("spark", 11202), not_example=_says("openai", 11202)),
    _spark("spark.concurrency", "rate_limit.concurrency", signals="10006 11203", limit_dimension="concurrency",
           example=_says("spark", 11203), not_example=_says("spark", 11202)),
    _spark("spark.day", "rate_limit.rpd", signals="11201", limit_dimension="requests_per_day",
           example=_says("spark", 11201), not_example=_says("spark", 11202)),
    _spark("spark.busy", "overloaded.capacity", signals="10008 10110",
           example=_says("spark", 10110), not_example=_says("spark", 10012)),
    _spark("spark.input", "content_filter.prompt", signals="10013 10019 10021",
           example=_says("spark", 10013), not_example=_says("spark", 10014)),
    _spark("spark.output", "content_filter.output", signals="10014 10022",
           example=_says("spark", 10014), not_example=_says("spark", 10013)),
    _spark("spark.context", "context_length.input_too_long", signals="10907",
           example=_says("spark", 10907), not_example=_says("spark", 10163)),
    _spark("spark.rights", "auth.permission_denied", signals="10015 10016 11200 11500",
           example=_says("spark", 11200), not_example=_says("spark", 11202)),
    _spark("spark.engine", "server_error.internal", signals="10009 10010 10011 10012 10222",
           example=_says("spark", 10012), not_example=_says("spark", 10110)),
    _spark("spark.params", "invalid_request.bad_param", signals="10003 10004 10005 10163",
           example=_says("spark", 10005), not_example=_says("spark", 10907)),
    _zhipu("zhipu.context", "context_length.input_too_long", signals="1261",
           example=_says("zhipu", 1261), not_example=_says("openai", 1261)),
    _zhipu("zhipu.key", "auth.invalid_key", signals="1000 1001 1002 1003 1004",
           example=_says("zhipu", 1002), not_example=_says("minimax", 1002)),
    _zhipu("zhipu.model", "invalid_request.model_not_found", signals="1211",
           example=_says("zhipu", 1211), not_example=_says("zhipu", 1210)),
    _zhipu("zhipu.params", "invalid_request.bad_param", signals="1210 1213 1214 1215",
           example=_says("zhipu", 1210), not_example=_says("zhipu", 1211)),
    _baidu("baidu.busy", "overloaded.capacity", signals="336100",
           example=_says("baidu", 336100), not_example=_says("baidu", 18)),
    _baidu("baidu.requests", "rate_limit.rpm", signals="18", limit_dimension="requests_per_minute",
           example=_says("baidu", 18), not_example=_says("openai", 18)),
    _baidu("baidu.rights", "auth.permission_denied", signals="6",
           example=_says("baidu", 6), not_example=_says("baidu", 18)),
)  # fmt: skip
