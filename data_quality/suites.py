"""The suite of raw bars, daily and intraday, as data; and where the other suites are found.

Belongs here: what is expected of raw bars, with thresholds and severities. Does not belong here:
how a statistic is computed (the views), structure (contracts).

Thresholds are wide on purpose: a warning should make a person look, not look away. What blocks is
what no market does: a price that changes by a factor of fifty, a copied series, a series in two
units. What rooms check themselves (leaks, labels, session closes) is not repeated.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

import polars as pl

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckContext, CheckGroup
from data_quality import action_views, bar_views, stamp_views
from data_quality.declarations import Expectation, History, Suite, View, between
from data_quality.document_suites import documents_declaration, documents_suite
from data_quality.macro_suites import macro_declaration, macro_suite
from data_quality.runner import group_of

Kind = Literal["1d", "intraday"]

#: Enough for a year against the three before it, for a long weekend of minutes, and for the
#: longest run of equal closes that is let pass.
_BAR_HISTORY = History(bar_views.SERIES, "ts", 1_160, {"1h": 60, "15m": 10, "5m": 7, "1m": 5})

_EVERY_BAR = (
    between(
        "no_unit_error",
        "returns",
        "return_of_new",
        -math.log(50),
        math.log(50),
        "No price changes by a factor of 50 or more from one bar that came to the next: cents for "
        "dollars, or a split applied twice. Fix the source, or leave the bar out.",
        blocking=True,
    ),
    between(
        "no_split_sized_return",
        "returns",
        "log_return",
        -math.log(2),
        math.log(2),
        "A price that doubles or halves overnight is rare; it is often a split that was not "
        "adjusted for. Compare with a second source.",
    ),
    between(
        "no_spike_against_the_cross_section",
        "returns",
        "spike_in_sigmas",
        None,
        15,
        "No price leaves its neighbours by 15 usual moves and comes back at the next bar while the "
        "rest of its dataset stays: that is a bad tick. In 33 years of twenty stocks the most is 9.",
    ),
    between(
        "one_currency",
        "stamps",
        "n_currencies",
        1,
        1,
        "A series has one currency.",
        blocking=True,
    ),
    between(
        "currency_is_that_of_before",
        "stamps",
        "n_currencies_ever",
        1,
        1,
        "New bars are in the currency of those stored before: else the prices of two currencies "
        "stand beside each other.",
    ),
    between(
        "stamps_come_in_order",
        "stamps",
        "out_of_order",
        None,
        0,
        "Bars come oldest first or newest first. One out of order is often a clock that was set "
        "back, or two files glued together.",
    ),
    between(
        "no_column_vanishes",
        "stamps",
        "columns_vanished",
        None,
        0,
        "A column that was always there is not missing from the last twenty bars: the source has "
        "changed its answer.",
    ),
    between(
        "known_soon_after_the_bar",
        "stamps",
        "known_lag_hours",
        None,
        72,
        "Where the time of knowledge is assumed it lies within three days of the bar: more is a "
        "clock or a zone gone wrong.",
    ),
    between(
        "few_late_arrivals",
        "stamps",
        "late_fraction",
        None,
        0.05,
        "At most 5 % of the bars became known after a later bar of their series.",
    ),
    between(
        "no_wide_range",
        "ranges",
        "log_range",
        None,
        math.log(2),
        "No bar's high is twice its low; such a range is often one bad tick.",
    ),
    Expectation(
        "no_copied_series",
        "fingerprints",
        "fingerprint",
        "expect_column_values_to_be_unique",
        "No two symbols have the same last returns: one was stored under the name of the other.",
        blocking=True,
    ),
    between(
        "splits_are_adjusted_once",
        "adjustments",
        "split_left",
        -0.5,
        0.5,
        "On the day of an announced split the adjusted price does not move by the split: minus one "
        "of it is a missed split, plus one is a split taken twice.",
    ),
    between(
        "dividends_are_adjusted_once",
        "adjustments",
        "dividend_taken",
        0.5,
        1.5,
        "On the day of an announced dividend the adjustment factor steps by it once: not at all is "
        "a missed dividend, twice a doubled one.",
    ),
)

_DAILY_BARS = (
    between(
        "no_gap_in_sessions",
        "series",
        "longest_gap_days",
        None,
        10,
        "Consecutive daily bars lie at most ten days apart; the longest closure of a large "
        "exchange since 1933, in September 2001, left seven. A longer gap is missing data.",
    ),
    between(
        "covers_the_sessions_of_its_dataset",
        "series",
        "session_coverage",
        0.98,
        None,
        "Between its first and last bar a series has 98 % of the sessions of its calendar; where none "
        "is configured, of every day for a market that never closes, or of its dataset.",
    ),
    between(
        "no_stale_prices",
        "series",
        "longest_stale_run",
        None,
        10,
        "At most ten equal closes in a row. A longer run is a price that was not traded, was "
        "filled forward, or is pegged.",
    ),
    between(
        "columns_are_whole",
        "series",
        "partial_null_fraction",
        None,
        0.02,
        "A column a series has at all is missing in at most 2 % of its bars.",
    ),
    between(
        "volume_is_not_zero",
        "series",
        "zero_volume_fraction",
        None,
        0.05,
        "Where volume is given it is zero in at most 5 % of the bars; elsewhere zero often means "
        "unknown.",
    ),
    between(
        "no_filled_weekends",
        "series",
        "weekend_fraction",
        None,
        0.0,
        "A market that does not trade at weekends has no bars on them; a few are rows filled "
        "forward or a time zone gone wrong.",
    ),
    between(
        "volatility_has_not_shifted",
        "series",
        "volatility_ratio",
        1 / 4,
        4,
        "The mean absolute return of the last 252 bars is within a factor of four of that of all "
        "earlier bars.",
    ),
    between(
        "volume_has_not_shifted",
        "series",
        "volume_ratio",
        1 / 30,
        30,
        "The median volume of the last 60 bars is within a factor of 30 of that of the year before: "
        "a larger step is another unit (lots for shares, quote for base currency).",
    ),
    between(
        "price_level_is_plausible",
        "series",
        "median_price",
        1e-4,
        1e6,
        "The median price lies between a hundredth of a cent and a million.",
    ),
    between(
        "adjustment_factor_is_plausible",
        "ranges",
        "adjustment_factor",
        1e-3,
        1.02,
        "The adjusted close is not above the close and not below a thousandth of it: dividends "
        "and splits lower past prices.",
    ),
)

_INTRADAY_BARS = (
    between(
        "covers_the_intraday_grid",
        "intraday",
        "grid_coverage",
        0.9,
        None,
        "Between its first and last bar an intraday series has 90 % of the intervals in which its "
        "market is open; a minute without a trade has no bar at many sources.",
    ),
    between(
        "no_long_hole_in_a_session",
        "intraday",
        "longest_hole_bars",
        None,
        60,
        "At most 60 bars in a row are missing inside a session: more is an outage.",
    ),
    between(
        "no_stale_intraday_prices",
        "intraday",
        "longest_stale_bars",
        None,
        120,
        "At most 120 equal closes in a row.",
    ),
    between(
        "intraday_volume_is_not_zero",
        "intraday",
        "zero_volume_fraction",
        None,
        0.5,
        "Where volume is given it is zero in at most half of the intraday bars.",
    ),
    between(
        "stamps_are_on_the_grid",
        "stamps",
        "off_grid_fraction",
        None,
        0.2,
        "At most a fifth of the intraday bars end elsewhere in their interval than most do; a last "
        "bar cut short by the close is one of seven hourly ones.",
    ),
)


def raw_bars_suite(
    contract: TableContract, *, freq: Kind | None = None, calendar: str | None = None
) -> CheckGroup:
    """Checks of a ``raw.bars_*`` table; what no market does blocks, the rest warns.

    They judge the rows about to be appended, of which there may be none. Corporate actions that
    the same asset writes are held against the bars.

    Parameters
    ----------
    contract
        Contract made by `contracts.raw.bars_contract`.
    freq
        ``"1d"`` or ``"intraday"`` for a source that gives nothing else; both by default.
    calendar
        Exchange calendar of all series; by default the ``calendar`` setting of the source the
        table is named after, where it has one.
    """

    def suite_for(context: CheckContext) -> Suite:
        actions = [
            frame for table, frame in context.frames.items() if ".corporate_actions_" in table
        ]
        return raw_bars_declaration(
            contract,
            freq=freq,
            calendar=calendar or _configured_calendar(contract, context.config),
            actions=actions[0] if actions else None,
        )

    return group_of(raw_bars_declaration(contract, freq=freq), suite_for)


def raw_bars_declaration(
    contract: TableContract,
    *,
    freq: Kind | None = None,
    calendar: str | None = None,
    actions: pl.DataFrame | None = None,
) -> Suite:
    """The declaration behind `raw_bars_suite`."""
    views = (
        View("returns", bar_views.returns, (*bar_views.SERIES, "ts")),
        View("ranges", bar_views.ranges, (*bar_views.SERIES, "ts")),
        View("series", bar_views.series_view(calendar), bar_views.SERIES),
        View("intraday", stamp_views.intraday_view(calendar), bar_views.SERIES),
        View("stamps", stamp_views.stamps, bar_views.SERIES),
        View("fingerprints", bar_views.fingerprints, bar_views.SERIES),
        View(
            "adjustments",
            action_views.adjustments_view(_NO_ACTIONS if actions is None else actions),
            ("dataset", "symbol", "kind", "ex_date", "value"),
        ),
    )
    chosen: list[Iterable[Expectation]] = [_EVERY_BAR]
    if freq != "intraday":
        chosen.append(_DAILY_BARS)
    if freq != "1d":
        chosen.append(_INTRADAY_BARS)
    return Suite(
        contract.table,
        views,
        tuple(expectation for part in chosen for expectation in part),
        bar_views.latest_bars,
        _BAR_HISTORY,
    )


_NO_ACTIONS = pl.DataFrame(
    schema={
        "dataset": pl.String,
        "symbol": pl.String,
        "ex_date": pl.Date,
        "kind": pl.String,
        "known_at": pl.Datetime("us", "UTC"),
        "value": pl.Float64,
        "basis": pl.String,
    }
)


def _configured_calendar(contract: TableContract, config: Any) -> str | None:
    source = getattr(getattr(config, "sources", None), contract.name.removeprefix("bars_"), None)
    return getattr(source, "calendar", None)


__all__ = [
    "documents_declaration",
    "documents_suite",
    "macro_declaration",
    "macro_suite",
    "raw_bars_declaration",
    "raw_bars_suite",
]
