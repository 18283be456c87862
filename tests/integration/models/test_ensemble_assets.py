"""Ensembles, distributions and intervals as tables: on forecasts whose skill is planted."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import ensembles as tables
from btq_assets.contracts import models, portfolio, regimes
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.checks import CheckContext
from btq_assets.models.ensembles import assets
from btq_assets.models.ensembles.validation import inner_fold
from btq_assets.models.ensembles.weighting import skill_weights
from btq_assets.models.forecaster import ModelError
from btq_assets.models.intervals import wrong_coverage
from btq_assets.warehouse import Step

KEY = ["universe", "symbol", "ts"]
N, T = 8, 200
START = dt.datetime(2015, 1, 5, 21, tzinfo=dt.UTC)
#: First and last week of each test segment, and of the first validation segment.
TESTS = ((50, 99), (100, 149), (150, 199))
VALIDATION = (20, 48)
NOW = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def week(n: int) -> dt.datetime:
    return START + dt.timedelta(weeks=n)


def config_of(*members: str, **settings: Any) -> TradingConfig:
    return TradingConfig(
        universe={"main": "test"},
        features={"truncation_dates": 2},
        models={
            "ensembles": {"members": members or ("ridge", "lightgbm"), "regime_dates": 10},
            "intervals": {"minimum_scores": 40, "window": 200},
            **settings,
        },
    )


def tidy(values: np.ndarray, first: int = 0, **columns: Any) -> pl.DataFrame:
    """Rows of ``(weeks, assets)`` values from a week on."""
    weeks, assets = values.shape
    return pl.DataFrame(
        {
            "universe": "test",
            "symbol": [f"S{n}" for _ in range(weeks) for n in range(assets)],
            "ts": [week(first + n) for n in range(weeks) for _ in range(assets)],
            "value": values.ravel(),
        }
    ).with_columns(**columns)


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    random = np.random.default_rng(7)
    found = 0.02 * random.normal(size=(T, N))
    return found - found.mean(axis=1, keepdims=True)


def forecasts(labels: np.ndarray, skill: np.ndarray, seed: int) -> np.ndarray:
    """Forecasts with a correlation of about `skill` in each week."""
    noise = 0.02 * np.random.default_rng(seed).normal(size=labels.shape)
    return 0.05 * (skill[:, None] * labels + np.sqrt(1 - skill[:, None] ** 2) * noise)


def as_table(values: np.ndarray, contract: Any, seeds: tuple[int, ...] = (0,)) -> pl.DataFrame:
    parts = [
        tidy(
            values[first : last + 1] * (1 + 0.01 * seed),
            first,
            fold=pl.lit(fold, pl.Int64),
            seed=pl.lit(seed, pl.Int64),
            horizon_sessions=pl.lit(5, pl.Int64),
            variant=pl.lit("base"),
            model_id=pl.lit("m"),
            **{column.name: pl.lit(None, column.dtype) for column in models.DISTRIBUTION},
        ).rename({"value": "forecast"})
        for fold, (first, last) in enumerate(TESTS)
        for seed in seeds
    ]
    return cast_to_contract(pl.concat(parts).select(contract.column_names), contract)


@pytest.fixture(scope="module")
def inputs(labels: np.ndarray) -> dict[str, pl.DataFrame]:
    """Ridge is good in calm weeks, LightGBM in turbulent ones; agents know nothing."""
    calm = (np.arange(T) // 7) % 2 == 0
    of = {
        "ridge": forecasts(labels, np.where(calm, 0.5, 0.0), 1),
        "lightgbm": forecasts(labels, np.where(calm, 0.0, 0.3), 2),
        "ppo": forecasts(labels, np.zeros(T), 3),
    }
    training = tidy(
        labels,
        is_decision=True,
        label_end_ts=pl.col("ts") + pl.duration(days=8),
        session_return=pl.lit(0.0),
    ).rename({"value": "label"})
    training = training.with_columns(label_raw="label", label_start_ts=pl.col("ts"))
    splits = pl.DataFrame(
        [
            {
                "universe": "test", "fold": fold, "train_start": week(0), "train_end": week(17),
                "validation_start": week(first - 30), "validation_end": week(first - 2),
                "test_start": week(first), "test_end": week(last), "n_purged": 0,
            }
            for fold, (first, last) in enumerate(TESTS)
        ],
        schema=models.SPLITS.schema,
    )  # fmt: skip
    first, last = VALIDATION
    validation = pl.concat(
        tidy(of[name][first : last + 1], first).rename({"value": "forecast"}).with_columns(
            member=pl.lit(name), fold=pl.lit(0, pl.Int64), fitted_until=pl.lit(week(19))
        )
        for name in ("ridge", "lightgbm")
    )  # fmt: skip
    states = pl.DataFrame(
        {
            "scope": "test",
            "ts": [week(n) for n in range(T)],
            "p_calm": np.where(calm, 0.9, 0.1),
            "p_turbulent": np.where(calm, 0.1, 0.9),
            "state": np.where(calm, "calm", "turbulent"),
            "trend": "bull",
            "calm_volatility_annual": 0.1,
            "turbulent_volatility_annual": 0.3,
            "fitted_until": START,
            "converged": True,
        },
        schema=regimes.STATES.schema,
    )
    targets = tidy(np.clip(of["ppo"], -1, 1), strategy=pl.lit("ppo")).rename({"value": "weight"})
    return {
        "training_set": training,
        "splits": splits,
        "validation": validation.select(tables.VALIDATION_FORECASTS.column_names),
        "states": states,
        "ridge": as_table(of["ridge"], models.FORECASTS_RIDGE),
        "lightgbm": as_table(of["lightgbm"], models.FORECASTS_LIGHTGBM),
        "ppo": cast_to_contract(
            targets.select(portfolio.TARGETS_PPO.column_names), portfolio.TARGETS_PPO
        ),
    }


def step_of(config: TradingConfig) -> Step:
    return Step(
        config=config,
        run_id="test",
        now=NOW,
        log=lambda message: None,
        code_version="v1",
        data_versions={},
        read_ledger=lambda contract: contract.empty(),
        artifacts=None,  # type: ignore[arg-type]
    )


def made(asset: Any, given: dict[str, pl.DataFrame], config: TradingConfig) -> tuple[Any, ...]:
    """Output, frames in their contracts' types, answers of the checks."""
    own = {name: given[name] for name in asset.inputs}
    output = asset.compute(step_of(config), **own)
    frames = output.frames
    if isinstance(frames, pl.DataFrame):
        frames = {asset.outputs[0].table: frames}
    cast = {c.table: cast_to_contract(frames[c.table], c) for c in asset.outputs}
    for contract in asset.outputs:
        assert violations(cast[contract.table], contract).is_empty()
    return output, cast, answers(asset, cast, own, config)


