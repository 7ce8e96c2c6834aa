"""Dashboards as one HTML page, drawn from a Prometheus: to look at them before there is a Grafana."""

from penstock.dashboards.preview._page import page
from penstock.dashboards.preview._views import View, look

__all__ = ["View", "look", "page"]
