"""The documented commands, as a user types them, against a local server."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pytest

from btq_assets.timeline import session_closes
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
    (line,) = re.findall(rf"^dagster .*{re.escape(job)}\b.*$", page, re.MULTILINE)
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


#: The part of a line of progress that says how far a backfill is, at which rate, and what is left.
HEADWAY = re.compile(r"(\d+) %, [\d,]+ (?:bars|new rows)/s, about (?:\d+ (?:h|min|s) ?)+left")


def shares(told: str) -> list[int]:
    return [int(found) for found in HEADWAY.findall(told)]


def prices(n: int, seed: int) -> np.ndarray:
    return 50 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 1e-3, n)))


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_ten_years_of_daily_bars_of_250_stocks_are_one_command(shell, tmp_path):
    """Rows expected: sessions of the exchange's calendar times stocks."""
    days = session_closes("XNYS", dt.date(2010, 1, 1), dt.date(2019, 12, 31))["session"]
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for number in range(250):
        rows = zip(days, prices(len(days), number), strict=True)
        lines = [f"{day},{p:.4f},{p * 1.01:.4f},{p * 0.99:.4f},{p:.4f},1000" for day, p in rows]
        (inbox / f"S{number:03d}.csv").write_text(
            "\n".join(["date,open,high,low,close,volume", *lines])
        )
    settings = {
        "BTQ_SOURCES__FOLDER__ENABLED": "true",
        "BTQ_SOURCES__FOLDER__PATH": str(inbox),
    }
    told = shell(documented("raw/bars_folder"), **settings)
    stored = "select count(*), count(distinct symbol), count(distinct ts) from raw.bars_folder"
    assert shell.rows(stored) == [(250 * len(days), 250, len(days))]
    assert len(days) * 250 > 625_000
    said = shares(told)
    assert len(said) >= 4
    assert said == sorted(said)
    assert f"250 files, {250 * len(days):,} bars, {250 * len(days):,} new, 0 rows" in told
    again = shell(documented("raw/bars_folder"), **settings)
    assert "unchanged, re-used" in again
    assert shell.rows(stored)[0][0] == 250 * len(days)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_650_000_bars_of_a_minute_are_one_command(shell, tmp_path):
    inbox, n = tmp_path / "inbox", 650_000
    inbox.mkdir()
    stamps = np.datetime64("2020-01-01T00:00") + np.arange(n).astype("timedelta64[m]")
    rows = zip(np.datetime_as_string(stamps, unit="m"), prices(n, 0), strict=True)
    lines = [f"{ts}Z,{p:.4f},{p + 0.1:.4f},{p - 0.1:.4f},{p:.4f},1.5" for ts, p in rows]
    (inbox / "COIN.csv").write_text("\n".join(["ts,open,high,low,close,volume", *lines]))
    told = shell(
        documented("raw/bars_folder"),
        BTQ_SOURCES__FOLDER__ENABLED="true",
        BTQ_SOURCES__FOLDER__PATH=str(inbox),
        BTQ_SOURCES__FOLDER__FREQ="1m",
        BTQ_SOURCES__FOLDER__CALENDAR="24/7",
    )
    assert shell.rows("select count(*), count(distinct ts), sum(volume) from raw.bars_folder") == [
        (n, n, 1.5 * n)
    ]
    said = shares(told)
    assert len(said) >= 4
    assert said == sorted(said)


HOUR_MS = 3_600_000


def klines(request) -> Reply:
    """What Binance answers: bars of an hour that open between two times, at most a thousand."""
    asked = request.params
    first, last = -(-int(asked["startTime"]) // HOUR_MS), int(asked["endTime"]) // HOUR_MS
    rows = []
    for hour in range(first, min(last + 1, first + int(asked["limit"]))):
        price = f"{100 + hour % 97}.25"
        opened = hour * HOUR_MS
        rows.append(
            [opened, price, price, price, price, "2", opened + HOUR_MS - 1, "0", 1, "0", "0", "0"]
        )
    return Reply(json.dumps(rows))


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_ten_years_of_months_of_a_provider_are_one_command(shell):
    """Rows expected: every hour of ten years, for seven coins."""
    with serving() as web:
        web.respond = klines
        settings = {
            "BTQ_SOURCES__BINANCE__ENABLED": "true",
            "BTQ_SOURCES__BINANCE__BASE_URL": web.url,
            "BTQ_SOURCES__BINANCE__SYMBOLS": json.dumps([f"C{n}USDT" for n in range(7)]),
            "BTQ_SOURCES__BINANCE__FREQS": '["1h"]',
            "BTQ_SOURCES__BINANCE__START_MONTH": "2014-01",
            "BTQ_SOURCES__BINANCE__CALLS_PER_MINUTE": "6000",
        }
        told = shell(documented("raw/bars_binance --partition-range"), **settings)
        n_hours = (dt.date(2024, 1, 1) - dt.date(2014, 1, 1)).days * 24
        assert shell.rows("select count(*), count(distinct ts) from raw.bars_binance") == [
            (7 * n_hours, n_hours)
        ]
        assert 7 * n_hours > 610_000
        assert "120 of 120 months stored" in told
        said = shares(told)
        assert len(said) == 119
        assert said == sorted(said)
        n_asked = len(web.asked)
        shell(documented("raw/bars_binance --partition-range"), **settings)
        assert len(web.asked) == n_asked, "what was answered is not asked for again"
        assert shell.rows("select count(*) from raw.bars_binance") == [(7 * n_hours,)]
