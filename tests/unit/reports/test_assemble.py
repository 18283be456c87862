"""The view holds the numbers of the tables, and every table it reads matters."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from report_frames import BASELINES, CANDIDATES, INDEX, NOW, VERDICT, Verdict, fill, make_context

from btq_assets.reports.assemble import ReportError, assemble, results_hash
from btq_assets.reports.checks import examine
from btq_assets.reports.frames import CONTRACTS, ReportContext, ReportFrames
from btq_assets.reports.parts import forecasts, series
from btq_assets.reports.render import render
from btq_assets.reports.view import LineChart, ReportView, Table


def tables_of(view: ReportView, key: str) -> list[Table]:
    section = next(section for section in view.sections if section.key == key)
    return [block for block in section.blocks if isinstance(block, Table)]


def charts_of(view: ReportView) -> dict[str, LineChart]:
    return {
        block.key: block
        for section in view.sections
        for block in section.blocks
        if isinstance(block, LineChart)
    }


def test_parts_come_in_order(report_view: ReportView) -> None:
    assert [section.key for section in report_view.sections] == [
        "strategies", "evidence", "charts", "slices", "scenarios", "costs", "risk", "forecasts", "why",
        "comparison", "regimes", "features", "data", "provenance",
    ]  # fmt: skip


def test_every_run_has_its_row_and_the_index_is_marked(
    report_view: ReportView, report_tables: ReportFrames
) -> None:
    figures = tables_of(report_view, "strategies")[0]
    rows = {row.cells[0].text: row for row in figures.rows if row.kind != "group"}
    assert set(rows) == {*CANDIDATES, *BASELINES, INDEX}
    assert "not comparable" in rows[INDEX].cells[0].detail
    for name in CANDIDATES:
        value = report_tables.figure(name, "sharpe")
        assert rows[name].cells[3].text == f"{value:.2f}".replace("-", "−")
    order = [row.cells[0].text for row in figures.rows if row.kind == "candidate"]
    assert order == report_tables.strategies("candidate")


def test_the_verdict_is_the_one_that_was_given(
    report_tables: ReportFrames, report_context: ReportContext
) -> None:
    won = Verdict("At least 14 trials: ridge beats 1/N.", ("ridge",), 14, VERDICT.candidates)
    box = assemble(report_tables, replace(report_context, verdict=won)).verdict
    assert box.positive
    assert "What survives: ridge." in box.statements
    box = assemble(report_tables, report_context).verdict
    assert not box.positive
    assert box.headline.endswith("nothing beats 1/N.")
    assert "What survives: no strategy." in box.statements


def test_drawdown_and_growth_follow_from_equity() -> None:
    # By hand: 100, 120, 90, 96: growth 1, 1.2, 0.9, 0.96; below the high of 120 by 25 % and 20 %.
    stamps = [dt.datetime(2021, 3, day, 21, tzinfo=dt.UTC) for day in (1, 2, 8, 9)]
    equity = fill(
        CONTRACTS["equity"],
        [
            {"run_id": "r", "strategy": "s", "ts": ts, "equity": value, "cash": 0.5 * value,
             "gross_exposure": 0.5, "net_exposure": 0.5, "turnover": 0.0, "cost": 0.0}
            for ts, value in zip(stamps, (100.0, 120.0, 90.0, 96.0), strict=True)
        ],
    )  # fmt: skip
    points = series.weekly(equity)
    assert points["day"].to_list() == [dt.date(2021, 3, 2), dt.date(2021, 3, 9)]
    assert points["growth"].to_list() == pytest.approx([1.2, 0.96])
    assert points["drawdown"].to_list() == pytest.approx([0.0, -0.25])
    assert points["cash"].to_list() == pytest.approx([0.5, 0.5])
    assert points["rolling_sharpe"].to_list() == [None, None]


def test_rolling_sharpe_is_that_of_the_last_year(report_tables: ReportFrames) -> None:
    points = series.weekly(report_tables["equity"]).filter(pl.col("strategy") == "hrp")
    returns = report_tables["equity"].filter(pl.col("strategy") == "hrp").sort("ts")["net_return"]
    last = returns.to_numpy()[-252:]
    expected = last.mean() / last.std(ddof=1) * np.sqrt(252)
    assert points["rolling_sharpe"][-1] == pytest.approx(expected)


def test_weights_last_until_the_next_fill() -> None:
    january, march = (dt.datetime(2021, month, 5, 21, tzinfo=dt.UTC) for month in (1, 3))
    rows = [
        ("A", january, 0.3), ("B", january, 0.7), ("A", march, 0.0), ("B", march, 0.4),
    ]  # fmt: skip
    positions = fill(
        CONTRACTS["positions"],
        [
            {"run_id": "r", "strategy": "s", "symbol": symbol, "ts": ts, "weight": weight,
             "shares": 1.0, "value": 1.0}
            for symbol, ts, weight in rows
        ],
    )  # fmt: skip
    months = [dt.date(2020, 12, 1), *(dt.date(2021, month, 1) for month in (1, 2, 3))]
    symbols, weights = series.monthly_weights(positions, months)
    assert symbols == ["A", "B"]
    assert weights.tolist() == [[0.0, 0.3, 0.3, 0.0], [0.0, 0.7, 0.7, 0.4]]


def test_exceedances_drawn_are_the_next_sessions_below_var(
    report_tables: ReportFrames, report_context: ReportContext
) -> None:
    name = report_tables.leader
    # VaR that jumps from day to day, so that a session too early or too late would show.
    measures = report_tables["measures"].with_columns(
        value=pl.when(pl.col("ts").dt.day() % 2 == 0).then(0.9).otherwise(pl.col("value"))
    )
    tables = {**report_tables.tables, "measures": measures}
    view = assemble(replace(report_tables, tables=tables), report_context)
    var = measures.filter(
        (pl.col("strategy") == name) & (pl.col("measure") == "var")
        & (pl.col("method") == "historical") & (pl.col("level") == 0.95)
    ).sort("ts")  # fmt: skip
    equity = report_tables["equity"].filter(pl.col("strategy") == name).sort("ts")
    returns = dict(equity.select("ts", "net_return").iter_rows())
    stamps = equity["ts"].to_list()
    after = dict(itertools.pairwise(stamps))
    expected = [
        returns[after[ts]]
        for ts, value in var.select("ts", "value").iter_rows()
        if ts in after and returns[after[ts]] < -value
    ]
    _, drawn = charts_of(view)["exceedances"].points["exceedance"]
    assert drawn.tolist() == expected
    assert expected


def test_rank_ic_finds_skill_and_says_when_there_is_none(
    report_view: ReportView, report_tables: ReportFrames
) -> None:
    table = tables_of(report_view, "forecasts")[0]
    whole = {(row.cells[0].text, row.cells[1].text): row.cells[3].interval for row in table.rows}
    skilled, hollow = whole["ridge", "base"], whole["transformer_gnn", "base"]
    assert skilled is not None
    assert hollow is not None
    assert skilled.low > 0.1
    assert hollow.low < 0.05
    # A perfect forecast has a rank IC of one at every date, an inverted one minus one.
    labels = report_tables["training_set"].select("universe", "symbol", "ts", "label")
    known = report_tables.forecasts["ridge"].join(labels, on=["universe", "symbol", "ts"])
    for sign in (1.0, -1.0):
        perfect = known.with_columns(forecast=sign * pl.col("label"))
        ics = forecasts.rank_ics(perfect, labels)["rank_ic"]
        assert ics.to_numpy() == pytest.approx(sign)


def test_an_interval_of_few_dates_is_not_given() -> None:
    found = forecasts.mean_with_interval(np.full(19, 0.1), n_samples=100, seed=1)
    assert found.value == pytest.approx(0.1)
    assert np.isnan(found.low)


CHANGES = {
    "metrics": pl.col("value") * 1.5 + 0.1,
    "comparisons": pl.col("mean_difference_annual") + 0.3,
    "deflated_sharpe": pl.col("deflated_sharpe") * 0.5,
    "equity": pl.col("equity") * (1 + 0.1 * (pl.col("ts").dt.day() / 31)),
    "positions": pl.col("weight") * pl.col("ts").dt.month() / 12,
    "deflation_curves": pl.col("deflated_sharpe") * 0.5,
    "overfitting_ranks": pl.col("share") * 0.5,
    "slices": pl.col("value") * 0.5,
    "attribution": pl.col("coefficient") * 0.5,
    "sensitivity": pl.col("excess_annual") * 0.5,
    "comparison": pl.col("sharpe") * 0.5,
    "comparison_seeds": pl.col("rank_ic") * 0.5,
    "comparison_decay": pl.col("rank_ic") * 0.5,
    "comparison_pairs": pl.col("difference") * 0.5,
    "comparison_ablations": pl.col("rank_ic_with") * 0.5,
    "scenarios": pl.col("sharpe") * 0.5,
    "crises": pl.col("window_return") * 0.5,
    "stresses": pl.col("sharpe") * 0.5,
    "transaction_costs": pl.col("commission") * 2,
    "selection": pl.col("overfitting_probability") * 0.5,
    "discoveries": pl.lit(True).alias("superior"),
    "findings": pl.col("detail") + "!",
    "measures": pl.col("value") * 2,
    "exceedances": pl.col("observed") + 5,
    "drawdowns": pl.col("depth") * 0.5,
    "stress": pl.col("window_return") * 0.5,
    "simulations": pl.col("value") * 0.5,
    "splits": pl.col("test_start").dt.offset_by("-3mo"),
    "training_set": pl.col("label") * -1,
    "states": pl.col("p_turbulent") * 0.3,
    "market_states": pl.col("p_bull") * 0.3,
    "hidden_states": pl.col("p_bear") * 0.3,
    "volatility_states": pl.col("volatility_forecast_annual") * 2,
    "change_points": pl.lit(0.9).alias("p_recent_change"),
    "stress_index": pl.lit(True).alias("is_crisis"),
    "correlation_breaks": pl.lit(True).alias("is_break"),
    "regime_parameters": pl.col("exposure_multiplier") * 0.5,
    "instruments": pl.col("caveat") + "!",
    "bars": pl.col("symbol") + "X",
    "macro": pl.col("series_id") + "X",
    "documents": pl.lit("REAL").alias("label"),
    "catalogue": pl.lit(True).alias("enabled"),
    "feature_quality": pl.col("psi") * 3,
    "feature_plots": pl.lit(0).cast(pl.Int64).alias("n_values"),
    "importances_ridge": pl.col("importance") * 0.5,
    "importances_lightgbm": pl.col("importance") * 0.5,
    "importance": pl.col("value") * 0.5,
    "weight_reasons": pl.col("weight") * 0.5,
    "weight_contributions": pl.col("contribution") * 0.5,
    "gates": pl.lit(True).alias("passed"),
    "quarantine": pl.col("reason") + "!",
    "repairs": pl.lit(True).alias("applied"),
    "trials": pl.col("trial_id") + "X",
    "provenance": (pl.lit("X") + pl.col("data_version")).alias("data_version"),
    "runs": pl.col("notes") + "!",
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_table_changes_the_page(
    name: str, report_tables: ReportFrames, report_context: ReportContext, report_page: str
) -> None:
    frame = report_tables[name].with_columns(CHANGES[name])
    tables = {**report_tables.tables, name: frame}
    before = report_page
    if name == "trials":  # where deflated_sharpe has a row, it names the trial itself
        tables["deflated_sharpe"] = report_tables["deflated_sharpe"].clear()
        bare = replace(report_tables, tables={**tables, name: report_tables[name]})
        before = render(assemble(bare, report_context))
    page = render(assemble(replace(report_tables, tables=tables), report_context))
    assert page != before


def test_no_table_of_the_report_escapes_that_test() -> None:
    assert set(CHANGES) == set(CONTRACTS)


def test_a_report_of_the_bare_minimum_is_still_a_report(report_tables: ReportFrames) -> None:
    few = {name: report_tables[name] for name in ("runs", "equity", "metrics")}
    view = assemble(ReportFrames(few), make_context())
    assert [answer.name for answer in examine(render(view), view, ()) if not answer.passed] == []
    assert [section.key for section in view.sections] == [
        "strategies", "charts", "slices", "scenarios", "costs", "risk", "comparison", "data",
        "provenance",
    ]  # fmt: skip
    said = {section.key: " ".join(map(str, section.blocks)) for section in view.sections}
    for key, tables in {
        "slices": ("slices", "attribution", "sensitivity"),
        "scenarios": ("scenarios", "crises", "stresses"),
        "costs": ("transaction_costs",),
        "comparison": ("comparison",),
    }.items():
        for name in tables:
            assert f"{CONTRACTS[name].table} is empty" in said[key]


@pytest.mark.parametrize("name", ["runs", "equity"])
def test_nothing_to_report_on_is_said(name: str, report_tables: ReportFrames) -> None:
    tables = {**report_tables.tables, name: CONTRACTS[name].empty()}
    with pytest.raises(ReportError, match=f"backtest.{name} is empty"):
        assemble(replace(report_tables, tables=tables), make_context())


def test_an_unknown_table_is_refused() -> None:
    with pytest.raises(KeyError, match="equities"):
        ReportFrames({"equities": CONTRACTS["equity"].empty()})


def test_the_same_input_gives_the_same_page(
    report_tables: ReportFrames, report_context: ReportContext, report_page: str
) -> None:
    assert render(assemble(report_tables, report_context)) == report_page


def test_the_results_hash_covers_results_alone() -> None:
    versions = {
        "models.forecasts_ridge": "a", "portfolio.targets_rank": "b", "backtest.equity": "c",
        "backtest.metrics": "d", "risk.measures": "e",
    }  # fmt: skip
    known = results_hash(versions)
    assert len(known) == 64
    assert results_hash({**versions, "risk.measures": "x"}) == known
    assert results_hash(dict(reversed(versions.items()))) == known
    for table in list(versions)[:4]:
        assert results_hash({**versions, table: "x"}) != known


def test_texts_from_tables_are_escaped(report_page: str) -> None:
    assert "BSD-3 <licence>" not in report_page
    assert "BSD-3 &lt;licence&gt;" in report_page
    assert f"{NOW:%Y-%m-%d %H:%M} UTC" in report_page
