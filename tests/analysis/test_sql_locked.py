"""User SQL reads spans and nothing else."""

import pytest

from penstock.analysis import Selection, sql
from penstock.errors import UsageError

ESCAPES = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/hostname')",
    "SELECT * FROM read_blob('/etc/hostname')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM glob('/*')",
    "SELECT * FROM read_parquet('http://127.0.0.1:1/x.parquet')",
    "SELECT getenv('HOME')",
    "COPY spans TO '/tmp/penstock-escape.csv'",
    "COPY (SELECT 1) TO '/tmp/penstock-escape.csv'",
    "ATTACH '/tmp/penstock-escape.db' AS other",
    "EXPORT DATABASE '/tmp/penstock-escape'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "RESET lock_configuration",
    "PRAGMA enable_object_cache",
    "CREATE SECRET s (TYPE s3)",
    "CALL pragma_version()",
    "SELECT 1; COPY (SELECT 1) TO '/tmp/penstock-escape.csv'",
    "DROP VIEW spans",
    "SELECT * FROM sqlite_scan('/tmp/x', 't')",
    "FROM query('COPY spans TO ''/tmp/penstock-escape.csv''')",
    "",
    "SELECT",
]


@pytest.mark.parametrize("query", ESCAPES)
def test_an_escape_is_refused_in_one_line(query, recorded, formats, opened):
    with opened(formats.lines(recorded(1).spans)) as view, pytest.raises(UsageError) as refused:
        sql(view, query)
    assert "\n" not in str(refused.value)


def test_a_python_variable_is_no_table(recorded, formats, opened):
    secrets = [1, 2, 3]
    with opened(formats.lines(recorded(1).spans)) as view, pytest.raises(UsageError, match="secrets"):
        sql(view, "SELECT * FROM secrets")
    assert secrets


def test_a_query_without_end_is_stopped(recorded, formats, opened):
    endless = "SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE a.range * b.range % 7 = 3"
    with opened(formats.lines(recorded(1).spans)) as view, pytest.raises(UsageError, match="longer than"):
        sql(view, endless, timeout_seconds=0.2)


def test_a_selection_is_part_of_the_view(recorded, formats, opened):
    data = formats.lines(recorded(1).spans)
    with opened(data, selection=Selection(where="role = 'attempt' OR false")) as view:
        assert sql(view, "SELECT DISTINCT role FROM spans").data["rows"] == [["attempt"]]


def test_an_error_is_told_without_the_picture_of_the_query(recorded, formats, opened):
    with opened(formats.lines(recorded(1).spans)) as view, pytest.raises(UsageError, match=r'"SELEC"$'):
        sql(view, "SELEC 1")
