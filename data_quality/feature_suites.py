"""The suite of a feature table, derived from its contract and from bounds by column name.

Belongs here: what is expected of features: ranges, missing values, shifts. Does not belong here:
how a statistic is computed (`feature_views`), how a feature is (the features room).
"""

from __future__ import annotations

import math
import re

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckGroup
from data_quality.declarations import Expectation, Suite, View, between
from data_quality.feature_views import columns_view, feature_columns, whole_columns
from data_quality.runner import check_group

#: Bounds that follow from what a quantity is, by pattern of its name; the first match counts.
DEFINITION_BOUNDS: tuple[tuple[str, float, float], ...] = (
    (r"^rsi_", 0.0, 100.0),
    (r"correlation", -1.0, 1.0),
    (r"_rank$", -1.0, 1.0),
    (r"_share$", 0.0, 1.0),
    (r"^sentiment_score$", -1.0, 1.0),
    (r"^sentiment_change_", -2.0, 2.0),
    (r"^money_flow_", -1.0, 1.0),
    (r"^p_", 0.0, 1.0),
    # A standardised value of n observations is at most (n - 1) / sqrt(n): 4.25 for 20, 7.81 for 63
    # (Samuelson, 1968); a little more where the deviation is taken with n.
    (r"_z_20$", -4.5, 4.5),
    (r"_z_63$", -8.0, 8.0),
)

#: Bounds a sane market keeps to: a value outside is more often an error than an event.
PLAUSIBLE_BOUNDS: tuple[tuple[str, float, float], ...] = (
    (r"^return_1d$", -0.8, 2.0),
    (r"^return_\d+d$", -0.95, 10.0),
    (r"^momentum_12_1$", -0.99, 30.0),
    (r"volatility_ratio", 0.0, 10.0),
    (r"volatility_of_volatility", 0.0, 10.0),
    (r"(volatility|parkinson|garman_klass|rogers_satchell)", 0.0, 5.0),
    (r"_beta$", -10.0, 10.0),
    (r"^distance_", -1.0, 5.0),
    (r"_yoy$", -0.5, 0.5),
    (r"^vix_level$", 5.0, 100.0),
    (r"^(roll|corwin_schultz|abdi_ranaldo)_spread_", 0.0, 0.5),
    (r"^credit_spread_baa_aaa$", 0.0, 10.0),
)

#: Share of the rows in which a feature has a value, where it has any. A market-wide series is there
#: for as long as its source ran: the two real-time vintages of 2016 last two months of 33 years,
#: 0.8 % of the sessions. Less than half a per cent is a series that failed to join; holes inside
#: its span are for `few_holes`.
_MINIMUM_PRESENT = {"macro": 0.005, "macro_curve": 0.005}
#: Share of equal neighbours; monthly and weekly values, days of a calendar and graphs of a month stay
#: as they are from day to day by nature.
_MAXIMUM_STALE = {
    "calendar": None,
    "cross_asset_structure": None,
    "dark_pool": None,
    "macro": None,
    "macro_curve": None,
    "multi_timeframe": None,
    "sentiment": None,
    "sentiment_flow": None,
}
#: Missing values between the first and the last; a macro value is null once it is too old, a score
#: once its documents are.
_MAXIMUM_HOLES = {"macro": 0.25, "macro_curve": 0.25, "sentiment": 0.5, "sentiment_flow": 0.5}


def bounds(
    contract: TableContract, patterns: tuple[tuple[str, float, float], ...]
) -> dict[str, tuple[float, float]]:
    """Bounds of each feature whose name matches a pattern; the first match counts.

    A side the contract bounds already is left to it.
    """
    found = {}
    for name in feature_columns(contract):
        column = contract.column(name)
        match = next((p for p in patterns if re.search(p[0], name)), None)
        if match is not None:
            low = match[1] if column.minimum is None else -math.inf
            high = match[2] if column.maximum is None else math.inf
            if math.isfinite(low) or math.isfinite(high):
                found[name] = (low, high)
    return found


def features_suite(
    contract: TableContract,
    *,
    minimum_present: float | None = None,
    maximum_holes: float | None = None,
) -> CheckGroup:
    """Checks of a ``features.*`` table; blocking: constant columns, impossible values.

    A table may have no rows: no symbol has volume, or no document is known.

    Parameters
    ----------
    contract
        Table of a feature family.
    minimum_present, maximum_holes
        Limits on missing values in place of the family's own.
    """
    return check_group(features_declaration(contract, minimum_present, maximum_holes))


def features_declaration(
    contract: TableContract,
    minimum_present: float | None = None,
    maximum_holes: float | None = None,
) -> Suite:
    """The declaration behind `features_suite`."""
    views = (
        View(
            "columns",
            columns_view(
                contract, bounds(contract, DEFINITION_BOUNDS), bounds(contract, PLAUSIBLE_BOUNDS)
            ),
            ("universe", "feature"),
        ),
        View("whole_columns", whole_columns(contract), ("feature",)),
    )
    present = minimum_present or _MINIMUM_PRESENT.get(contract.name, 0.5)
    holes = maximum_holes or _MAXIMUM_HOLES.get(contract.name, 0.02)
    return Suite(contract.table, views, tuple(_expectations(contract, present, holes)))


def _expectations(contract: TableContract, present: float, holes: float) -> list[Expectation]:
    found = [
        between(
            "no_constant_feature",
            "whole_columns",
            "n_distinct",
            2,
            None,
            "A feature with a hundred values has at least two different ones.",
            blocking=True,
        ),
        between(
            "values_are_possible",
            "columns",
            "excess_over_definition",
            None,
            1e-6,
            "Values lie where their definition puts them: RSI in 0 to 100, correlations and ranks "
            "in -1 to 1, shares in 0 to 1, standardised values within the bound of their window.",
            blocking=True,
        ),
        between(
            "values_are_plausible",
            "columns",
            "excess_over_plausible",
            None,
            0.0,
            "Values lie where a sane market keeps them: annual volatility below 500 %, betas "
            "within 10, daily returns between -80 % and 200 %.",
        ),
        between(
            "few_holes",
            "columns",
            "hole_fraction",
            None,
            holes,
            f"Between its first and last value a feature is missing in at most {holes:.0%} of the "
            "rows of a universe.",
        ),
        between(
            "present_after_warm_up",
            "columns",
            "present_fraction",
            present,
            None,
            f"Where a universe has a feature at all, at least {present:.1%} of its rows have it.",
        ),
        between(
            "few_values_far_out",
            "columns",
            "far_out_fraction",
            None,
            0.005,
            "At most 0.5 % of the values lie fifteen interdecile ranges from the median: models "
            "that square them see little else.",
        ),
        between(
            "has_not_shifted",
            "columns",
            "shift_in_widths",
            None,
            2,
            "The median of the last 252 sessions is within two interdecile ranges of the earlier "
            "one.",
        ),
    ]
    stale = _MAXIMUM_STALE.get(contract.name, 0.5)
    if stale is not None:
        found.append(
            between(
                "not_stale",
                "columns",
                "stale_fraction",
                None,
                stale,
                f"At most {stale:.0%} of the values equal the one before them.",
            )
        )
    return found
