"""The assets of the features and regimes rooms: computed, inside their contracts, and refusable."""

from __future__ import annotations

import datetime as dt
import functools

import alternative_frames
import instrument_frames
import intraday_frames
import numpy as np
import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import core
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.checks import CheckContext
from btq_assets.features import assets as features
from btq_assets.features.definitions import SYMBOL
from btq_assets.regimes import assets as regimes
from btq_assets.sources.sentiment import scored
from btq_assets.warehouse import Step, table_assets_of

PNG = b"\x89PNG"
ASSETS = {asset.outputs[0].name: asset for asset in features.FAMILY_ASSETS}

_GIVEN = ("doc_id", "symbol", "published_at", "known_at", "headline", "label", "source")


@pytest.fixture(scope="module")
def config() -> TradingConfig:
    return TradingConfig(
        regimes={
            "min_fit_sessions": 252,
            "refit_every_sessions": 150,
            "fit_window_sessions": 400,
        }
    )


@pytest.fixture(scope="module")
def inputs(pytestconfig) -> dict[str, pl.DataFrame]:
    shared = str(pytestconfig.rootpath / "tests" / "conftest.py")
    plugins = pytestconfig.pluginmanager.get_plugins()
    make_bars = next(p for p in plugins if getattr(p, "__file__", None) == shared).make_bars
    bars = make_bars(4, 620, universe="us20", seed=21)
    # A turbulent half-year, so that the regimes have two states to find.
    n = bars.filter(symbol="S00").height
    moves = np.random.default_rng(5).normal(0, np.where((np.arange(n) // 120) % 2, 0.03, 0.005))
    market = np.tile(np.exp(np.cumsum(moves)), 4)
    priced = [name for name in bars.columns if name.endswith(("open", "high", "low", "close"))]
    bars = bars.with_columns(pl.col(priced) * pl.Series(market))
    stamps = bars["ts"].unique().sort()
    documents = pl.DataFrame(
        {
            "doc_id": [f"d{k}" for k in range(60)],
            "symbol": [f"S0{k % 4}" for k in range(60)],
            "published_at": stamps[10:610:10],
            "known_at": stamps[10:610:10],
            "headline": ["profit beats forecasts", "fraud probe", "annual meeting"] * 20,
            "label": "SYNTHETIC",
            "source": "sample",
        },
        schema={name: core.DOCUMENTS.schema[name] for name in _GIVEN},
    )
    missing = [name for name in core.DOCUMENTS.column_names if name not in _GIVEN]
    documents = documents.with_columns(
        pl.lit(None, core.DOCUMENTS.schema[name]).alias(name) for name in missing
    )
    vintages = pl.DataFrame(
        {
            "series_id": "VIXCLS",
            "period": stamps.dt.date(),
            "known_at": stamps + dt.timedelta(hours=17),
            "superseded_at": None,
            "value": np.linspace(10, 30, len(stamps)) + np.sin(np.arange(len(stamps))),
            "unit": "index points",
            "revision": "FINAL",
        },
        schema=core.MACRO_VINTAGES.schema,
    )
    return {
        "bars": bars,
        "scores": scored.score(documents),
        "vintages": vintages,
        "instruments": instrument_frames.instruments(bars),
        **intraday_frames.timeframes(bars),
        **intraday_frames.ticks(minutes=40),
        **alternative_frames.alternative(bars),
    }


def _step(config: TradingConfig) -> Step:
    return Step(
        config=config,
        run_id="test",
        now=dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        log=lambda message: None,
        code_version="test",
        data_versions={},
        read_ledger=lambda contract: contract.empty(),
        artifacts=None,  # type: ignore[arg-type]
    )


def _compute(asset, inputs, config):
    """Frame as it would be written, and the check outcomes by name."""
    given = {name: inputs[name] for name in asset.inputs}
    output = asset.compute(_step(config), **given)
    contract = asset.outputs[0]
    frame = cast_to_contract(output.frames, contract)
    assert violations(frame, contract).is_empty()
    return output, frame, _outcomes(asset, frame, given, config)


def _outcomes(asset, frame, given, config, only=None):
    context = CheckContext({asset.outputs[0].table: frame}, given, config)
    groups = [g for g in asset.checks if only is None or only in {s.name for s in g.specs}]
    return {o.name: o for group in groups for o in group.answer(context)}


@pytest.fixture(scope="module")
def computed(inputs, config):
    """What `_compute` answers for a family, computed once."""
    return functools.cache(lambda name: _compute(ASSETS[name], inputs, config))


@pytest.mark.parametrize("name", ASSETS)
def test_a_family_is_computed_checked_and_shown(name, computed):
    output, frame, outcomes = computed(name)
    assert frame.height > 0
    assert outcomes["truncation"].passed, outcomes["truncation"].message
    assert all(png.startswith(PNG) for png in output.plots.values())
    assert output.plots
    assert "null_share" in output.metadata


@pytest.mark.parametrize("name", ASSETS)
def test_a_family_that_reads_the_next_bar_is_refused(name, computed, inputs, config):
    asset = ASSETS[name]
    _, frame, _ = computed(name)
    by = [column for column in SYMBOL if column in frame.columns]
    values = [c.name for c in asset.outputs[0].columns if c.is_float]
    leaking = frame.with_columns(pl.col(values).shift(-1).over(by))
    given = {key: inputs[key] for key in asset.inputs}
    outcome = _outcomes(asset, leaking, given, config, only="truncation")["truncation"]
    assert not outcome.passed
    assert asset.outputs[0].table in outcome.message


def test_macro_says_which_features_have_no_data(computed):
    _, _, outcomes = computed("macro")
    assert not outcomes["present"].passed
    assert "core_cpi_yoy" in outcomes["present"].message
    assert "vix_level" not in outcomes["present"].message


def test_synthetic_headlines_are_named_in_the_picture(computed):
    output, frame, _ = computed("sentiment")
    assert frame["is_synthetic"].all()
    assert all(title.startswith("SYNTHETIC") for title in output.plots)


def test_close_only_data_leave_an_empty_table_that_says_so(inputs, config):
    raw = ("open", "high", "low", "close", "volume", "adj_open", "adj_high", "adj_low")
    close_only = inputs["bars"].with_columns(pl.lit(None, pl.Float64).alias(c) for c in raw)
    _, frame, outcomes = _compute(ASSETS["microstructure"], {"bars": close_only}, config)
    assert frame.is_empty()
    assert "no rows" in outcomes["truncation"].message


def test_the_catalogue_lists_every_column_of_every_family(inputs, config):
    _, frame, _ = _compute(features.catalogue, inputs, config)
    listed = set(frame["name"])
    for name in ASSETS:
        contract = ASSETS[name].outputs[0]
        assert {c.name for c in contract.columns if c.is_float} <= listed


def test_quality_names_what_drifted_and_what_repeats(computed, inputs, config):
    tables = {name: computed(name)[1] for name in ("technical", "macro")}
    absent = {n: a.outputs[0].empty() for n, a in ASSETS.items() if n not in tables}
    split = config.model_copy(
        update={"models": TradingConfig(models={"walk_forward": {"first_test": "2011-06-01", "train_years": 1}}).models}
    )  # fmt: skip
    output, frame, _ = _compute(features.feature_quality, tables | absent, split)
    assert set(frame["family"]) == {"technical", "macro"}
    assert output.metadata["most_drifted"].height == 10
    assert "core_cpi_yoy" in output.metadata["without_values"]
    assert all(png.startswith(PNG) for png in output.plots.values())


def test_regimes_are_computed_checked_and_shown(inputs, config):
    output, frame, outcomes = _compute(regimes.states, inputs, config)
    assert all(outcome.passed for outcome in outcomes.values()), outcomes
    assert frame["state"].n_unique() == 2
    assert all(png.startswith(PNG) for png in output.plots.values())


def test_smoothed_regimes_and_broken_probabilities_are_refused(inputs, config):
    _, frame, _ = _compute(regimes.states, inputs, config)
    given = {"bars": inputs["bars"]}
    column = pl.col("p_turbulent")
    smoothed = column.rolling_mean(5, center=True, min_samples=1)
    leaking = frame.with_columns(p_turbulent=smoothed, p_calm=1 - smoothed)
    assert not _outcomes(regimes.states, leaking, given, config)["truncation"].passed
    broken = frame.with_columns(p_turbulent=column / 2)
    assert not _outcomes(regimes.states, broken, given, config)["probabilities"].passed
    late = frame.with_columns(converged=pl.lit(False))
    assert not _outcomes(regimes.states, late, given, config)["convergence"].passed


def test_regimes_switched_off_are_an_empty_table(inputs):
    off = TradingConfig(use_regime_detection=False)
    _, frame, outcomes = _compute(regimes.states, inputs, off)
    assert frame.is_empty()
    assert outcomes["truncation"].passed


def test_every_asset_has_a_blocking_check_and_one_table():
    assets = [*table_assets_of(features), *table_assets_of(regimes)]
    assert all(asset in assets for asset in ASSETS.values())
    for asset in assets:
        assert len(asset.outputs) == 1
        blocking = [spec for group in asset.checks for spec in group.specs if spec.blocking]
        # Of these two the contract is all there is to check.
        assert blocking or asset in (features.catalogue, features.feature_quality)
