"""Indicators of TA-Lib: names and meaning of the columns.

Belongs here: which indicators, at which parameters. Does not belong here: how they are called and
brought to a common scale (`features.talib_set`).
"""

from __future__ import annotations

import polars as pl

from btq_assets.contracts.base import Column
from btq_assets.contracts.features.family import family

Parameters = tuple[tuple[int, ...], ...]


def _each(*periods: int) -> Parameters:
    return tuple((n,) for n in periods)


#: Windows of plain rolling indicators, of exponential averages, of Wilder's, of averages of those.
_WINDOWS = _each(5, 10, 14, 20, 50)
_EXPONENTIAL = _each(5, 10, 20, 50)
_WILDER = _each(5, 10, 14, 20)
_REPEATED = _each(5, 10, 20)
_FEW = _each(5, 20)
_NONE: Parameters = ((),)
_MACD = ((12, 26, 9), (5, 35, 5), (8, 17, 9))
_PAIRS = ((5, 20), (12, 26), (20, 50))

#: Name, parameters, what it says, bounds. Averages and levels are over the close, less one.
INDICATORS: tuple[tuple[str, Parameters, str, float | None, float | None], ...] = (
    # Overlap studies.
    ("sma", _WINDOWS, "Simple average of the close.", -1, None),
    ("ema", _EXPONENTIAL, "Exponential average of the close.", -1, None),
    ("wma", _WINDOWS, "Linearly weighted average of the close.", -1, None),
    ("trima", _WINDOWS, "Triangular average of the close.", -1, None),
    ("dema", _REPEATED, "Double exponential average of the close.", None, None),
    ("tema", _REPEATED, "Triple exponential average of the close.", None, None),
    ("t3", _REPEATED, "Tillson's average of the close.", None, None),
    ("kama", _EXPONENTIAL, "Kaufman's adaptive average of the close.", -1, None),
    ("hma", _EXPONENTIAL, "Hull's average of the close.", None, None),
    ("rma", _WILDER, "Wilder's average of the close.", -1, None),
    ("zlema", _REPEATED, "Exponential average of the close with its lag taken out.", None, None),
    ("vwma", _WINDOWS, "Volume-weighted average of the close.", -1, None),
    ("mama", _NONE, "MESA adaptive average of the close.", -1, None),
    ("fama", _NONE, "Following MESA adaptive average of the close.", -1, None),
    ("mavp", _NONE, "Average of the close over its dominant cycle.", -1, None),
    ("ht_trendline", _NONE, "Hilbert transform's trend line of the close.", None, None),
    ("midpoint", _WINDOWS, "Middle between the highest and lowest close.", -1, None),
    ("midprice", _WINDOWS, "Middle between the highest high and lowest low.", -1, None),
    ("bbands_upper", _WINDOWS, "Upper Bollinger band, two deviations.", -1, None),
    ("bbands_lower", _WINDOWS, "Lower Bollinger band, two deviations.", None, None),
    ("accbands_upper", _FEW, "Upper acceleration band.", -1, None),
    ("accbands_lower", _FEW, "Lower acceleration band.", None, None),
    ("donchian_upper", _WINDOWS, "Upper Donchian channel.", -1, None),
    ("donchian_lower", _WINDOWS, "Lower Donchian channel.", -1, None),
    ("kc_upper", ((20, 10),), "Upper Keltner channel, two average ranges.", -1, None),
    ("kc_lower", ((20, 10),), "Lower Keltner channel, two average ranges.", None, None),
    ("sar", _NONE, "Parabolic stop and reverse.", None, None),
    ("sarext", _NONE, "Parabolic stop, slower when short, negative when short.", None, None),
    ("supertrend", ((7,), (10,)), "Supertrend, three average ranges.", None, None),
    ("supertrend_side", ((7,), (10,)), "Side of the supertrend, 1 for up.", -1, 1),
    # Momentum.
    ("adx", _WILDER, "Average directional index.", 0, 100.001),
    ("adxr", _WILDER, "Average directional index, averaged with an earlier one.", 0, 100.001),
    ("dx", _WILDER, "Directional index.", 0, 100.001),
    ("plus_di", _WILDER, "Share of upward movement in the range.", 0, 100.001),
    ("minus_di", _WILDER, "Share of downward movement in the range.", 0, 100.001),
    ("plus_dm", _WILDER, "Upward movement of the highs over the close.", 0, None),
    ("minus_dm", _WILDER, "Downward movement of the lows over the close.", 0, None),
    ("apo", _PAIRS, "Fast less slow exponential average over the close.", None, None),
    ("ppo", _PAIRS, "Fast over slow exponential average, less one, in per cent.", -100, None),
    ("macd", _MACD, "Fast less slow exponential average over the close.", None, None),
    ("macd_signal", _MACD, "Exponential average of that difference over the close.", None, None),
    ("macd_hist", _MACD, "Difference less its average over the close.", None, None),
    ("macdext", ((12, 26, 9),), "MACD of simple averages over the close.", None, None),
    ("macdfix_hist", ((9,),), "MACD histogram with fixed weights over the close.", None, None),
    ("aroon_up", _WINDOWS, "How recent the highest high is.", 0, 100.001),
    ("aroon_down", _WINDOWS, "How recent the lowest low is.", 0, 100.001),
    ("aroonosc", _WINDOWS, "Aroon up less Aroon down.", -100.001, 100.001),
    ("bop", _NONE, "Balance of power: body over range.", -1.00001, 1.00001),
    ("cci", _WINDOWS, "Commodity channel index.", None, None),
    ("cmo", _WILDER, "Chande's momentum, Wilder's averages.", -100.001, 100.001),
    ("cmou", _WINDOWS, "Chande's momentum, plain sums.", -100.001, 100.001),
    ("coppock", ((10, 11, 14),), "Coppock's curve.", None, None),
    ("dpo", _FEW, "Detrended price over the close.", None, None),
    ("er", _WINDOWS, "Kaufman's efficiency ratio.", -1.00001, 1.00001),
    ("eri_bull", _EXPONENTIAL, "High less exponential average, over the close.", None, None),
    ("eri_bear", _EXPONENTIAL, "Low less exponential average, over the close.", None, None),
    ("fosc", _FEW, "Close less its forecast, in per cent of the close.", None, None),
    ("fractal_high", ((2, 2), (5, 5)), "Whether a swing high was confirmed this session.", 0, 1),
    ("fractal_low", ((2, 2), (5, 5)), "Whether a swing low was confirmed this session.", -1, 1),
    ("imi", _WINDOWS, "Intraday momentum index.", 0, 100.001),
    ("kdj_k", ((9, 3, 3),), "K of KDJ.", -0.001, 100.001),
    ("kdj_d", ((9, 3, 3),), "D of KDJ.", -0.001, 100.001),
    ("kdj_j", ((9, 3, 3),), "J of KDJ.", None, None),
    ("mfi", _WINDOWS, "Money flow index.", -0.001, 100.001),
    ("mom", _WINDOWS, "Change of the close over the close.", None, 1),
    ("roc", _WINDOWS, "Rate of change in per cent.", -100, None),
    ("qstick", _WINDOWS, "Average body over the close.", None, None),
    ("rsi", _WILDER, "Relative strength index.", 0, 100.001),
    ("smi", ((13, 2, 25, 9),), "Stochastic momentum index.", -100.001, 100.001),
    ("smi_signal", ((13, 2, 25, 9),), "Average of that index.", -100.001, 100.001),
    ("stoch_k", ((5, 3, 3), (14, 3, 3)), "Slow stochastic K.", -0.001, 100.001),
    ("stoch_d", ((5, 3, 3), (14, 3, 3)), "Slow stochastic D.", -0.001, 100.001),
    ("stochf_k", ((5, 3), (20, 3)), "Fast stochastic K.", -0.001, 100.001),
    ("stochf_d", ((5, 3), (20, 3)), "Fast stochastic D.", -0.001, 100.001),
    ("stochrsi_k", ((14, 5, 3),), "Fast stochastic K of the RSI.", -0.001, 100.001),
    ("stochrsi_d", ((14, 5, 3),), "Fast stochastic D of the RSI.", -0.001, 100.001),
    ("trix", _REPEATED, "Change of a triple exponential average in per cent.", None, None),
    ("tsi", ((25, 13), (13, 7)), "True strength index.", -100.001, 100.001),
    ("ultosc", ((7, 14, 28),), "Ultimate oscillator.", None, None),
    ("vhf", _WINDOWS, "Vertical horizontal filter.", 0, None),
    ("vortex_plus", _WINDOWS, "Upward vortex.", 0, None),
    ("vortex_minus", _WINDOWS, "Downward vortex.", 0, None),
    ("wad", _FEW, "Change of Williams's accumulation over the close.", None, None),
    ("willr", _WINDOWS, "Williams's %R.", -100.001, 0.001),
    ("ao", ((5, 34),), "Awesome oscillator over the close.", None, None),
    ("ac", ((5, 34, 5),), "Accelerator oscillator over the close.", None, None),
    # Cycles.
    ("ht_dcperiod", _NONE, "Dominant cycle, sessions.", 0, None),
    ("ht_dcphase", _NONE, "Phase of the dominant cycle, degrees.", None, None),
    ("ht_inphase", _NONE, "In-phase component of the cycle over the close.", None, None),
    ("ht_quadrature", _NONE, "Quadrature component of the cycle over the close.", None, None),
    ("ht_sine", _NONE, "Sine of the phase.", -1.00001, 1.00001),
    ("ht_leadsine", _NONE, "Sine of the phase, 45 degrees ahead.", -1.00001, 1.00001),
    ("ht_trendmode", _NONE, "Whether the cycle is a trend.", 0, 1),
    # Volatility.
    ("natr", _WILDER, "Average true range in per cent of the close.", 0, None),
    ("trange", _NONE, "True range over the close.", 0, None),
    ("adr", _WINDOWS, "Average high-low range over the close.", 0, None),
    ("cvi", ((10, 10),), "Chaikin's volatility: change of the smoothed range.", None, None),
    ("massi", ((9, 25),), "Mass index.", 0, None),
    ("rvi", ((14, 10),), "Relative volatility index.", -0.001, 100.001),
    ("avgdev", _WINDOWS, "Mean absolute deviation over the close.", 0, None),
    ("stddev", _WINDOWS, "Standard deviation over the close.", 0, None),
    ("var", _FEW, "Variance over the squared close.", 0, None),
    # Volume.
    ("ad", _WINDOWS, "Accumulation over the volume.", -1.00001, 1.00001),
    ("adosc", ((3, 10),), "Chaikin's oscillator over the mean volume.", None, None),
    ("cmf", _WINDOWS, "Chaikin's money flow.", -1.00001, 1.00001),
    ("efi", _EXPONENTIAL, "Elder's force index over mean volume and close.", None, None),
    ("marketfi", _FEW, "Range per share over its mean.", 0, None),
    ("nvi", _FEW, "Change of the negative volume index.", -1, None),
    ("pvi", _FEW, "Change of the positive volume index.", -1, None),
    ("obv", _WINDOWS, "On-balance volume over the volume.", -1.00001, 1.00001),
    ("pvt", _FEW, "Price-volume trend over the volume.", None, None),
    ("pvo", _PAIRS, "Fast over slow average of volume, less one, in per cent.", -100.001, None),
    ("rvol", _WINDOWS, "Volume over its earlier mean.", 0, None),
    # Statistics and prices.
    ("beta", _WINDOWS, "Beta of the highs' returns to the lows'.", None, None),
    ("correl", _WINDOWS, "Correlation of high and low.", -1.00001, 1.00001),
    ("correl_volume", _WINDOWS, "Correlation of close and volume.", -1.00001, 1.00001),
    ("linearreg", _WINDOWS, "End of the regression line.", None, None),
    ("linearreg_slope", _WINDOWS, "Slope of the regression line over the close.", None, None),
    ("linearreg_angle", _WINDOWS, "Angle of that slope, degrees.", -90, 90),
    ("linearreg_intercept", _WINDOWS, "Start of the regression line.", None, None),
    ("tsf", _WINDOWS, "Next point of the regression line.", None, None),
    ("percentile", ((20, 20), (20, 80), (50, 20), (50, 80)), "Quantile of the close.", -1, None),
    ("percentrank", _WINDOWS, "Share of earlier closes below today's, per cent.", 0, 100.001),
    ("max", _WINDOWS, "Highest close.", -1.00001, None),
    ("min", _WINDOWS, "Lowest close.", -1, 0.00001),
    ("maxindex", _WINDOWS, "Sessions since the highest close over the window.", 0, 1),
    ("minindex", _WINDOWS, "Sessions since the lowest close over the window.", 0, 1),
    ("avgprice", _NONE, "Mean of open, high, low and close.", -1, None),
    ("medprice", _NONE, "Middle of the range.", -1, None),
    ("typprice", _NONE, "Typical price.", -1, None),
    ("wclprice", _NONE, "Close-weighted price.", -1, None),
    ("ha_open", _NONE, "Heikin-Ashi open.", -1, None),
    ("ha_close", _NONE, "Heikin-Ashi close.", -1, None),
    ("ha_high", _NONE, "Heikin-Ashi high.", -1, None),
    ("ha_low", _NONE, "Heikin-Ashi low.", -1, None),
)  # fmt: skip