def answers(asset: Any, frames: Any, given: Any, config: TradingConfig) -> dict[str, Any]:
    context = CheckContext(frames, given, config)
    return {o.name: o for group in asset.checks for o in group.answer(context)}


@pytest.fixture(scope="module")
def ensembled(inputs: dict[str, pl.DataFrame]) -> tuple[Any, ...]:
    # Planted skill is beyond what is plausible of a market; that gate has its own test.
    config = config_of()
    output, cast, found = made(assets.ensembles_asset(config), inputs, config)
    failed = {name for name, outcome in found.items() if not outcome.passed}
    assert failed <= {"plausible_ic"}, {n: found[n].message for n in failed}
    return output, cast, config


def test_weights_are_those_of_what_was_filled_before_each_fold(inputs, ensembled) -> None:
    """Against `skill_weights` on frames cut by hand."""
    _, cast, _ = ensembled
    weights = cast[tables.ENSEMBLE_WEIGHTS.table].filter(
        (pl.col("rule") == "weighted") & (pl.col("regime") == "")
    )
    assert set(weights["basis"]) == {"learnt"}
    for fold, (first, _) in enumerate(TESTS):
        frames = []
        for name in ("ridge", "lightgbm"):
            early = inputs["validation"].filter(pl.col("member") == name)
            frames.append(
                pl.concat(
                    [
                        early.select(*KEY, "forecast", fitted_until=pl.lit(week(19))),
                        inputs[name]
                        .filter(pl.col("ts") < week(first))
                        .select(*KEY, "forecast", fitted_until=pl.lit(week(50))),
                    ]
                ).with_columns(
                    fitted_until=pl.when(pl.col("ts") < week(50)).then(week(19)).otherwise(week(50))
                )
            )
        labels = inputs["training_set"].filter(pl.col("label_end_ts") <= week(first))
        expected = skill_weights(frames, labels, until=week(first))
        own = weights.filter(pl.col("fold") == fold)
        found = {row["member"]: row["weight"] for row in own.iter_rows(named=True)}
        assert found == pytest.approx(
            dict(zip(("ridge", "lightgbm"), expected.weights, strict=True))
        )
        assert set(own["learnt_until"]) == {expected.fitted_until}
        assert set(own["used_from"]) == {week(first)}


