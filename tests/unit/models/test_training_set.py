"""Labels against hand arithmetic, the purge, and what must never be joined."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from btq_assets import timeline
from btq_assets.config import TradingConfig
from btq_assets.contracts import features, models, regimes
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.checks import CheckContext
from btq_assets.models import folds as folding
from btq_assets.models import gates
from btq_assets.models import training_set as room
from btq_assets.models.forecaster import ModelError


@pytest.fixture(scope="module")
def small() -> TradingConfig:
    return TradingConfig(
        universe={"main": "test"},
        models={
            "walk_forward": {
                "first_test": "2011-01-01",
                "test_months": 4,
                "max_folds": 2,
                "train_years": 1,
                "validation_months": 3,
            }
        },
    )


@pytest.fixture(scope="module")
def daily(bars_of) -> pl.DataFrame:
    return bars_of(n_symbols=4, n_sessions=420)


@pytest.fixture(scope="module")
def inputs(daily: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Inputs of the asset: one real column per family, the rest null; sentiment half synthetic."""
    random = np.random.default_rng(3)
    tables = {"bars": daily}
    for family in features.FAMILIES:
        contract = features.FAMILY_CONTRACTS[family]
        rows = daily.select("universe", "symbol", "ts")
        if "symbol" not in contract.key:
            rows = rows.select("universe", "ts").unique().sort("ts")
        first, *rest = features.feature_names(family)
        values = {first: pl.Series(first, np.abs(random.normal(size=rows.height)) % 1)}
        rows = rows.with_columns(**values, **{name: pl.lit(None, pl.Float64) for name in rest})
        if family == "sentiment":
            rows = rows.with_columns(is_synthetic=pl.col("symbol") < "S02")
        others = [column for column in contract.columns if column.name not in rows.columns]
        rows = rows.with_columns(pl.lit(None, c.dtype).alias(c.name) for c in others)
        tables[family] = rows.select(contract.column_names)
    sessions = daily["ts"].unique().sort()
    tables["regimes"] = pl.DataFrame(
        {
            "scope": "test",
            "ts": sessions,
            "p_calm": 0.75,
            "p_turbulent": 0.25,
            "state": "calm",
            "trend": "bear",
            "calm_volatility_annual": 0.1,
            "turbulent_volatility_annual": 0.3,
            "fitted_until": sessions,
            "converged": True,
        },
        schema=regimes.STATES.schema,
    )
    return tables


@pytest.fixture(scope="module")
def table(inputs: dict[str, pl.DataFrame], small: TradingConfig) -> pl.DataFrame:
    return gates.build_from_inputs(inputs, small)


@pytest.fixture(scope="module")
def folds(table: pl.DataFrame, small: TradingConfig) -> pl.DataFrame:
    return folding.splits(table, small)


@pytest.fixture
def context(
    table: pl.DataFrame,
    folds: pl.DataFrame,
    inputs: dict[str, pl.DataFrame],
    small: TradingConfig,
) -> CheckContext:
    frames = {models.TRAINING_SET.table: table, models.SPLITS.table: folds}
    return CheckContext(frames, inputs, small)


def replaced(context: CheckContext, **frames: pl.DataFrame) -> CheckContext:
    named = {
        {"table": models.TRAINING_SET.table, "folds": models.SPLITS.table}[key]: frame
        for key, frame in frames.items()
    }
    return CheckContext({**context.frames, **named}, context.inputs, context.config)


def test_table_meets_its_contract(table: pl.DataFrame, folds: pl.DataFrame) -> None:
    for frame, contract in ((table, models.TRAINING_SET), (folds, models.SPLITS)):
        cast = cast_to_contract(frame, contract)
        assert violations(cast, contract).is_empty()
    assert folds.height == 2


def test_label_is_the_fill_to_fill_return_minus_the_mean(
    table: pl.DataFrame, daily: pl.DataFrame
) -> None:
    # By hand: decided at session 100, filled at 101, ended at 106.
    close = daily["adj_close"].to_numpy().reshape(4, 420)
    raw = close[:, 106] / close[:, 101] - 1
    row = table.filter(pl.col("ts") == daily["ts"][100]).sort("symbol")
    np.testing.assert_allclose(row["label_raw"], raw, rtol=1e-12)
    np.testing.assert_allclose(row["label"], raw - raw.mean(), atol=1e-15)
    assert row["label_end_ts"][0] == daily["ts"][106]
    np.testing.assert_allclose(row["session_return"], close[:, 100] / close[:, 99] - 1, rtol=1e-12)


