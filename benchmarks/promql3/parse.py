"""Parse every query with the grammar that Prometheus 3 publishes. See README.md."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from penstock import alerts, dashboards

PACKAGES = ("@prometheus-io/lezer-promql@0.308.0", "@lezer/lr@1", "@lezer/common@1", "@lezer/highlight@1")
PARSE = """
const { parser } = require("@prometheus-io/lezer-promql");
const asked = JSON.parse(require("fs").readFileSync(0, "utf8"));
const broken = asked.filter((expr) => {
  let errors = 0;
  parser.parse(expr).iterate({ enter: (node) => { errors += node.type.isError ? 1 : 0; } });
  return errors > 0;
});
console.log(JSON.stringify(broken));
"""


def main() -> int:
    rules = alerts.rule_set()
    filling = dashboards.Filling()
    asked = {
        filling.fill(e.expr) for board in dashboards.shipped() for e in dashboards.expressions(board.model)
    }
    asked |= {rule.expr for rule in (*rules.recordings, *rules.slow_recordings, *rules.alerts)}
    with tempfile.TemporaryDirectory(prefix="promql3-") as name:
        install = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", ".", *PACKAGES]
        subprocess.run(install, cwd=name, check=True, timeout=300)
        (Path(name) / "parse.cjs").write_text(PARSE)
        done = subprocess.run(
            ["node", "parse.cjs"], cwd=name, input=json.dumps([*asked, "sum by ("]), capture_output=True,
            text=True, check=True, timeout=60,
        )  # fmt: skip
    broken = json.loads(done.stdout)
    assert broken.pop() == "sum by (", "the parser takes anything"
    print("\n".join(broken) or f"{len(asked)} expressions parse")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