def test_each_rule_beats_the_worse_member_and_the_gate_the_pooled_weights(
    inputs, ensembled
) -> None:
    output, cast, _ = ensembled
    ics = output.metadata["mean_rank_ic"]
    assert ics["gated"] > ics["weighted"] + 0.02
    assert min(ics.values()) > 0.15
    gated = cast[tables.ENSEMBLE_WEIGHTS.table].filter(
        (pl.col("rule") == "gated") & (pl.col("fold") == 2)
    )
    own = {(r["regime"], r["member"]): r["weight"] for r in gated.iter_rows(named=True)}
    assert own["calm", "ridge"] > 0.8
    assert own["turbulent", "lightgbm"] > 0.8
    assert {"Weights: gated", "Weights: weighted", "Rank IC out of sample"} <= set(output.plots)


def test_later_labels_and_forecasts_change_no_weight(inputs, ensembled) -> None:
    """All that comes after the second test segment starts is replaced by noise."""
    _, cast, config = ensembled
    random = np.random.default_rng(11)
    cut = week(TESTS[1][0])

    def spoilt(frame: pl.DataFrame, column: str, late: pl.Expr) -> pl.DataFrame:
        noise = pl.Series(random.normal(size=frame.height))
        return frame.with_columns(pl.when(late).then(noise).otherwise(column).alias(column))

    changed = dict(inputs)
    changed["training_set"] = spoilt(inputs["training_set"], "label", pl.col("label_end_ts") > cut)
    for name in ("ridge", "lightgbm"):
        changed[name] = spoilt(inputs[name], "forecast", pl.col("ts") >= cut)
    again = assets.ensembled_from(changed, config).weights
    early = pl.col("fold") <= 1
    before = cast[tables.ENSEMBLE_WEIGHTS.table]
    assert again.filter(early).equals(before.filter(early))
    assert not again.equals(before)


def test_a_leak_is_caught(inputs, ensembled) -> None:
    """Weights learnt from the test segment itself: the truncation check refuses the tables."""
    _, _, config = ensembled
    asset = assets.ensembles_asset(config)
    leaking = assets.ensembled_from(inputs, config, until="test_end")
    frames = {tables.ENSEMBLES[rule].table: frame for rule, frame in leaking.forecasts.items()}
    own = {name: inputs[name] for name in asset.inputs}
    found = answers(asset, {**frames, tables.ENSEMBLE_WEIGHTS.table: leaking.weights}, own, config)
    for rule in ("weighted", "stacked", "gated"):
        assert not found[f"truncation_{rule}"].passed, rule
    # Nor do the rows of the weights pass their contract.
    assert violations(leaking.weights, tables.ENSEMBLE_WEIGHTS)["reason"].unique().to_list() == [
        "learnt_from_the_future"
    ]