def test_decisions_are_those_of_the_timeline(table: pl.DataFrame, daily: pl.DataFrame) -> None:
    expected = timeline.decision_times(daily["ts"], "week")
    assert table.filter("is_decision")["ts"].unique().sort().to_list() == expected.to_list()


def test_session_return_is_null_across_a_gap(daily: pl.DataFrame) -> None:
    gap = daily.filter(~((pl.col("symbol") == "S01") & (pl.col("ts") == daily["ts"][50])))
    found = room.session_returns(gap).filter(pl.col("symbol") == "S01").sort("ts")
    after = found.filter(pl.col("ts") == daily["ts"][51])["session_return"]
    assert after.to_list() == [None]
    assert found["session_return"].null_count() == 2


def test_regime_columns(table: pl.DataFrame) -> None:
    # By hand: sqrt(0.75 * 0.01 + 0.25 * 0.09) = sqrt(0.03).
    assert table["regime_trend"].unique().to_list() == [-1.0]
    np.testing.assert_allclose(table["regime_volatility_annual"][0], np.sqrt(0.03), rtol=1e-12)


def test_synthetic_documents_never_reach_the_table(
    table: pl.DataFrame, context: CheckContext
) -> None:
    filled = table.filter(pl.col("sentiment_score").is_not_null())
    assert filled["symbol"].unique().sort().to_list() == ["S02", "S03"]
    assert gates.no_synthetic_sentiment.answer(context)[0].passed
    leaking = table.with_columns(sentiment_score=pl.lit(0.5))
    answer = gates.no_synthetic_sentiment.answer(replaced(context, table=leaking))[0]
    assert not answer.passed
    assert "S00" in answer.message


def test_a_sector_is_that_of_its_session(daily: pl.DataFrame, small: TradingConfig) -> None:
    """S00 changes sector, S01 leaves and comes back, S02 has none, S03 is no member."""
    days = daily["ts"].unique().sort().dt.date()

    def spell(symbol: str, first: int, last: int | None, sector: str | None) -> dict:
        until = None if last is None else days[last]
        return {
            "universe": "test",
            "symbol": symbol,
            "valid_from": days[first],
            "valid_to": until,
            "sector": sector,
        }

    spells = [
        spell("S00", 0, 99, "Energy"),
        spell("S00", 100, None, "Industrials"),
        spell("S01", 10, 19, "Energy"),
        spell("S01", 30, None, "Energy"),
        spell("S02", 0, None, None),
        {**spell("S03", 0, None, "Energy"), "universe": "other"},
    ]
    membership = pl.DataFrame(spells, infer_schema_length=None)
    frame = room.build(daily, {}, regimes.STATES.empty(), small, membership)
    of = frame.sort("ts").partition_by("symbol", as_dict=True)
    found = {symbol: rows["sector"].to_list() for (symbol,), rows in of.items()}
    assert found["S00"] == ["Energy"] * 100 + ["Industrials"] * 320
    assert found["S01"] == [None] * 10 + ["Energy"] * 10 + [None] * 10 + ["Energy"] * 390
    assert {*found["S02"], *found["S03"]} == {None}
    # No feature: every other column is what it is without it.
    without = room.build(daily, {}, regimes.STATES.empty(), small)
    assert without["sector"].null_count() == without.height
    assert without.drop("sector").equals(frame.drop("sector"))
    offered = models.DEFAULT_COLUMNS
    assert "sector" not in (*offered.asset, *offered.market)


def test_null_families_are_reported(table: pl.DataFrame, small: TradingConfig) -> None:
    nothing = table.with_columns(sentiment_score=pl.lit(None, pl.Float64))
    report = room.null_families(nothing, small)
    assert report["sentiment"] == "all null"
    assert "return_5d" in report["technical"]
    assert "return_1d" not in report["technical"]


def test_absent_families_and_empty_regimes_give_null_columns(
    daily: pl.DataFrame, small: TradingConfig
) -> None:
    frame = room.build(daily, {}, regimes.STATES.empty(), small)
    assert frame.columns == list(models.TRAINING_SET.column_names)
    assert frame["regime_trend"].null_count() == frame.height


