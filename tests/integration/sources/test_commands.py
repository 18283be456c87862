"""The documented commands, as a user types them, against a local server."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.local_server import Reply, serving

PROJECT = Path(__file__).resolve().parents[3]

FRED = "observation_date,DGS10\n2024-01-02,3.95\n2024-01-03,.\n2024-01-04,3.99\n"


def treasury(days: tuple[tuple[str, str], ...]) -> str:
    """The Treasury's feed of a year: one entry a day, with the ten-year yield alone."""
    entries = "".join(
        "<entry><content type='application/xml'><m:properties>"
        f"<d:NEW_DATE m:type='Edm.DateTime'>{day}T00:00:00</d:NEW_DATE>"
        f"<d:BC_10YEAR m:type='Edm.Double'>{value}</d:BC_10YEAR>"
        "</m:properties></content></entry>"
        for day, value in days
    )
    return (
        "<feed xmlns='http://www.w3.org/2005/Atom' "
        "xmlns:d='http://schemas.microsoft.com/ado/2007/08/dataservices' "
        f"xmlns:m='http://schemas.microsoft.com/ado/2007/08/dataservices/metadata'>{entries}</feed>"
    )


def documented(job: str) -> list[str]:
    """The command of `docs/sources.md` that names a job or table, with this environment's Dagster."""
    page = (PROJECT / "docs" / "sources.md").read_text()
    (line,) = re.findall(rf"^dagster .*{re.escape(job)}.*$", page, re.MULTILINE)
    words = shlex.split(line, comments=True)
    return [str(Path(sys.executable).with_name(words[0])), *words[1:]]


@pytest.fixture
def shell(tmp_path):
    """Run a command in the project with its own data folder and Dagster instance."""
    home = tmp_path / "home"
    home.mkdir()

    def run(command: list[str], **settings: str) -> str:
        done = subprocess.run(
            command,
            cwd=PROJECT,
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith(("BTQ_", "DAGSTER_"))},
                "DAGSTER_HOME": str(home),
                "BTQ_WAREHOUSE__PATH": str(tmp_path / "data"),
                **settings,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout + done.stderr

    run.rows = lambda sql: (
        duckdb.connect(str(tmp_path / "data" / ".work" / "btq.duckdb"), read_only=True)
        .execute(sql)
        .fetchall()
    )
    return run


@pytest.mark.slow
def test_a_job_fetches_a_source_and_a_range_of_months_another(shell):
    with serving() as web:
        web.respond = lambda request: Reply(FRED)
        told = shell(
            documented("ingest_fred"),
            BTQ_SOURCES__FRED__ENABLED="true",
            BTQ_SOURCES__FRED__BASE_URL=web.url,
            BTQ_SOURCES__FRED__SERIES="[DGS10]",
        )
        assert "fred 2 rows" in told
        # The gap of the third of January is no row.
        assert shell.rows("select value from raw.macro_fred order by period") == [(3.95,), (3.99,)]

        web.respond = lambda request: Reply(
            treasury((("2024-01-02", "3.95"), ("2024-02-01", "3.87"), ("2024-03-01", "4.19")))
        )
        told = shell(
            documented("raw/macro_treasury"),
            BTQ_SOURCES__TREASURY__ENABLED="true",
            BTQ_SOURCES__TREASURY__BASE_URL=web.url,
            BTQ_SOURCES__TREASURY__START_MONTH="2024-01",
        )
        assert "treasury 2024-01" in told
        assert "treasury 2024-03" in told
        assert shell.rows("select value from raw.macro_treasury order by period") == [
            (3.95,),
            (3.87,),
            (4.19,),
        ]