def test_implausible_and_misplaced_forecasts_are_refused(inputs, ensembled, labels) -> None:
    _, cast, config = ensembled
    asset = assets.ensembles_asset(config)
    own = {name: inputs[name] for name in asset.inputs}
    table = tables.ENSEMBLES["voting"].table
    moved = cast[table].with_columns(
        fold=pl.when(pl.col("ts") == week(60)).then(1).otherwise("fold")
    )
    found = answers(asset, {**cast, table: moved}, own, config)
    assert not found["out_of_sample"].passed
    assert "voting: 8 forecast(s) outside the test segment" in found["out_of_sample"].message
    found = answers(asset, cast, own, config)
    assert not found["plausible_ic"].passed  # planted: a rank IC no market gives


def test_every_input_moves_the_ensembles(inputs, ensembled) -> None:
    _, cast, config = ensembled
    random = np.random.default_rng(3)
    columns = {
        "training_set": "label", "validation": "forecast", "states": "p_calm",
        "ridge": "forecast", "lightgbm": "forecast",
    }  # fmt: skip
    stored = {rule: cast[contract.table] for rule, contract in tables.ENSEMBLES.items()}
    for name, column in columns.items():
        noise = pl.Series(random.uniform(size=inputs[name].height))
        changed = {**inputs, name: inputs[name].with_columns(noise.alias(column))}
        again = assets.ensembled_from(changed, config).forecasts
        assert any(
            not again[rule]["forecast"].equals(frame["forecast"]) for rule, frame in stored.items()
        ), name
    earlier = inputs["splits"].with_columns(test_start=pl.col("test_start") - pl.duration(weeks=5))
    again = assets.ensembled_from({**inputs, "splits": earlier}, config)
    assert not again.weights.equals(cast[tables.ENSEMBLE_WEIGHTS.table])


def test_agents_join_and_the_first_fold_is_equal_for_want_of_evidence(inputs) -> None:
    config = config_of("ridge", "lightgbm", "ppo")
    asset = assets.ensembles_asset(config)
    assert asset.inputs["ppo"] == portfolio.TARGETS_PPO
    _, cast, _ = made(asset, inputs, config)
    weights = cast[tables.ENSEMBLE_WEIGHTS.table].filter(pl.col("rule") == "weighted")
    first = weights.filter(pl.col("fold") == 0)
    assert set(first["basis"]) == {"no evidence"}
    assert first["weight"].to_list() == pytest.approx([1 / 3] * 3)
    last = weights.filter(pl.col("fold") == 2)
    own = {r["member"]: r["weight"] for r in last.iter_rows(named=True)}
    assert own["ppo"] < 0.2 < own["lightgbm"] < own["ridge"]


def test_members_without_skill_are_weighed_equally_and_it_is_said(inputs) -> None:
    config = config_of()
    turned = {
        **inputs,
        "validation": inputs["validation"].with_columns(-pl.col("forecast")),
        **{n: inputs[n].with_columns(-pl.col("forecast")) for n in ("ridge", "lightgbm")},
    }
    weights = assets.ensembled_from(turned, config).weights.filter(pl.col("rule") != "voting")
    assert set(weights["basis"]) == {"no skill"}
    assert set(weights["weight"]) == {0.5}


def test_members_that_cannot_be_are_refused() -> None:
    with pytest.raises(ModelError, match="did you mean 'ridge'"):
        assets.members_of(config_of("rigde", "lightgbm"))
    with pytest.raises(ValueError, match="names a family twice"):
        config_of("ridge", "ridge")


def test_the_fold_inside_the_first_fold_is_purged(inputs) -> None:
    training, fold = inputs["training_set"], inputs["splits"].row(0, named=True)
    inner = inner_fold(training, fold)
    ends = dict(training.select("ts", "label_end_ts").unique().iter_rows())
    assert ends[inner["train_end"]] <= inner["validation_start"]
    assert ends[inner["validation_end"]] <= inner["test_start"] == fold["validation_start"]
    assert inner["test_end"] == fold["validation_end"]
    # 18 decisions, the last 15 % of which stop: from the 16th on.
    assert inner["validation_start"] == week(15)
    with pytest.raises(ModelError, match="too few to fit on a part"):
        inner_fold(training, {**fold, "train_end": week(0)})