def test_columns_without_data_in_the_training_segment_are_left_out(
    table: pl.DataFrame, folds: pl.DataFrame
) -> None:
    fold = folds.row(0, named=True)
    late = table.with_columns(
        rsi_14=pl.when(pl.col("ts") >= fold["validation_start"]).then(pl.lit(50.0))
    )
    data = folding.for_fold(late, fold, market=True)
    # Data that start later must not choose the design of an earlier fit.
    assert "rsi_14" not in data.asset_features
    assert data.asset_features[0] == "return_1d"
    assert "regime_trend" in data.market_features
    assert folding.for_fold(late, fold, market=False).market_features == ()


def test_fold_sees_nothing_of_its_test_segment(table: pl.DataFrame, folds: pl.DataFrame) -> None:
    for fold in folds.iter_rows(named=True):
        data = folding.for_fold(table, fold, market=True)
        labelled = data.panel.filter(pl.col("label").is_not_null())
        assert data.panel["ts"].max() < fold["test_start"]
        assert labelled["label_end_ts"].max() <= fold["test_start"]
        assert data.train_rows()["label_end_ts"].max() <= fold["validation_start"]
        assert data.fitted_until() <= fold["test_start"]


def test_purge_check_catches_an_overlapping_label(
    context: CheckContext, table: pl.DataFrame, folds: pl.DataFrame
) -> None:
    assert gates.purge.answer(context)[0].passed
    # The decision one week before validation is filled after validation starts.
    decisions = table.filter("is_decision")["ts"].unique().sort()
    later = decisions.filter(decisions < folds["validation_start"][0])[-1]
    overlapping = folds.with_columns(
        train_end=pl.when(pl.col("fold") == 0)
        .then(pl.lit(later).cast(folds.schema["train_end"]))
        .otherwise(pl.col("train_end"))
    )
    answer = gates.purge.answer(replaced(context, folds=overlapping))[0]
    assert not answer.passed
    assert "fold 0 train" in answer.message
    with pytest.raises(folding.PurgeError, match="train label"):
        folding.for_fold(table, overlapping.row(0, named=True), market=False).train_rows()


def test_label_horizon_check_catches_a_longer_label(
    context: CheckContext, table: pl.DataFrame
) -> None:
    assert gates.label_horizon.answer(context)[0].passed
    longer = table.with_columns(pl.col("label").shift(-1).over("symbol"))
    answer = gates.label_horizon.answer(replaced(context, table=longer))[0]
    assert not answer.passed


def test_truncation_check_catches_a_feature_of_tomorrow(
    context: CheckContext, table: pl.DataFrame
) -> None:
    group = gates.training_set_truncation(models.TRAINING_SET)
    assert group.answer(context)[0].passed
    leaking = table.with_columns(pl.col("return_1d").shift(-1).over("symbol"))
    answer = group.answer(replaced(context, table=leaking))[0]
    assert not answer.passed
    assert "return_1d" in answer.message


def test_folds_do_not_move_when_the_data_end_earlier(
    table: pl.DataFrame, folds: pl.DataFrame, small: TradingConfig
) -> None:
    cut = folds["test_start"][1] + dt.timedelta(days=20)
    again = folding.splits(folding.truncate(table, cut), small)
    assert again.drop("test_end").equals(folds.drop("test_end"))


def test_truncated_table_forgets_unfilled_labels(table: pl.DataFrame) -> None:
    cut = table["ts"].unique().sort()[200]
    known = folding.truncate(table, cut)
    assert known["ts"].max() == cut
    assert known.filter(pl.col("label").is_not_null())["label_end_ts"].max() == cut


def test_panel_between_has_history_that_does_not_decide(table: pl.DataFrame) -> None:
    sessions = table["ts"].unique().sort()
    panel = folding.panel_between(table, sessions[100], sessions[150], 30)
    assert panel["ts"].min() == sessions[70]
    assert panel.filter("is_decision")["ts"].min() >= sessions[100]
    assert "label" not in panel.columns


def test_unknown_universe_is_named(daily: pl.DataFrame) -> None:
    with pytest.raises(ModelError, match="'us20' has no bars; there are bars of \\['test'\\]"):
        room.build(daily, {}, regimes.STATES.empty(), TradingConfig())
