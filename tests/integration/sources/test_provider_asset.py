"""What every remote provider is promised, on one that a test makes up, a real server and a file."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import dagster as dg
import duckdb
import polars as pl
import pytest
from local_provider import CONTRACT, ENTRY, config_of, ingest
from local_server import Reply
from polars.testing import assert_frame_equal

from btq_assets.contracts import quarantine
from btq_assets.warehouse import Warehouse
from btq_assets.warehouse.paths import DataPaths
from data_quality.site.answers import recorded_answers, surroundings
from data_quality.site.pages import write_site

KEY = "s3cr3t+key/of=the provider"


def month(request) -> list[list]:
    """Three values of the month that is asked for; they follow from its number."""
    first = dt.date.fromisoformat(request.params["start"])
    number = 12 * first.year + first.month
    return [[str(first.replace(day=day)), number + day / 100] for day in (1, 10, 20)]


@pytest.fixture
def provider(web):
    web.respond = lambda request: Reply(json.dumps({"rows": month(request)}))
    return web


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "data"


def stored(root: Path) -> pl.DataFrame:
    warehouse = Warehouse(DataPaths(root), 5)
    rows = warehouse.read(CONTRACT) if warehouse.has(CONTRACT) else CONTRACT.empty()
    return rows.sort(CONTRACT.key)


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    (failed,) = [event for event in result.all_node_events if event.is_step_failure]
    return failed.step_failure_data.error.to_string()


def metadata_of(result: dg.ExecuteInProcessResult) -> dict:
    event = result.asset_materializations_for_node("__".join(CONTRACT.asset_key))[-1]
    return {name: entry.value for name, entry in event.metadata.items()}


def test_a_fetch_again_adds_nothing(provider, root):
    config = config_of(provider.url, answers_fresh_hours=0)
    assert ingest(root, config, "2024-01", "2024-03").success
    first = stored(root)
    # By hand: 12 * 2024 + 1 = 24289 for January, and a hundredth a day.
    assert first["value"].to_list()[:3] == [24289.01, 24289.1, 24289.2]
    assert first.height == 9
    again = ingest(root, config, "2024-01", "2024-03")
    assert_frame_equal(stored(root), first)
    assert metadata_of(again) | {"rows_new": 0, "rows_fetched": 3, "requests": 1} == metadata_of(
        again
    )


def test_a_changed_value_is_a_vintage_known_now(provider, root):
    config = config_of(provider.url, answers_fresh_hours=0)
    ingest(root, config, "2024-01", "2024-01")
    before = stored(root)
    provider.respond = lambda request: Reply(
        json.dumps({"rows": [*month(request)[:2], ["2024-01-20", 1.5], ["2024-01-25", 2.5]]})
    )
    started = dt.datetime.now(dt.UTC)
    assert ingest(root, config, "2024-01", "2024-01").success
    after = stored(root)
    assert_frame_equal(after.join(before, on=CONTRACT.key, how="semi"), before)
    changed, added = after.join(before, on=CONTRACT.key, how="anti").rows(named=True)
    assert (changed["period"], changed["value"], changed["known_at_basis"]) == (
        dt.date(2024, 1, 20), 1.5, "recorded",
    )  # fmt: skip
    assert started <= changed["known_at"] <= dt.datetime.now(dt.UTC)
    # A value never seen before keeps its own time.
    assert (added["value"], added["known_at"]) == (2.5, dt.datetime(2024, 1, 26, 16, tzinfo=dt.UTC))


def test_a_replay_without_a_server_gives_the_same_rows(provider, root, tmp_path):
    keyed = replace(ENTRY, key_required=True)
    secret = {"LOCAL_PROVIDER_KEY": KEY}
    config = config_of(provider.url)
    assert ingest(root, config, "2024-01", "2024-04", entry=keyed, environment=secret).success
    elsewhere = tmp_path / "again"
    elsewhere.mkdir()
    DataPaths(root).answers.rename(DataPaths(elsewhere).answers)
    provider.asked.clear()
    # Neither the server nor the key.
    replay = config_of("http://127.0.0.1:9", replay=True)
    assert ingest(elsewhere, replay, "2024-01", "2024-04", entry=keyed).success
    assert provider.asked == []
    assert_frame_equal(stored(elsewhere), stored(root))
    nothing = ingest(elsewhere, replay, "2024-05", "2024-05", entry=keyed)
    assert "no stored answer to" in failure_of(nothing)


def test_a_missing_key_names_the_variable_and_the_page(provider, root):
    keyed = replace(ENTRY, key_required=True)
    for environment in ({}, {"LOCAL_PROVIDER_KEY": "  "}):
        config = config_of(provider.url)
        failed = ingest(root, config, "2024-01", "2024-01", entry=keyed, environment=environment)
        assert not failed.success
        said = failure_of(failed)
        assert "set the environment variable LOCAL_PROVIDER_KEY" in said
        assert "https://example.org/keys" in said
    assert provider.asked == []


def test_a_month_that_is_down_does_not_hold_back_the_others(provider, root):
    def respond(request):
        down = request.params["start"] == "2024-02-01"
        return Reply("gone fishing", 503) if down else Reply(json.dumps({"rows": month(request)}))

    provider.respond = respond
    instance = dg.DagsterInstance.ephemeral()
    failed = ingest(root, config_of(provider.url), "2024-01", "2024-04", instance=instance)
    assert not failed.success
    said = failure_of(failed)
    assert "1 of 4 partitions" in said
    assert "2024-02-01: treasury gave no usable answer" in said
    assert "gone fishing" in said
    months = stored(root)["period"].dt.month().unique().sort().to_list()
    assert months == [1, 3, 4]
    key = dg.AssetKey(list(CONTRACT.asset_key))
    assert instance.get_materialized_partitions(key) == {"2024-01-01", "2024-03-01", "2024-04-01"}
    provider.respond = lambda request: Reply(json.dumps({"rows": month(request)}))
    assert ingest(root, config_of(provider.url), "2024-02", "2024-02").success
    assert stored(root).height == 12


def test_an_unreadable_row_is_in_quarantine_and_the_others_are_stored(provider, root):
    good = [["2024-01-02", 1.0 + n] for n in range(1)] + [
        [f"2024-01-{n:02d}", n] for n in range(3, 28)
    ]
    provider.respond = lambda request: Reply(json.dumps({"rows": [*good, ["2024-01-28", "n/k"]]}))
    assert ingest(root, config_of(provider.url), "2024-01", "2024-01").success
    assert stored(root).height == len(good)
    bad = Warehouse(DataPaths(root), 5).read(quarantine.ROWS)
    assert bad["reason"].to_list() == ["value 'n/k' is not a number"]
    assert bad["table_name"].to_list() == [CONTRACT.table]


def test_an_answer_of_unknown_shape_stores_nothing(provider, root):
    provider.respond = lambda request: Reply('{"data": []}')
    failed = ingest(root, config_of(provider.url), "2024-01", "2024-01")
    assert "expected 'rows', found" in failure_of(failed)
    assert stored(root).is_empty()


def test_a_broken_backfill_does_not_ask_again_for_what_it_has(provider, root):
    config = config_of(provider.url)
    ingest(root, config, "2024-01", "2024-03")
    ingest(root, config, "2024-01", "2024-05")
    assert [request.params["start"][5:7] for request in provider.asked] == [
        "01",
        "02",
        "03",
        "04",
        "05",
    ]


def everything_in(folder: Path, warehouse: Path) -> str:
    """All bytes under a folder, compressed answers and columns of tables opened, as text."""
    parts = []
    for file in folder.rglob("*"):
        parts.append(str(file))
        if file.is_file():
            body = file.read_bytes()
            parts.append(body.decode("latin-1"))
            if file.suffix == ".gz":
                parts.append(gzip.decompress(body).decode("latin-1"))
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        for schema, table in connection.execute(
            "select table_schema, table_name from information_schema.tables"
        ).fetchall():
            parts.append(str(connection.execute(f'select * from "{schema}"."{table}"').fetchall()))
    return "\n".join(parts)


def test_a_planted_secret_is_nowhere(provider, root, tmp_path, caplog, capfd, monkeypatch):
    """Logs, printed lines, events with their metadata and errors, tables, answers, all files."""

    def respond(request):
        assert request.params["api_key"] == request.headers["x-api-key"] == KEY
        start = request.params["start"]
        if start == "2024-02-01":
            return Reply(f"quota of {KEY} is used up, see ?api_key={quote(KEY, safe='')}", 429)
        if start == "2024-03-01":
            return Reply(json.dumps({"error": f"unknown key {KEY}"}), 403)
        if start == "2024-04-01":
            return Reply("x" * 400, how="cut")
        if start == "2024-05-01":
            return Reply(json.dumps({"error": f"no {KEY}"}))
        return Reply(json.dumps({"rows": [*month(request), [KEY, "odd"]], "echo": f"hello {KEY}"}))

    web = provider
    web.respond = respond
    monkeypatch.setenv("LOCAL_PROVIDER_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    home = tmp_path / "dagster"
    home.mkdir()
    entry = replace(
        ENTRY, key_required=True, contracts=(replace(CONTRACT, max_rejected_fraction=0.9),)
    )
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        environment = dict(os.environ)
        for first, last in (("2024-01", "2024-06"), ("2024-02", "2024-02"), ("2024-05", "2024-05")):
            result = ingest(
                root,
                config_of(web.url),
                first,
                last,
                entry=entry,
                environment=environment,
                instance=instance,
            )
            assert not result.success
        answers = recorded_answers(instance, n_runs=50)
        write_site(answers, surroundings(DataPaths(root).working_file), tmp_path / "docs")
        events = "\n".join(
            str(record) + record.to_json() if hasattr(record, "to_json") else str(record)
            for run in instance.get_runs()
            for record in instance.all_logs(run.run_id)
        )
    assert stored(root)["period"].dt.month().unique().to_list() == [1, 6]
    printed = "".join(capfd.readouterr())
    seen = "\n".join(
        [events, printed, caplog.text, everything_in(tmp_path, DataPaths(root).working_file)]
    )
    assert "quota of ***" in seen, "the search reads errors"
    docs = everything_in(tmp_path / "docs", DataPaths(root).working_file)
    assert "value &#39;odd&#39; is not a number" in docs, "the search reads data docs"
    assert "value 'odd' is not a number" in seen, "the search reads tables"
    assert "hello ***" in seen, "the search reads answers"
    for form in (KEY, quote(KEY), quote(KEY, safe=""), quote(KEY, safe="").lower(), KEY[:12]):
        assert form not in seen


def start_ingest(root: Path, url: str) -> subprocess.Popen:
    script = Path(__file__).parents[2] / "local_provider.py"
    return subprocess.Popen(
        [sys.executable, str(script), str(root), url, "2022-01", "2023-06"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"},
    )


def killed_at(provider, root: Path, n_asked: int, more_s: float) -> None:
    """Start an ingest and kill it after so many further questions and a moment."""
    before = len(provider.asked)
    process = start_ingest(root, provider.url)
    deadline = time.monotonic() + 60
    while len(provider.asked) < before + n_asked and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    time.sleep(more_s)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode in (-signal.SIGKILL, 0)


@pytest.mark.parametrize(
    "kills", [1, pytest.param(8, marks=pytest.mark.slow)], ids=["once", "eight_times"]
)
def test_killed_at_random_moments_and_resumed_equals_an_unbroken_run(provider, tmp_path, kills):
    chance = random.Random(kills)
    root, whole = tmp_path / "killed", tmp_path / "whole"
    for _ in range(kills):
        left = 18 - len(provider.asked)
        killed_at(provider, root, min(chance.randint(1, 8), max(left, 0)), chance.uniform(0, 0.15))
        # What is there is whole months, whatever the moment.
        if DataPaths(root).working_file.exists():
            counts = stored(root).group_by(pl.col("period").dt.truncate("1mo")).len()["len"]
            assert set(counts) <= {3}
    process = start_ingest(root, provider.url)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said.decode()[-2_000:]
    # A month whose answer had been kept is not asked for again.
    assert len(provider.asked) <= 18 + kills
    assert ingest(whole, config_of(provider.url), "2022-01", "2023-06").success
    assert stored(root).height == 54
    assert_frame_equal(stored(root), stored(whole))
