"""The eight boards, from the on-call page down."""

from typing import Final

from penstock.dashboards._spec import Board
from penstock.dashboards.boards.cache import CACHE
from penstock.dashboards.boards.concurrency import CONCURRENCY
from penstock.dashboards.boards.errors import ERRORS
from penstock.dashboards.boards.overview import OVERVIEW
from penstock.dashboards.boards.quota import QUOTA
from penstock.dashboards.boards.routing import ROUTING
from penstock.dashboards.boards.slo import SLO
from penstock.dashboards.boards.telemetry import TELEMETRY

BOARDS: Final[tuple[Board, ...]] = (OVERVIEW, CONCURRENCY, ERRORS, CACHE, ROUTING, QUOTA, SLO, TELEMETRY)

__all__ = ["BOARDS"]
