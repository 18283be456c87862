"""Promised figures beside what the benchmarks wrote: verdicts by hand, and records that lie."""

from __future__ import annotations

import datetime as dt
import json
import re
from importlib import resources
from pathlib import Path

import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.figures import FIGURES
from btq_assets.evidence.figures.assets import promised_figures
from btq_assets.evidence.figures.promised import FigureError, figures
from btq_assets.evidence.figures.promises import PROMISES
from btq_assets.evidence.figures.returns import METRICS, RIVALS, SUBJECT, figures_of_returns
from btq_assets.warehouse import Step, code_version


def line(figure: str, value: float, **more: object) -> str:
    said = {
        "figure": figure, "value": value, "commit": "abc1234", "clean": True, "cores": 2,
        "load": 0.4, "measured_at": "2026-11-23T10:00:00+00:00",
    }  # fmt: skip
    return json.dumps(said | more)


def verdicts(*lines: str) -> dict[str, str]:
    return dict(figures("\n".join(lines)).select("figure", "verdict").iter_rows())


def test_verdicts_follow_from_the_last_line_of_each_figure():
    found = verdicts(
        line("startup_seconds", 1.6),
        line("startup_seconds", 1.5),
        line("resampling_rate", 4.9e6),
        "",
    )
    # At most 1.5 s: the last line keeps it. At least 5 M bars a second: 4.9 M do not.
    assert found["startup_seconds"] == "met"
    assert found["resampling_rate"] == "not met"
    assert found["storing_ratio"] == "not measured"
    assert found["inference_time"] == "not measured"


def test_every_promise_is_a_row_and_none_is_impossible():
    table = figures(line("session_share", 0.083))
    assert set(table["figure"]) == {promise.figure for promise in PROMISES}
    assert violations(cast_to_contract(table, FIGURES), FIGURES).is_empty()


@pytest.mark.parametrize(
    ("verdict", "measured"),
    [
        ("met", 1.6),
        ("met", None),
        ("not met", 1.5),
        ("not measured", 1.0),
        ("reported", 1.0),
        ("reported", None),
    ],
)
def test_a_verdict_that_does_not_follow_is_refused(verdict, measured):
    table = figures(line("startup_seconds", 1.0)).filter(figure="startup_seconds")
    forged = table.with_columns(
        verdict=pl.lit(verdict), measured=pl.lit(measured, dtype=pl.Float64)
    )
    assert violations(table, FIGURES).is_empty()
    assert violations(forged, FIGURES).height == 1


@pytest.mark.parametrize(
    "said",
    ["{", '"text"', line("sharpe", 3.0), line("run_minutes", 1.0), '{"figure": "x"}'],
)
def test_a_record_that_cannot_be_is_named_with_its_line(said):
    with pytest.raises(FigureError, match="line 2"):
        figures("\n" + said)


def test_the_packaged_record_can_be_read():
    record = resources.files("btq_assets.evidence.figures").joinpath("measured.jsonl").read_text()
    assert violations(figures(record), FIGURES).is_empty()


def one(*lines: str, figure: str, code: dict[str, str] | None = None) -> dict:
    return figures("\n".join(lines), code).filter(figure=figure).row(0, named=True)


def test_a_figure_of_other_code_is_said_so():
    now = {"startup_seconds": "c0de"}
    same = one(line("startup_seconds", 1.0, code="c0de"), figure="startup_seconds", code=now)
    assert (same["verdict"], same["note"]) == ("met", None)
    other = one(line("startup_seconds", 1.0, code="01d"), figure="startup_seconds", code=now)
    assert other["verdict"] == "met"
    assert other["note"] == "the code it measures has changed since that commit"
    untold = one(line("startup_seconds", 1.0, clean=False), figure="startup_seconds", code=now)
    assert "does not say which code" in untold["note"]
    assert "not committed" in untold["note"]


def test_a_figure_of_other_sizes_says_nothing_of_the_promise():
    promised = {"series": 50}
    right = one(line("garch_to_arch", 9.0, code="c", sizes=promised), figure="garch_to_arch")
    assert (right["verdict"], right["measured"]) == ("met", 9.0)
    small = one(line("garch_to_arch", 9.0, code="c", sizes={"series": 8}), figure="garch_to_arch")
    assert (small["verdict"], small["measured"]) == ("not measured", None)
    assert small["note"] == "9 with series 8, which the promise does not speak of"
    silent = one(line("garch_to_arch", 9.0, code="c"), figure="garch_to_arch")
    assert silent["note"].startswith("9 with series not told")


def test_what_has_no_bound_is_reported():
    said = line("suite_seconds", 3.0, code="c", sizes={"rows": 650_000})
    row = one(said, figure="suite_seconds")
    assert (row["verdict"], row["measured"], row["promised"]) == ("reported", 3.0, None)
    assert one(figure="suite_seconds")["verdict"] == "not measured"


