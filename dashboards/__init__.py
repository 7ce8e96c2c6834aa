"""What people see: eight Grafana dashboards over the metric catalogue, generated and committed."""