def test_a_validation_forecast_that_saw_its_label_is_refused(inputs) -> None:
    config = config_of()
    asset = assets.validation_asset(config)
    own = {name: inputs[name] for name in asset.inputs}
    table = tables.VALIDATION_FORECASTS.table
    assert answers(asset, {table: inputs["validation"]}, own, config)["out_of_sample"].passed
    late = inputs["validation"].with_columns(fitted_until=pl.lit(week(21)))
    found = answers(asset, {table: late}, own, config)["out_of_sample"]
    assert not found.passed
    assert "fitted until 2015-06-01" in found.message
    assert "fitted_on_its_own_label" in violations(late, asset.outputs[0])["reason"].to_list()
    fewer = inputs["validation"].filter(pl.col("member") == "ridge")
    found = answers(asset, {table: fewer}, own, config)["out_of_sample"]
    assert found.message == "lightgbm lacks 232 decision(s)"


def test_seeds_are_mixed_in_closed_form(inputs, labels) -> None:
    """Two seeds, one of which says its variance: by hand for a row, null where one says none."""
    config = config_of()
    two = as_table(forecasts(labels, np.full(T, 0.3), 5), models.FORECASTS_RIDGE, seeds=(0, 9))
    said = two.with_columns(
        variance=pl.when(pl.col("seed") == 0).then(4e-4).otherwise(2e-4),
        quantile_05=pl.col("forecast") - 0.03, quantile_25=pl.col("forecast") - 0.01,
        quantile_50="forecast", quantile_75=pl.col("forecast") + 0.01,
        quantile_95=pl.when(pl.col("seed") == 0).then(pl.col("forecast") + 0.03),
    )  # fmt: skip
    given = {"ridge": said, "lightgbm": inputs["lightgbm"]}
    asset = assets.distributions_asset(config)
    output, cast, found = made(asset, given, config)
    assert found["one_row_per_forecast"].passed
    frame = cast[tables.FORECAST_DISTRIBUTIONS.table]
    row = frame.filter(pl.col("model") == "ridge").row(0, named=True)
    one, other = said.filter(
        (pl.col("symbol") == row["symbol"]) & (pl.col("ts") == row["ts"])
    ).sort("seed")["forecast"]
    assert row["n_seeds"] == 2
    assert row["forecast"] == pytest.approx((one + other) / 2)
    assert row["disagreement"] == pytest.approx(((one - other) / 2) ** 2)
    assert row["variance"] == pytest.approx(3e-4 + ((one - other) / 2) ** 2)
    assert row["quantile_05"] == pytest.approx((one + other) / 2 - 0.03)
    assert row["quantile_95"] is None  # one of the seeds has none
    alone = frame.filter(pl.col("model") == "lightgbm")
    assert alone["disagreement"].unique().to_list() == [0.0]
    assert alone["variance"].null_count() == alone.height
    assert output.metadata["with_variance"] == ["ridge"]
    wrong = {tables.FORECAST_DISTRIBUTIONS.table: frame.with_columns(pl.col("forecast") + 1e-3)}
    assert not answers(asset, wrong, given, config)["one_row_per_forecast"].passed


@pytest.fixture(scope="module")
def bounded(inputs, ensembled) -> tuple[Any, ...]:
    _, cast, config = ensembled
    given = {
        **inputs,
        **{f"ensemble_{rule}": cast[c.table] for rule, c in tables.ENSEMBLES.items()},
    }
    asset = assets.intervals_asset(config)
    output, frames, found = made(asset, given, config)
    assert all(outcome.passed for outcome in found.values()), found
    return asset, output, frames, {name: given[name] for name in asset.inputs}, config