def test_the_promises_are_whole():
    names = [promise.figure for promise in PROMISES]
    assert len(set(names)) == len(names)
    assert not set(names) & {f"{metric}_to_{rival}" for metric in METRICS for rival in RIVALS}
    benches = Path(__file__).parents[2] / "performance"
    for promise in PROMISES:
        assert (promise.target is None) == (promise.direction == "reported"), promise.figure
        if promise.command:
            script = benches / Path(promise.command.split()[1]).name
            assert script.exists(), promise.figure
            assert promise.code, promise.figure
            assert code_version(promise.code)


def run_frames(**of_blend: float | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A blend, the index and momentum over the same bars; figures of the rivals by hand."""
    values = {
        SUBJECT: {"annual_return": 0.08, "sharpe": 0.7, "max_drawdown": 0.2, "win_rate": 0.55, "calmar": 0.4, **of_blend},
        "sp500_price_index": {"annual_return": 0.06, "sharpe": 0.4, "max_drawdown": 0.5, "win_rate": 0.54, "calmar": 0.12},
        "momentum_12_1": {"annual_return": 0.17, "sharpe": 0.8, "max_drawdown": 0.4, "win_rate": 0.55, "calmar": 0.425},
    }  # fmt: skip
    first, last = dt.datetime(2005, 1, 3, tzinfo=dt.UTC), dt.datetime(2022, 12, 28, tzinfo=dt.UTC)
    runs = pl.DataFrame(
        [
            {"run_id": f"r-{name}", "strategy": name, "first_ts": first, "last_ts": last}
            for name in values
        ]
    )
    metrics = pl.DataFrame(
        [
            {"run_id": f"r-{name}", "metric": metric, "value": value}
            for name, own in values.items()
            for metric, value in own.items()
        ],
        schema={"run_id": pl.String, "metric": pl.String, "value": pl.Float64},
    )
    return runs, metrics


def test_the_table_of_returns_is_that_of_the_run():
    table = figures_of_returns(*run_frames())
    assert violations(cast_to_contract(table, FIGURES), FIGURES).is_empty()
    rows = {row["figure"]: row for row in table.iter_rows(named=True)}
    assert len(rows) == 10
    # By hand from `run_frames`: above the index in all; below momentum in return, Sharpe and Calmar,
    # level in days won, and with the smaller drawdown.
    assert {row["verdict"] for name, row in rows.items() if name.endswith("sp500")} == {"met"}
    against = {name: row["verdict"] for name, row in rows.items() if name.endswith("momentum")}
    assert against == {
        "annual_return_to_momentum": "not met",
        "sharpe_to_momentum": "not met",
        "max_drawdown_to_momentum": "met",
        "win_rate_to_momentum": "met",
        "calmar_to_momentum": "not met",
    }
    drawdown = rows["max_drawdown_to_sp500"]
    assert (drawdown["promised"], drawdown["measured"]) == (0.5, 0.2)
    assert drawdown["run_id"] == f"r-{SUBJECT}"


def test_what_the_run_lacks_is_not_measured():
    runs, metrics = run_frames(calmar=None)
    row = figures_of_returns(runs, metrics).filter(figure="calmar_to_sp500").row(0, named=True)
    assert (row["verdict"], row["note"]) == ("not measured", "calmar of blend is undefined")
    alone = figures_of_returns(runs.filter(pl.col("strategy") != SUBJECT), metrics)
    assert alone["verdict"].unique().to_list() == ["not measured"]
    assert alone["note"].unique().to_list() == ["the run has no strategy blend"]
    later = runs.with_columns(
        first_ts=pl.when(strategy="momentum_12_1").then(pl.col("last_ts")).otherwise("first_ts")
    )
    table = figures_of_returns(later, metrics).filter(figure="sharpe_to_momentum")
    assert table["note"].item() == "blend and momentum_12_1 have other first or last bars"


def test_the_asset_shows_benchmarks_and_returns_together():
    step = Step(
        config=TradingConfig(), run_id="t", now=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        log=lambda _: None, code_version="t", data_versions={},
        read_ledger=lambda contract: contract.empty(), artifacts=None,
    )  # fmt: skip
    runs, metrics = run_frames()
    table = promised_figures.compute(step, runs=runs, metrics=metrics).frames
    assert table.height == len(PROMISES) + 10
    assert violations(cast_to_contract(table, FIGURES), FIGURES).is_empty()


def test_every_command_writes_the_figure_it_is_named_for():
    benches = Path(__file__).parents[2] / "performance"
    for promise in PROMISES:
        if promise.command is None:
            continue
        text = (benches / Path(promise.command.split()[1]).name).read_text()
        # "record("name"", f-strings with holes, or a name kept in a variable before.
        written = re.findall(r'(?:record\(\s*|named = | else )f?"([a-z0-9_{}]+)"', text)
        written += re.findall(r'else "([a-z0-9_]+)"\n', text)
        patterns = [re.sub(r"\{[a-z_]+\}", "[a-z0-9_]+", name) for name in written]
        assert any(re.fullmatch(pattern, promise.figure) for pattern in patterns), promise.figure
