# ruff: noqa: E501 - a pattern is read whole, and a table has its columns
"""What a bare status says when nothing else spoke, and what a word about money says when nothing did."""

from functools import partial
from typing import Final

from penstock.classifiers._rule import Rule, Tier, rule

_status = partial(rule, tier=Tier.STATUS, source="RFC 9110 §15; RFC 6585")

STATUSES: Final[tuple[Rule, ...]] = (
    _status("http.429", "rate_limit", statuses="429",
            example={"status_code": 429}, not_example={"status_code": 403}),
    _status("http.401", "auth.invalid_key", statuses="401 407",
            example={"status_code": 401}, not_example={"status_code": 403}),
    _status("http.403", "auth.permission_denied", statuses="403",
            example={"status_code": 403}, not_example={"status_code": 401}),
    _status("http.408", "timeout.deadline", statuses="408",
            example={"status_code": 408}, not_example={"status_code": 409}),
    _status("http.413", "invalid_request.request_too_large", statuses="413 414 431",
            example={"status_code": 413}, not_example={"status_code": 400}),
    _status("http.404", "invalid_request.model_not_found", statuses="404 410",
            example={"status_code": 404}, not_example={"status_code": 400}),
    _status("http.409", "invalid_request.conflict", statuses="409 423", retryable=True,
            example={"status_code": 409}, not_example={"status_code": 400}),
    _status("http.424", "server_error.internal", statuses="424",
            example={"status_code": 424}, not_example={"status_code": 400}),
    _status("http.425", "rate_limit", statuses="425",
            example={"status_code": 425}, not_example={"status_code": 400}),
    _status("http.451", "content_filter.prompt", statuses="451",
            example={"status_code": 451}, not_example={"status_code": 400}),
    _status("http.498", "auth.invalid_key", statuses="498",
            example={"status_code": 498}, not_example={"status_code": 400}),
    _status("http.499", "cancelled.caller", statuses="499",
            example={"status_code": 499}, not_example={"status_code": 400}),
    _status("http.4xx", "invalid_request.bad_param", statuses="400 405 406 411 412 415 416 417 421 422 426 428",
            example={"status_code": 422}, not_example={"status_code": 500}),
    _status("http.503", "overloaded.overloaded", statuses="503",
            example={"status_code": 503}, not_example={"status_code": 502}),
    _status("http.502", "server_error.bad_gateway", statuses="502 520 521 523 525 526 527 530",
            example={"status_code": 502}, not_example={"status_code": 503}),
    _status("http.5xx", "server_error.internal", statuses="500 501 505 506 507 508 510 511 599",
            example={"status_code": 500}, not_example={"status_code": 400}),
    rule("text.money_hint", "unknown.money_mentioned", tier=Tier.STATUS, retryable=False,
         source="exhausted money must never be retried, whatever words it comes in",
         text="credits?|billing|subscription|balance|payment|invoice|recharge|wallet|paid (plan|account|tier)",
         example="Something about your subscription, see the console", not_example="Something odd"),
)  # fmt: skip