#: Candlestick patterns by TA-Lib's name without ``CDL``.
PATTERNS: tuple[str, ...] = (
    "2crows", "3blackcrows", "3inside", "3linestrike", "3outside", "3starsinsouth",
    "3whitesoldiers", "abandonedbaby", "advanceblock", "belthold", "breakaway", "closingmarubozu",
    "concealbabyswall", "counterattack", "darkcloudcover", "doji", "dojistar", "dragonflydoji",
    "engulfing", "eveningdojistar", "eveningstar", "gapsidesidewhite", "gravestonedoji", "hammer",
    "hangingman", "harami", "haramicross", "highwave", "hikkake", "hikkakemod", "homingpigeon",
    "identical3crows", "inneck", "invertedhammer", "kicking", "kickingbylength", "ladderbottom",
    "longleggeddoji", "longline", "marubozu", "matchinglow", "mathold", "morningdojistar",
    "morningstar", "onneck", "piercing", "rickshawman", "risefall3methods", "separatinglines",
    "shootingstar", "shortline", "spinningtop", "stalledpattern", "sticksandwich", "takuri",
    "tasukigap", "thrusting", "tristar", "unique3river", "upsidegap2crows", "xsidegap3methods",
)  # fmt: skip


def column_name(indicator: str, parameters: tuple[int, ...] = ()) -> str:
    """Name of a column: ``talib_macd_12_26_9``."""
    return "_".join(("talib", indicator, *map(str, parameters)))


TALIB = family(
    "talib",
    "TA-Lib's indicators at several parameters, on one scale for all symbols; rows only where open, "
    "high, low, close and volume exist.",
    (
        *(
            Column(
                column_name(name, chosen),
                pl.Float32,
                f"{description} Parameters {', '.join(map(str, chosen))}."
                if chosen
                else description,
                nullable=True,
                minimum=minimum,
                maximum=maximum,
            )
            for name, parameters, description, minimum, maximum in INDICATORS
            for chosen in parameters
        ),
        *(
            Column(
                column_name(f"cdl{pattern}"),
                pl.Float32,
                f"Candlestick pattern {pattern}: 1 rising, -1 falling, 0 absent.",
                nullable=True,
                minimum=-1,
                maximum=1,
            )
            for pattern in PATTERNS
        ),
    ),
)
