"""What people see: eight Grafana dashboards over the metric catalogue, generated and committed."""

from penstock.dashboards._check import Finding, Prometheus, check
from penstock.dashboards._expressions import Expression, Filling, expressions
from penstock.dashboards._push import Change, Folder, Grafana, Step
from penstock.dashboards._shipped import Shipped, provisioning, shipped

__all__ = [
    "Change",
    "Expression",
    "Filling",
    "Finding",
    "Folder",
    "Grafana",
    "Prometheus",
    "Shipped",
    "Step",
    "check",
    "expressions",
    "provisioning",
    "shipped",
]
