"""The suites, layer by layer, as data.

Belongs here: what is expected of raw bars, macro series and documents, with thresholds and
severities. Does not belong here: how a statistic is computed (the views), structure (contracts).

Thresholds are wide on purpose: a warning should make a person look, not look away. What blocks is
what no market does: a price that changes by a factor of fifty, a copied series, a series in two
units. What rooms check themselves (leaks, labels, session closes) is not repeated.
"""

from __future__ import annotations

import math

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckGroup
from data_quality import bar_views, macro_views
from data_quality.declarations import Expectation, Suite, View, between
from data_quality.runner import check_group

_RAW_BARS = (
    between(
        "no_unit_error",
        "returns",
        "log_return",
        -math.log(50),
        math.log(50),
        "No price changes by a factor of 50 or more from one bar to the next: cents for dollars, "
        "or a split applied twice. Fix the source, or leave the bar out.",
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
        "Between its first and last bar a series has 98 % of the sessions its dataset has.",
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
        "price_level_is_plausible",
        "series",
        "median_price",
        1e-4,
        1e6,
        "The median price lies between a hundredth of a cent and a million.",
    ),
    between(
        "no_wide_range",
        "ranges",
        "log_range",
        None,
        math.log(2),
        "No bar's high is twice its low; such a range is often one bad tick.",
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
    Expectation(
        "no_copied_series",
        "fingerprints",
        "fingerprint",
        "expect_column_values_to_be_unique",
        "No two symbols have the same last returns: one was stored under the name of the other.",
        blocking=True,
    ),
)

_RAW_BAR_VIEWS = (
    View("returns", bar_views.returns, (*bar_views.SERIES, "ts")),
    View("ranges", bar_views.ranges, (*bar_views.SERIES, "ts")),
    View("series", bar_views.series, bar_views.SERIES),
    View("fingerprints", bar_views.fingerprints, bar_views.SERIES),
)

_MACRO = (
    between(
        "assumed_lag_is_plausible",
        "releases",
        "assumed_lag_days",
        0,
        130,
        "An assumed lag is at most 130 days from the start of the period: a quarter and its "
        "release.",
    ),
    between(
        "no_gap_in_periods",
        "series",
        "gap_ratio",
        None,
        10,
        "No gap between periods is more than ten times the usual one.",
    ),
    between(
        "no_stale_values",
        "series",
        "longest_stale_run",
        None,
        24,
        "At most 24 equal values in a row: longer, and the series was filled forward or pinned.",
    ),
    between(
        "one_unit",
        "series",
        "n_units",
        1,
        1,
        "A series has one unit.",
        blocking=True,
    ),
    between(
        "no_outlier",
        "steps",
        "change_in_sigmas",
        None,
        60,
        "No change from one period to the next is sixty robust standard deviations: a misplaced "
        "decimal point is, a crisis seldom.",
    ),
    between(
        "revisions_are_small",
        "series",
        "largest_revision_in_sigmas",
        None,
        1,
        "No revision moves a value by more than the standard deviation of the whole series: a "
        "larger one is a change of base year or unit.",
    ),
)

_MACRO_VIEWS = (
    View("series", macro_views.series, ("series_id",)),
    View("releases", macro_views.releases, ("series_id", "period")),
    View("steps", macro_views.steps, ("series_id", "period")),
)

_DOCUMENTS = (
    between(
        "known_within_a_day",
        "documents",
        "delay_hours",
        None,
        24,
        "A document is known within a day of its publication.",
    ),
    between(
        "headline_has_a_headlines_length",
        "documents",
        "headline_length",
        8,
        400,
        "A headline has 8 to 400 characters.",
    ),
    between(
        "headlines_are_not_repeated",
        "headlines",
        "n_repeats",
        None,
        3,
        "No headline is repeated more than three times for one symbol on one day.",
    ),
    between(
        "no_symbol_dominates",
        "coverage",
        "relative_share",
        None,
        5,
        "No symbol has more than five times its even share of the documents.",
    ),
)

_DOCUMENT_VIEWS = (
    View("documents", macro_views.documents, ("doc_id", "symbol", "published_at")),
    View("headlines", macro_views.headlines, ("symbol", "day", "headline")),
    View("coverage", macro_views.coverage, ("symbol",)),
)


def raw_bars_suite(contract: TableContract) -> CheckGroup:
    """Checks of a ``raw.bars_*`` table; unit errors and copied series block, the rest warns.

    They judge the rows about to be appended, of which there may be none.

    Parameters
    ----------
    contract
        Contract made by `contracts.raw.bars_contract`.
    """
    return check_group(raw_bars_declaration(contract))


def raw_bars_declaration(contract: TableContract) -> Suite:
    """The declaration behind `raw_bars_suite`."""
    return Suite(contract.table, _RAW_BAR_VIEWS, _RAW_BARS, bar_views.latest_bars)


def macro_suite(contract: TableContract) -> CheckGroup:
    """Checks of a ``raw.macro_*`` table; mixed units block, the rest warns."""
    return check_group(macro_declaration(contract))


def macro_declaration(contract: TableContract) -> Suite:
    """The declaration behind `macro_suite`."""
    return Suite(contract.table, _MACRO_VIEWS, _MACRO)


def documents_suite(contract: TableContract) -> CheckGroup:
    """Checks of a ``raw.documents_*`` table; all of them warn."""
    return check_group(documents_declaration(contract))


def documents_declaration(contract: TableContract) -> Suite:
    """The declaration behind `documents_suite`."""
    return Suite(contract.table, _DOCUMENT_VIEWS, _DOCUMENTS)
