"""What people see: eight Grafana dashboards over the metric catalogue, generated and committed."""

from penstock.dashboards._check import Finding, Prometheus, check
from penstock.dashboards._expressions import Expression, Filling, expressions
from penstock.dashboards._push import Change, Folder, Grafana, Step
from penstock.dashboards._servers import (
    Server,
    alertmanager_server,
    end_process,
    free_port,
    prometheus_server,
)
from penstock.dashboards._shipped import COMPOSE, Shipped, board_files, provisioning, shipped

__all__ = [
    "COMPOSE",
    "Change",
    "Expression",
    "Filling",
    "Finding",
    "Folder",
    "Grafana",
    "Prometheus",
    "Server",
    "Shipped",
    "Step",
    "alertmanager_server",
    "board_files",
    "check",
    "end_process",
    "expressions",
    "free_port",
    "prometheus_server",
    "provisioning",
    "shipped",
]
