"""Macro curve family: yield curve, release surprises, standing of the main series, as known.

Belongs here: measures of vintages beside those of `macro`. Does not belong here: fetching series,
and surveys of economists, which no source of the house has: a surprise here is against a forecast
made from the vintages known before the release, and its name says which (``rw`` random walk of the
monthly change, ``ar`` first-order autoregression).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import raw
from btq_assets.contracts.features.macro_curve import CURVE_CHANGES
from btq_assets.features.as_known import Measure, as_known, change, newest, z_score
from btq_assets.features.definitions import Feature, undefined_to_null
from btq_assets.features.macro import STALE_DAILY, STALE_MONTHLY
from btq_assets.features.macro_surprises import (
    AR_MONTHS,
    MONTHS,
    annual_change,
    autoregression,
    change_z,
    random_walk,
    surprise,
)
from btq_assets.timeline import asof_join

_KEY = ("universe", "ts")
#: Curves in the order of preference: the Treasury's own, then FRED's copies of H.15.
CURVES = ("treasury", "h15")
_FACTORS = ("level", "slope", "slope_2y", "curvature")
_AGE = "age_days"


@dataclass(frozen=True)
class Indicator:
    """A monthly series: where it is found, and what a change of it is.

    Parameters
    ----------
    name
        Prefix of its features.
    series
        Identifiers in the order of preference.
    logarithmic
        Whether a change is one of the logarithm.
    """

    name: str
    series: tuple[str, ...]
    logarithmic: bool = True


#: FRED's own name first: with ALFRED it has every vintage. The nowcast panel ships with the house.
INDICATORS = (
    Indicator("core_cpi", (raw.CORE_CPI, raw.NOWCAST_PREFIX + raw.CORE_CPI)),
    Indicator("industrial_production", ("INDPRO", raw.NOWCAST_PREFIX + "INDPRO")),
    Indicator("payrolls", ("PAYEMS", raw.NOWCAST_PREFIX + "PAYEMS")),
    Indicator("unemployment", ("UNRATE", raw.NOWCAST_PREFIX + "UNRATE"), logarithmic=False),
)


def compute(bars: pl.DataFrame, vintages: pl.DataFrame, curve: pl.DataFrame) -> pl.DataFrame:
    """Compute the family.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`; only their sessions are read.
    vintages
        Rows of `core.macro_vintages`.
    curve
        Rows of `core.yield_curve`; its ``superseded_at`` is of the future and is not read.

    Returns
    -------
    polars.DataFrame
        Rows of ``features.macro_curve``: one per universe and session.
    """
    sessions = bars.select(_KEY).unique().sort(_KEY)
    values: dict[str, pl.Series] = {}
    for found, names, stale in _tables(vintages, curve):
        if found.is_empty():
            continue
        joined = asof_join(sessions, found)
        age = pl.col("ts") - pl.col("released_at")
        days = age.dt.total_seconds() / 86_400
        shown = joined.select(
            (days if name.endswith(_AGE) else pl.when(age <= stale).then(pl.col(name))).alias(name)
            for name in names
        )
        for series in shown:
            # The first of the preferred series that has a value.
            earlier = values.get(series.name)
            values[series.name] = series if earlier is None else earlier.fill_null(series)
    absent = pl.lit(None, pl.Float64)
    return undefined_to_null(
        sessions.with_columns(
            values[name] if name in values else absent.alias(name) for name in _NAMES
        )
    )


def _tables(
    vintages: pl.DataFrame, curve: pl.DataFrame
) -> Iterator[tuple[pl.DataFrame, list[str], timedelta]]:
    """Measures with their names and stale limits, preferred series first."""
    factors = _curve_measures(curve)
    names = [name for name in factors.columns if name.startswith("curve_")]
    for one in CURVES:
        yield factors.filter(pl.col("curve") == one), [*names, f"curve_{_AGE}"], STALE_DAILY
    for name, series, transform in (("vix", raw.VIX_CLOSE, None), ("wti", raw.WTI_SPOT, _logs)):
        rows = vintages.filter(pl.col("series_id") == series)
        measures = {f"{name}_z_252": z_score(252, 400, transform)}
        found = as_known(rows, measures, by=["series_id"], length=252)
        yield found, [*measures, f"{name}_{_AGE}"], STALE_DAILY
    measures = {"credit_spread_z_24m": z_score(MONTHS, 31 * MONTHS)}
    found = as_known(_spread(vintages), measures, by=["series_id"], length=MONTHS)
    yield found, [*measures, f"credit_spread_{_AGE}"], STALE_MONTHLY
    for indicator in INDICATORS:
        standing, surprises = _indicator_measures(indicator)
        rows = vintages.filter(pl.col("series_id").is_in(indicator.series))
        found = as_known(rows, standing | surprises, by=["series_id"], length=AR_MONTHS + 2)
        for series_id in indicator.series:
            read = found.filter(pl.col("series_id") == series_id)
            yield read, [*standing, f"{indicator.name}_{_AGE}"], STALE_MONTHLY
            # A surprise stays what it was at the release, whatever is revised later.
            yield read.filter("is_release"), list(surprises), STALE_MONTHLY


def _curve_measures(curve: pl.DataFrame) -> pl.DataFrame:
    """Factors of each curve and their changes, at each instant at which a day of it became known."""
    # A third more calendar days than sessions, then a week of holidays.
    changes = {f"change_{n}d": change(n, n * 3 // 2 + 10) for n in CURVE_CHANGES}
    long = curve.unpivot(_FACTORS, index=["curve", "period", "known_at"], variable_name="factor")
    found = as_known(
        long, {"value": newest, **changes}, by=["curve", "factor"], length=max(CURVE_CHANGES) + 1
    )
    key = ["curve", "known_at", "released_at"]
    wide = curve.select("curve", "known_at").unique().sort("curve", "known_at")
    for factor in _FACTORS:
        changed = () if factor == "slope_2y" else changes
        one = found.filter(pl.col("factor") == factor).select(
            *(key if factor == _FACTORS[0] else key[:2]),
            pl.col("value").alias(f"curve_{factor}"),
            *(pl.col(name).alias(f"curve_{factor}_{name}") for name in changed),
        )
        # All factors of a day come in one row, so that they became known together.
        wide = wide.join(one, on=key[:2], how="left")
    return wide


def _indicator_measures(
    indicator: Indicator,
) -> tuple[dict[str, Measure], dict[str, Measure]]:
    """What is read at every vintage, and what only at the release of a new month."""
    name, logarithmic = indicator.name, indicator.logarithmic
    standing = {
        f"{name}_change_3m": annual_change(logarithmic),
        f"{name}_z_24m": change_z(logarithmic),
    }
    surprises = {
        f"{name}_surprise_rw": surprise(logarithmic, random_walk),
        f"{name}_surprise_ar": surprise(logarithmic, autoregression),
    }
    return standing, surprises


def _spread(vintages: pl.DataFrame) -> pl.DataFrame:
    """Baa minus Aaa of each month, from the later of their first prints on, with every revision."""
    both = vintages.filter(pl.col("series_id").is_in([raw.MOODYS_BAA, raw.MOODYS_AAA]))
    moments = both.select("period", "known_at").unique().sort("known_at", "period")
    joined = moments
    for name, series in (("_baa", raw.MOODYS_BAA), ("_aaa", raw.MOODYS_AAA)):
        rows = both.filter(pl.col("series_id") == series)
        one = rows.select("period", pl.col("known_at").alias("_at"), pl.col("value").alias(name))
        joined = asof_join(joined, one, by="period", at="known_at", known_at="_at").drop("_at")
    return joined.select(
        "period",
        "known_at",
        series_id=pl.lit("credit_spread"),
        value=pl.col("_baa") - pl.col("_aaa"),
    ).drop_nulls()


def _logs(values: np.ndarray) -> np.ndarray:
    return np.log(np.where(values > 0, values, np.nan))


def _words() -> list[tuple[str, str, str, str, int, tuple[str, ...]]]:
    """Name, formula, source, unit, look-back and needs of each feature."""
    curve, own = "Diebold and Li 2006, empirical factors", "own definition"
    points = "percentage points"
    factors = {
        "level": "y10", "slope": "y10 - y3m", "slope_2y": "y10 - y2", "curvature": "2 y2 - y3m - y10",
    }  # fmt: skip
    words: list[tuple[str, str, str, str, int, tuple[str, ...]]] = [
        (f"curve_{name}", f"{text} of the newest curve known; null 7 days after its release", curve,
         "percent per year" if name == "level" else points, 0, (f"yield_curve.{name}",))
        for name, text in factors.items()
    ]  # fmt: skip
    words += [
        (f"curve_{name}_change_{n}d", f"curve_{name} - that of {n} curves before, as known now", curve,
         points, n, (f"yield_curve.{name}",))
        for name in ("level", "slope", "curvature")
        for n in CURVE_CHANGES
    ]  # fmt: skip
    age = "ts - first release of the newest period known, never null once known"
    words.append((f"curve_{_AGE}", age, own, "days", 0, ("yield_curve.known_at",)))
    for name, series, text in (
        ("vix", raw.VIX_CLOSE, "VIXCLS"),
        ("wti", raw.WTI_SPOT, "ln DCOILWTICO"),
    ):
        z = f"({text} - mean252) / std252 of its newest values known"
        words += [
            (f"{name}_z_252", z, own, "standard deviations", 251, (series,)),
            (f"{name}_{_AGE}", age, own, "days", 0, (series,)),
        ]
    both = (raw.MOODYS_BAA, raw.MOODYS_AAA)
    words += [
        ("credit_spread_z_24m", "(x - mean24) / std24 of BAA - AAA by month, as known", own, "standard deviations", 483, both),
        (f"credit_spread_{_AGE}", age, own, "days", 0, both),
    ]  # fmt: skip
    for indicator in INDICATORS:
        words += _indicator_words(indicator, age)
    return words


def _indicator_words(
    indicator: Indicator, age: str
) -> list[tuple[str, str, str, str, int, tuple[str, ...]]]:
    name, own = indicator.name, "own definition"
    unit = "log change" if indicator.logarithmic else "percentage points"
    g = "g = ln(x[m] / x[m-1])" if indicator.logarithmic else "g = x[m] - x[m-1]"
    walk = f"g of the newest month at its release - g of the month before as known until then; {g}"
    regression = (
        "(g at its release - a - b g[m-1]) / s; a, b, s from least squares of g on the g before, "
        "over the last 60 months known until then, at least 18 pairs"
    )
    return [
        (f"{name}_change_3m", f"4 (g[m] + g[m-1] + g[m-2]); {g}, as known", own, f"{unit} per year", 63, indicator.series),
        (f"{name}_z_24m", "(g - mean24(g)) / std24(g), as known", own, "standard deviations", 504, indicator.series),
        (f"{name}_surprise_rw", walk, own, unit, 63, indicator.series),
        (f"{name}_surprise_ar", regression, own, "residual standard deviations", 420, indicator.series),
        (f"{name}_{_AGE}", age, own, "days", 0, indicator.series),
    ]  # fmt: skip


FEATURES: tuple[Feature, ...] = tuple(
    Feature(name, "macro_curve", formula, source, unit, lookback, needs)
    for name, formula, source, unit, lookback, needs in _words()
)
_NAMES = tuple(feature.name for feature in FEATURES)


def features_of(config: TradingConfig) -> tuple[Feature, ...]:
    """Definitions; no window is configurable."""
    return FEATURES


def compute_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """Compute the family from its tables; switched off with `macro`, all values are null."""
    vintages, curve = inputs["vintages"], inputs["yield_curve"]
    if not config.features.alternative_data.macro_indicators:
        vintages, curve = vintages.clear(), curve.clear()
    return compute(inputs["bars"], vintages, curve)