def test_intervals_hold_what_was_promised_by_fold(bounded, inputs) -> None:
    _, output, frames, _, _ = bounded
    by_fold = output.metadata["coverage_by_fold"]
    assert by_fold.height == 18  # two members and four ensembles in three folds
    assert "Coverage by fold" in output.plots
    # By hand, for one model and fold.
    rows = frames[tables.INTERVALS.table].filter(
        (pl.col("model") == "ridge") & (pl.col("fold") == 2)
    )
    joined = rows.join(inputs["training_set"].select(*KEY, "label"), on=KEY).drop_nulls("lower")
    inside = (joined["label"] >= joined["lower"]) & (joined["label"] <= joined["upper"])
    (own,) = by_fold.filter((pl.col("model") == "ridge") & (pl.col("fold") == 2)).to_dicts()
    assert own["coverage"] == pytest.approx(inside.mean())
    stored = inputs["ridge"].select(*KEY, want="forecast")
    both = rows.join(stored, on=KEY)
    assert both.height == rows.height
    np.testing.assert_allclose(both["forecast"], both["want"], rtol=1e-12)
    np.testing.assert_allclose(
        (joined["lower"] + joined["upper"]) / 2, joined["forecast"], atol=1e-12
    )
    assert own["coverage"] == pytest.approx(0.9, abs=0.03)


def test_intervals_that_are_too_narrow_or_from_the_future_are_refused(bounded) -> None:
    asset, _, frames, given, config = bounded
    frame = frames[tables.INTERVALS.table]
    middle, half = pl.col("forecast"), (pl.col("upper") - pl.col("lower")) / 2
    narrow = frame.with_columns(lower=middle - 0.5 * half, upper=middle + 0.5 * half)
    found = answers(asset, {tables.INTERVALS.table: narrow}, given, config)
    assert not found["coverage"].passed
    assert "promised 90% of the outcomes inside" in found["coverage"].message
    bare = frame.with_columns(lower=pl.lit(None, pl.Float64), upper=pl.lit(None, pl.Float64))
    found = answers(asset, {tables.INTERVALS.table: bare}, given, config)
    assert "no outcome has an interval" in found["coverage"].message
    # The width of all errors of the table, later ones among them: right on the whole, and a leak.
    from btq_assets.models.conformal import SplitConformal

    parts = []
    for (model,), rows in frame.group_by("model"):
        labelled = rows.join(given["training_set"].select(*KEY, "label"), on=KEY)
        width = SplitConformal.fit(labelled, 0.1).half_width
        parts.append(rows.with_columns(lower=middle - width, upper=middle + width))
        assert model
    found = answers(asset, {tables.INTERVALS.table: pl.concat(parts)}, given, config)
    assert found["coverage"].passed
    assert not found["truncation"].passed


def test_coverage_may_miss_by_the_tolerance_and_chance_and_no_more() -> None:
    """Three standard errors of a share of 10 % over 900 dates are 3 %, beside 3 % of tolerance."""
    for share, refused in ((0.95, False), (0.85, False), (0.97, True), (0.83, True)):
        by_fold = pl.DataFrame(
            {"model": "m", "fold": [0, 1], "n_outcomes": 9_000, "n_dates": 450, "coverage": share}
        )
        assert bool(wrong_coverage(by_fold, miss_rate=0.1, tolerance=0.03)) is refused, share


def test_every_input_moves_the_intervals(bounded) -> None:
    asset, _, frames, given, config = bounded
    stored = frames[tables.INTERVALS.table]
    random = np.random.default_rng(4)
    for name, frame in given.items():
        column = "label" if name == "training_set" else "forecast"
        noise = pl.Series(0.02 * random.normal(size=frame.height))
        changed = {**given, name: frame.with_columns(noise.alias(column))}
        again = asset.compute(step_of(config), **changed).frames
        assert not again.equals(stored), name


