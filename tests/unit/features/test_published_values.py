"""Features against values that others published: R's TTR and the estimators of bidask.

`ttr_values.csv` holds what R's package TTR 0.24.3 gives on its own data set ttrc, of which
`ttr_bars.csv` has the first 250 rows; columns beginning with ``published`` are the outputs the
package ships for its own tests, those with ``run`` were computed by it. `ttr_values.R` makes both.

`bidask_bars.csv` has the first 80 rows of the test data of the package bidask (Ardia, Guidotti and
Kroencke 2024), simulated with a spread of 1 % and 390 trades a day of which 1 % are seen.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.features.families import FAMILY

HERE = Path(__file__).parent
FIELDS = ("open", "high", "low", "close")


def _bars(prices: pl.DataFrame, sessions: pl.Series) -> pl.DataFrame:
    """One symbol whose adjusted prices are its prices."""
    times = sessions.cast(pl.Datetime("us", "UTC")) + dt.timedelta(hours=21)
    return prices.with_columns(
        universe=pl.lit("us20"),
        symbol=pl.lit("A"),
        ts=times,
        known_at=times,
        session=sessions,
        **{f"adj_{name}": pl.col(name) for name in FIELDS},
    )


@pytest.fixture(scope="module")
def ttr() -> dict[str, np.ndarray]:
    """Columns of TTR by name, every seventh row from the hundredth on."""
    frame = pl.read_csv(HERE / "ttr_values.csv", null_values=["NA"])
    return {name: frame[name].cast(pl.Float64).to_numpy() for name in frame.columns}


@pytest.fixture(scope="module")
def ttr_bars() -> pl.DataFrame:
    frame = pl.read_csv(HERE / "ttr_bars.csv", try_parse_dates=True)
    frame = frame.rename(str.lower).with_columns(pl.col("volume").cast(pl.Float64))
    return _bars(frame.drop("date"), frame["date"])


@pytest.fixture(scope="module")
def ours(ttr, ttr_bars):
    """A family's column at TTR's rows."""
    config = TradingConfig(features={"named_sets": ["alpha158", "talib"]})
    rows = ttr["row"].astype(int) - 1
    tables: dict[str, pl.DataFrame] = {}

    def column(name: str) -> np.ndarray:
        family, feature = name.split(".")
        if family == "bars":
            return ttr_bars[feature].to_numpy()[rows]
        if family not in tables:
            entry = FAMILY[family]
            others = {n: table.empty() for n, table in entry.inputs.items() if n != "bars"}
            tables[family] = entry.compute({"bars": ttr_bars, **others}, config)
        return tables[family][feature].cast(pl.Float64).to_numpy()[rows]

    return column


#: Ours, what it is multiplied by ("C" the close), and TTR's column.
SHIPPED = (
    ("technical.rsi_14", 1, "published_rsi_14"),
    ("volume.money_flow_index_14", 1, "published_mfi_14"),
    ("talib.talib_rsi_14", 1, "published_rsi_14"),
    ("talib.talib_cmou_14", 1, "published_cmo_14"),
    ("talib.talib_willr_14", -0.01, "published_williams_14"),
    ("talib.talib_ultosc_7_14_28", 1, "published_ultimate_7_14_28"),
    ("talib.talib_trix_20", 1, "published_trix_20"),
    ("talib.talib_stoch_k_14_3_3", 0.01, "published_stochastic_d_3"),
    ("talib.talib_stoch_d_14_3_3", 0.01, "published_stochastic_slow_d_3"),
    ("talib.talib_adx_14", 1, "published_adx_14"),
    ("talib.talib_dx_14", 1, "published_dx_14"),
    ("talib.talib_plus_di_14", 1, "published_plus_di_14"),
    ("talib.talib_minus_di_14", 1, "published_minus_di_14"),
    ("talib.talib_aroon_up_20", 1, "published_aroon_up_20"),
    ("talib.talib_aroon_down_20", 1, "published_aroon_down_20"),
    ("talib.talib_natr_14", "C%", "published_atr_14"),
    ("talib.talib_trange", "C", "published_true_range"),
    ("talib.talib_cci_20", 1, "published_cci_20"),
    ("talib.talib_cmf_20", 1, "published_cmf_20"),
    ("talib.talib_mfi_14", 1, "published_mfi_14"),
)
RUN = (
    ("volatility.volatility_21_annual", 1, "run_volatility_21"),
    ("volatility.volatility_63_annual", 1, "run_volatility_63"),
    ("volatility.garman_klass_21_annual", 1, "run_garman_klass_21"),
    ("volatility.parkinson_21_annual", 1, "run_parkinson_21"),
    ("volatility.rogers_satchell_21_annual", 1, "run_rogers_satchell_21"),
    ("realised_volatility.yang_zhang_21_annual", 1, "run_yang_zhang_21"),
    ("realised_volatility.yang_zhang_63_annual", 1, "run_yang_zhang_63"),
    ("volume.chaikin_money_flow_21", 1, "run_cmf_21"),
    ("alpha158.alpha158_max_20", "C", "run_donchian_high_20"),
    ("alpha158.alpha158_min_20", "C", "run_donchian_low_20"),
    ("alpha158.alpha158_std_20", "C", "run_deviation_20"),
    ("alpha158.alpha158_corr_20", 1, "run_correlation_20"),
    ("talib.talib_vhf_20", 1, "run_vhf_20"),
    ("talib.talib_roc_10", 0.01, "run_roc_10"),
    ("talib.talib_mom_10", "C", "run_momentum_10"),
)
#: Ours is the quotient with the close, less one.
AVERAGES = (
    ("talib.talib_sma_10", "published_sma_10"),
    ("talib.talib_ema_10", "published_ema_10"),
    ("talib.talib_rma_10", "published_wilder_10"),
    ("talib.talib_dema_10", "published_dema_10"),
    ("talib.talib_wma_10", "published_wma_10"),
    ("talib.talib_wma_20", "run_wma_20"),
    ("talib.talib_hma_20", "run_hma_20"),
    ("talib.talib_vwma_20", "run_vwap_20"),
    ("talib.talib_donchian_upper_20", "run_donchian_high_20"),
    ("talib.talib_donchian_lower_20", "run_donchian_low_20"),
)


@pytest.mark.parametrize(("feature", "factor", "name"), [*SHIPPED, *RUN])
def test_ttr_gives_the_same(feature, factor, name, ours, ttr):
    close = ours("bars.close")
    times = {"C": close, "C%": close / 100}.get(factor, factor)
    single = feature.startswith(("talib.", "alpha158."))  # tables of float32
    np.testing.assert_allclose(
        ours(feature) * times, ttr[name], rtol=3e-7 if single else 1e-11, atol=2e-8
    )


@pytest.mark.parametrize(("feature", "name"), AVERAGES)
def test_ttr_has_the_same_averages(feature, name, ours, ttr):
    np.testing.assert_allclose((1 + ours(feature)) * ours("bars.close"), ttr[name], rtol=1e-8)


def test_bands_and_moving_averages_of_prices_are_ttrs(ours, ttr):
    close = ours("bars.close")
    deviation = (ttr["run_band_upper_20"] - ttr["run_band_middle_20"]) / 2
    np.testing.assert_allclose(
        ours("technical.bollinger_z_20"), (close - ttr["run_band_middle_20"]) / deviation, rtol=1e-8
    )
    np.testing.assert_allclose(
        ours("technical.distance_sma_50"), close / ttr["run_sma_50"] - 1, rtol=1e-9, atol=1e-12
    )


def test_macd_forgets_that_ttr_starts_its_averages_elsewhere(ours, ttr):
    # TTR seeds each average with the mean of its own first values; TA-Lib and we let both end
    # their seeds at the same bar. (25/27)^n of the difference is left.
    found = ours("technical.macd_histogram_to_price") * ours("bars.close")
    gap = np.abs(found - ttr["run_macd_histogram"])
    assert gap[0] < 1e-4
    assert gap[-1] < 1e-9
    line = ours("talib.talib_ppo_12_26")
    np.testing.assert_allclose(line[10:], ttr["published_macd_12_26"][10:], atol=2e-6)


def test_running_sums_of_volume_are_ttrs(ours, ttr):
    share = ttr["run_volume_sum_20"]
    np.testing.assert_allclose(
        ours("talib.talib_obv_20"), ttr["run_obv_back_20"] / share, atol=1e-7
    )
    np.testing.assert_allclose(
        ours("talib.talib_ad_20"), ttr["run_accumulation_back_20"] / share, atol=1e-7
    )
    np.testing.assert_allclose(
        ours("volume.on_balance_volume_change_21"),
        ttr["run_obv_back_21"] / ttr["run_volume_sum_21"],
        atol=1e-12,
    )


#: Row of the test data (from 1), Abdi-Ranaldo AR2 and Corwin-Schultz CS2 of a window of 22, Roll of
#: a window of 65, as the R sources of bidask 2 compute them on these rows; CS2 is that of
#: `_without_gaps`.
BIDASK = (
    (22, 0.00206623084667114, 0.00241134603199396, None),
    (43, 0.01517985965107876, 0.00849504120980223, None),
    (57, 0.01219684102504322, 0.00651991594617500, None),
    (65, 0.01033837717507, 0.00611929413009613, 0.01761853815676922),
    (71, 0.01140627782836504, 0.00506025854958933, 0.00758063340089719),
    (77, 0.01058525869315036, 0.00415628710594592, 0.01155888543553552),
    (80, 0.01135401237389030, 0.00489103118743654, 0.00678116544566909),
)


@pytest.fixture(scope="module")
def bidask_bars() -> pl.DataFrame:
    prices = pl.read_csv(HERE / "bidask_bars.csv").with_columns(volume=1.0)
    first = dt.date(2020, 1, 1)
    return _bars(prices, pl.date_range(first, first + dt.timedelta(prices.height - 1), eager=True))


def _without_gaps(bars: pl.DataFrame) -> pl.DataFrame:
    """Ranges widened to hold the close before, so that nothing has to be taken out of them."""
    before = pl.col("close").shift(1)
    wide = bars.with_columns(
        adj_high=pl.max_horizontal("high", before), adj_low=pl.min_horizontal("low", before)
    )
    return wide.with_columns(high="adj_high", low="adj_low")


def test_spreads_are_those_of_bidask_on_its_test_data(bidask_bars, config):
    compute = FAMILY["microstructure"].compute
    given, wide = (
        compute({"bars": bars}, config) for bars in (bidask_bars, _without_gaps(bidask_bars))
    )
    for row, abdi_ranaldo, corwin_schultz, roll in BIDASK:
        found = given.row(row - 1, named=True)
        assert found["abdi_ranaldo_spread_21"] == pytest.approx(abdi_ranaldo, rel=1e-11)
        assert wide["corwin_schultz_spread_21"][row - 1] == pytest.approx(corwin_schultz, rel=1e-11)
        if roll is None:
            assert found["roll_spread_63"] is None
        else:  # bidask divides the covariance of 63 pairs by 62
            assert found["roll_spread_63"] * (63 / 62) ** 0.5 == pytest.approx(roll, rel=1e-11)


def test_a_gap_is_taken_out_of_prices_where_bidask_takes_it_out_of_their_logarithms(
    bidask_bars, config
):
    # Corwin and Schultz (2012), section II.C, lower high and low by the overnight change; bidask 2
    # does it to their logarithms and leaves the sum of squared ranges as it was.
    found = FAMILY["microstructure"].compute({"bars": bidask_bars}, config)
    for row, bidask in ((29, 0.001120579478427743), (50, 0.005407845969378829), (80, 0.003590800440013771)):  # fmt: skip
        assert found["corwin_schultz_spread_21"][row - 1] == pytest.approx(bidask, rel=0.01)
