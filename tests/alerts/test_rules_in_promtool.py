"""Prometheus's own checker over the rules, and every alert's four cases."""

import yaml

from penstock import alerts
from penstock.alerts import _promtool as promtool_module

RULES = alerts.rule_set()


def test_promtool_finds_nothing_to_lint():
    passed, said = alerts.check_rules(RULES)
    assert passed, said
    assert "38 rules found" in said


def test_promtool_accepts_the_time_scaled_rules():
    passed, said = alerts.check_rules(alerts.rule_set(1 / 60))
    assert passed, said


def test_every_alert_has_a_firing_a_recovery_a_quiet_and_a_no_data_case():
    tests = [t for text in alerts.test_files(RULES).values() for t in yaml.safe_load(text)["tests"]]
    (empty,) = (t for t in tests if t["name"] == "no data")
    for alert in RULES.alerts:
        mine = {
            t["name"].removeprefix(alert.name).strip(): t for t in tests if t["name"].split()[0] == alert.name
        }
        assert set(mine) == {"fires and recovers", "stays quiet"}
        fires, recovers = mine["fires and recovers"]["promql_expr_test"]
        assert alert.name in fires["exp_samples"][0]["labels"]
        assert recovers["exp_samples"] == []
        (quiet,) = mine["stays quiet"]["promql_expr_test"]
        assert quiet["exp_samples"] == []
        assert quiet["eval_time"] == fires["eval_time"]
        assert mine["stays quiet"]["input_series"]
        assert any(alert.name in check["expr"] for check in empty["promql_expr_test"])


def test_every_case_passes():
    passed, said = alerts.test_rules()
    assert passed, said


def test_the_cases_notice_a_rule_that_no_longer_fires():
    files = alerts.shipped_files()
    broken = files[alerts.RULE_FILE].replace("penstock_store_up", "penstock_store_down")
    document = yaml.safe_load(files["penstock.rules.test.yaml"])
    document["tests"] = [t for t in document["tests"] if t["name"].startswith("PenstockStoreDown")]
    given = {alerts.RULE_FILE: broken, "one.yaml": yaml.safe_dump(document)}
    passed, said = promtool_module.promtool(["test", "rules", "one.yaml"], given)
    assert not passed
    assert "PenstockStoreDown" in said