@pytest.mark.slow
def test_the_job_from_fits_to_intervals(tmp_path: Any) -> None:
    """Ridge and trees fitted, validated, combined and bounded in a Dagster instance, all checks on."""
    import dagster as dg

    from btq_assets.definitions import configured_assets
    from btq_assets.models.chosen import training_set_table
    from btq_assets.models.folds import splits as folds_of
    from btq_assets.warehouse import TableOutput, Warehouse, table_asset
    from btq_assets.warehouse.paths import DataPaths
    from btq_assets.warehouse.resources import (
        ConfigResource,
        DeviceResource,
        WarehouseResource,
    )

    config = config_of(
        feature_families=("technical",),
        lightgbm={"min_child_samples": 20, "n_estimators": 20},
        walk_forward={
            "first_test": "2018-01-01", "test_months": 6, "max_folds": 2, "train_years": 2,
            "validation_months": 6,
        },
    )  # fmt: skip
    random = np.random.default_rng(5)
    weeks, assets_ = 220, 8
    signal = random.normal(size=(weeks, assets_))
    label = 0.01 * (0.1 * signal + random.normal(size=signal.shape))
    label -= label.mean(axis=1, keepdims=True)
    table = training_set_table(config)
    rows = tidy(
        label,
        is_decision=True,
        label_start_ts=pl.col("ts") + pl.duration(days=1),
        label_end_ts=pl.col("ts") + pl.duration(days=7),
        session_return=pl.Series(0.01 * random.normal(size=weeks * assets_)),
        return_1d=pl.Series(signal.ravel()),
        return_5d=pl.Series(random.normal(size=weeks * assets_)),
    ).rename({"value": "label"})
    rows = rows.with_columns(label_raw="label")
    missing = [c for c in table.columns if c.name not in rows.columns]
    rows = cast_to_contract(
        rows.with_columns(pl.lit(None, c.dtype).alias(c.name) for c in missing), table
    ).sort(table.key)
    share = np.linspace(0.1, 0.9, weeks)
    states = pl.DataFrame(
        {
            "scope": "test", "ts": [week(n) for n in range(weeks)], "p_calm": 1 - share,
            "p_turbulent": share, "state": "calm", "trend": "bull",
            "calm_volatility_annual": 0.1, "turbulent_volatility_annual": 0.3,
            "fitted_until": START, "converged": True,
        },
        schema=regimes.STATES.schema,
    )  # fmt: skip

    @table_asset(outputs=(table, models.SPLITS, regimes.STATES), source_version=lambda _: "1")
    def given(step) -> TableOutput:
        """Rows as they are given."""
        return TableOutput(
            {
                models.TRAINING_SET.table: rows,
                models.SPLITS.table: folds_of(rows, config),
                regimes.STATES.table: states,
            }
        )

    wanted = {"models.forecasts_ridge", "models.forecasts_lightgbm"}
    chosen = [
        asset
        for asset in configured_assets(config)
        if asset.outputs[0].table in wanted or asset.group == "ensembles"
    ]
    result = dg.materialize(
        [asset.definition(config) for asset in (given, *chosen)],
        resources={
            "trading": ConfigResource.of(config),
            "warehouse": WarehouseResource(path=str(tmp_path), lock_timeout_s=5),
            "device": DeviceResource(device="cpu"),
        },
    )
    assert result.success
    warehouse = Warehouse(DataPaths(tmp_path), 5)
    test = {fold["test_start"] for fold in warehouse.read(models.SPLITS).iter_rows(named=True)}
    weights = warehouse.read(tables.ENSEMBLE_WEIGHTS)
    assert set(weights["used_from"]) == test
    assert warehouse.read(tables.VALIDATION_FORECASTS)["member"].n_unique() == 2
    assert warehouse.read(tables.INTERVALS)["model"].n_unique() == 6
    assert warehouse.read(tables.FORECAST_DISTRIBUTIONS)["n_seeds"].unique().to_list() == [1]
    for contract in tables.ENSEMBLES.values():
        assert warehouse.read(contract)["forecast"].is_finite().all()
