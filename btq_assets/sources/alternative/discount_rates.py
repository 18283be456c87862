"""Rates that premiums are discounted at: the Treasury curve as it was known at the quote's time.

Belongs here: which curve was known, and reading a rate off it. Does not belong here: options, and
where curves come from (`core.macro_vintages`).

The par yields of constant maturity are bond-equivalent, compounded twice a year; they are taken for
zero rates, which they are up to half a year and nearly are up to two. Between maturities they are
interpolated in time, beyond them held flat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from btq_assets.config.sources import OptionMetricsSection

TREASURY, H15, SETTING, UNDISCOUNTED = "treasury", "h15", "setting", "undiscounted"

#: Years to maturity of the series of each curve; the first curve that is known is taken.
CURVES = {
    TREASURY: {
        "BC_1MONTH": 1 / 12, "BC_2MONTH": 2 / 12, "BC_3MONTH": 3 / 12, "BC_4MONTH": 4 / 12,
        "BC_6MONTH": 6 / 12, "BC_1YEAR": 1.0, "BC_2YEAR": 2.0, "BC_3YEAR": 3.0, "BC_5YEAR": 5.0,
        "BC_7YEAR": 7.0, "BC_10YEAR": 10.0,
    },
    H15: {
        "DGS1MO": 1 / 12, "DGS3MO": 3 / 12, "DGS6MO": 6 / 12, "DGS1": 1.0, "DGS2": 2.0,
        "DGS3": 3.0, "DGS5": 5.0, "DGS7": 7.0, "DGS10": 10.0,
    },
}  # fmt: skip
#: With fewer maturities a day is no curve.
_FEWEST_TENORS = 2


@dataclass(frozen=True)
class Curve:
    """Continuously compounded rates of one day, as known at some time."""

    basis: str
    years: np.ndarray
    rates: np.ndarray

    def rate(self, years: float) -> float:
        """Annual rate to `years`, flat beyond the first and the last maturity."""
        return float(np.interp(years, self.years, self.rates))


def curves_known_at(
    times: Sequence[datetime], vintages: pl.DataFrame, settings: OptionMetricsSection
) -> dict[datetime, Curve]:
    """The curve each time was discounted with.

    Parameters
    ----------
    times
        When quotes were known, UTC.
    vintages
        Rows of ``core.macro_vintages``; series that belong to no curve are ignored.
    settings
        Which curves count, and the rate where none does.

    Returns
    -------
    dict
        The newest curve of at most ``curve_max_age_days`` known by then, of the Treasury before
        H.15; a flat one at ``discount_rate_annual``, basis ``setting``, where there is none.
    """
    flat = Curve(SETTING, np.array([1.0]), np.array([settings.discount_rate_annual]))
    if settings.discount == "setting":
        return dict.fromkeys(times, flat)
    parts = {
        name: vintages.filter(pl.col("series_id").is_in(list(tenors))).with_columns(
            years=pl.col("series_id").replace_strict(tenors, default=None, return_dtype=pl.Float64)
        )
        for name, tenors in CURVES.items()
    }
    oldest = timedelta(days=settings.curve_max_age_days)
    return {
        time: next(
            (
                curve
                for name, rows in parts.items()
                if (curve := _curve(name, rows, time, oldest)) is not None
            ),
            flat,
        )
        for time in sorted(set(times))
    }


def _curve(name: str, rows: pl.DataFrame, time: datetime, oldest: timedelta) -> Curve | None:
    known = rows.filter(
        pl.col("period") >= (time - oldest).date(),
        pl.col("known_at") <= time,
        pl.col("superseded_at").is_null() | (pl.col("superseded_at") > time),
    )
    whole = known.filter(pl.len().over("period") >= _FEWEST_TENORS)
    newest = whole.filter(pl.col("period") == pl.col("period").max()).sort("years")
    if newest.is_empty():
        return None
    yields = newest["value"].to_numpy() / 100
    return Curve(name, newest["years"].to_numpy(), 2 * np.log1p(yields / 2))
