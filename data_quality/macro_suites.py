"""The suite of raw macro series, as data.

Belongs here: what is expected of releases, vintages and values. Does not belong here: how a
statistic is computed (`macro_views`), structure (contracts).
"""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckGroup
from data_quality import macro_views
from data_quality.declarations import History, Suite, View, between
from data_quality.runner import check_group

_MACRO = (
    between(
        "assumed_lag_is_plausible",
        "releases",
        "assumed_lag_days",
        0,
        732,
        "An assumed lag is at most 732 days from the start of the period: a year, and the late "
        "default of a yearly series nobody described.",
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
        "unit_is_that_of_before",
        "series",
        "n_units_ever",
        1,
        1,
        "New values are in the unit of those stored before, in their latest vintage: else the "
        "series was rebased in part.",
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
        "known_after_its_period_began",
        "vintages",
        "known_lead_days",
        None,
        0,
        "No value is known before the first day it describes: it is a forecast, or its clock or "
        "zone is wrong.",
    ),
    between(
        "changes_have_not_shifted",
        "series",
        "change_ratio",
        1 / 25,
        25,
        "The mean absolute change of the last 24 periods is within a factor of 25 of that of all "
        "earlier ones: beyond it the series is another one under the same name.",
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

#: Whole series: they are short.
_HISTORY = History(("series_id",), "period", 36_500)

_MACRO_VIEWS = (
    View("series", macro_views.series, ("series_id",)),
    View("releases", macro_views.releases, ("series_id", "period")),
    View("vintages", macro_views.vintages, ("series_id", "period")),
    View("steps", macro_views.steps, ("series_id", "period")),
)


def macro_suite(contract: TableContract) -> CheckGroup:
    """Checks of a ``raw.macro_*`` table; mixed units block, the rest warns.

    Parameters
    ----------
    contract
        Contract made by `contracts.raw.macro_contract`.
    """
    return check_group(macro_declaration(contract))


def macro_declaration(contract: TableContract) -> Suite:
    """The declaration behind `macro_suite`."""
    return Suite(contract.table, _MACRO_VIEWS, _MACRO, history=_HISTORY)


#: The name that says which layer it is for.
raw_macro_suite = macro_suite
