"""Bad input gives a value or null, never NaN, infinity or a crash; nonsense gives a named error."""

from __future__ import annotations

import polars as pl
import pytest

from btq_assets.contracts import features as contracts
from btq_assets.contracts.base import violations
from btq_assets.features import FeatureError, technical, volatility
from btq_assets.features.definitions import prepare
from btq_assets.features.families import FAMILIES

PRICED = tuple(family.name for family in FAMILIES if set(family.inputs) == {"bars"})
ADJUSTED = ("adj_open", "adj_high", "adj_low", "adj_close")


def _constant(bars):
    return bars.with_columns(pl.lit(7.0).alias(name) for name in ("open", "high", "low", "close", *ADJUSTED))  # fmt: skip


def _no_volume(bars):
    return bars.with_columns(volume=pl.lit(0.0))


def _one_row(bars):
    return bars.head(1)


def _nothing(bars):
    return bars.clear()


def _holes(bars):
    return bars.filter(pl.int_range(pl.len()) % 7 != 0)


def _null_ranges(bars):
    hole = pl.int_range(pl.len()) % 50 == 0
    return bars.with_columns(
        pl.when(~hole).then(pl.col(name)).alias(name) for name in ("open", "high", "adj_low")
    )


def _twins(bars):
    first = bars.filter(pl.col("symbol") == "S00")
    return pl.concat([first, first.with_columns(symbol=pl.lit("S01"))])


def _stuck_halfway(bars):
    stuck = pl.int_range(pl.len()).over("symbol") >= 150
    return bars.with_columns(pl.when(stuck).then(9.0).otherwise(pl.col(name)).alias(name) for name in ADJUSTED)  # fmt: skip


@pytest.mark.parametrize("family", PRICED)
@pytest.mark.parametrize(
    "spoil",
    [_constant, _no_volume, _one_row, _nothing, _holes, _null_ranges, _twins, _stuck_halfway],
)
def test_spoilt_bars_give_possible_values_or_null(family, spoil, families, make_bars, small_config):
    frame = families[family]({"bars": spoil(make_bars(3, 420))}, small_config)
    contract = contracts.FAMILY_CONTRACTS[family]
    assert violations(frame.select(contract.column_names), contract).is_empty()


def test_a_price_that_never_moves_has_no_oscillators(families, make_bars, small_config):
    # Undefined, not zero: 0/0 in RSI, z-scores, ratios of volatilities and correlations.
    bars = {"bars": _constant(make_bars(2, 420))}
    undefined = {
        "technical": ["rsi_14", "bollinger_z_20"],
        "volatility": [
            "volatility_ratio_21_252",
            "volatility_of_volatility_63",
            "absolute_return_autocorrelation_63",
        ],
        "quantum": ["oscillator_energy", "collapse_concentration", "entanglement_entropy"],
        "cross_asset": ["universe_beta", "mean_correlation", "residual_momentum_12_1"],
    }
    for family, names in undefined.items():
        frame = families[family](bars, small_config)
        assert all(frame[name].is_null().all() for name in names), family
    still = families["volatility"](bars, small_config)["volatility_21_annual"].drop_nulls()
    assert still.len() > 0
    assert (still == 0).all()


def test_twins_have_no_mutual_information_but_zero_entropy(families, make_bars, small_config):
    frame = families["quantum"]({"bars": _twins(make_bars(1, 200))}, small_config).tail(50)
    assert frame["entanglement_mutual_information"].is_null().all()
    assert frame["entanglement_entropy"].max() == pytest.approx(0, abs=1e-9)


def test_rows_without_a_price_are_left_out_not_filled(make_bars):
    bars = make_bars(1, 100)
    holed = bars.with_columns(
        adj_close=pl.when(pl.int_range(pl.len()) != 50).then("adj_close").otherwise(float("nan"))
    )
    assert technical.compute(holed).height == 99


def test_close_only_symbols_have_no_ranges_and_no_microstructure_rows(families, make_bars, config):
    bars = {"bars": make_bars(2, 100, ohlcv=False)}
    frame = volatility.compute(bars["bars"])
    assert frame["parkinson_21_annual"].is_null().all()
    assert frame["volatility_21_annual"].is_not_null().any()
    assert families["microstructure"](bars, config).is_empty()


def test_repeated_bars_and_missing_columns_are_named(make_bars):
    bars = make_bars(1, 5)
    with pytest.raises(FeatureError, match="several bars at 2010-01-04"):
        prepare(pl.concat([bars, bars.head(1)]))
    with pytest.raises(FeatureError, match="adj_close"):
        prepare(bars.drop("adj_close"))
