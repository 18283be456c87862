"""Suites of option quotes, off-exchange volume, on-chain metrics, funding and corporate actions.

Belongs here: what is expected of these raw tables, as data. Does not belong here: how a statistic
is computed (`alternative_views`, `action_views`), structure (contracts).
"""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckGroup
from data_quality import action_views, alternative_views
from data_quality.declarations import Expectation, History, Suite, View, between
from data_quality.runner import check_group

_OPTIONS = (
    between(
        "most_quotes_have_two_sides", "chains", "one_sided_fraction", None, 0.9,
        "At least a tenth of the contracts have both bid and ask; outside trading hours few do.",
    ),
    between(
        "spreads_are_plausible", "chains", "spread_to_mid", None, 1.0,
        "The median spread is at most as wide as the price itself.",
    ),
    between(
        "contracts_are_not_idle", "chains", "idle_fraction", None, 0.95,
        "At least 5 % of the contracts have open interest or volume; else the field was not read.",
    ),
    between(
        "both_rights_are_there", "chains", "put_share", 0.2, 0.8,
        "Puts and calls each make up at least a fifth of a chain.",
    ),
    between(
        "prices_follow_the_strike", "chains", "disorder_fraction", None, 0.02,
        "In at most 2 % of neighbouring strikes does a call cost more at the higher strike, or a "
        "put at the lower one, beyond both spreads: an arbitrage, or strikes mixed up.",
    ),
    between(
        "quotes_are_fresh", "chains", "quote_age_hours", None, 96,
        "A quote is at most four days old when it becomes known: a long weekend.",
    ),
)  # fmt: skip

_ONCHAIN = (
    between(
        "one_unit", "series", "n_units", 1, 1, "A series has one unit.", blocking=True,
    ),
    between(
        "unit_is_that_of_before", "series", "n_units_ever", 1, 1,
        "New values are in the unit of those stored before.",
    ),
    between(
        "no_gap_in_days", "series", "gap_ratio", None, 5,
        "No gap is more than five times the usual one.",
    ),
    between(
        "no_stale_values", "series", "longest_stale_run", None, 14,
        "At most 14 equal values in a row: longer, and the provider has stopped counting.",
    ),
    between(
        "values_are_not_negative", "series", "negative_fraction", None, 0.0,
        "Counts, supplies and values locked are not negative.",
    ),
    between(
        "known_soon", "series", "known_lag_hours", None, 24 * 7,
        "An assumed lag is at most a week.",
    ),
    between(
        "level_has_not_shifted", "series", "level_ratio", 0.1, 10,
        "The median of the last 30 values is within a factor of ten of that of the 30 before.",
    ),
    between(
        "no_outlier", "steps", "change_in_sigmas", None, 60,
        "No change is sixty robust standard deviations.",
    ),
)  # fmt: skip


def _as_many_as_usual(view: str, stretch: str) -> Expectation:
    """A list of symbols by week or session is neither cut short nor doubled."""
    return between(
        "as_many_symbols_as_usual", view, "symbols_to_usual", 0.5, 2,
        f"A {stretch} has half to twice the symbols of the median {stretch}.",
    )  # fmt: skip


_DARK_POOL = (
    between(
        "trades_have_a_trades_size", "weeks", "shares_per_trade", 1, 1e5,
        "A trade is of 1 to 100,000 shares in the mean.",
    ),
    between(
        "published_in_time", "weeks", "published_after_days", None, 120,
        "A week is known within four months.",
    ),
    _as_many_as_usual("weeks", "week"),
    between(
        "no_week_is_missing", "weeks", "weeks_since_last", None, 1,
        "Weeks follow one another.",
    ),
)  # fmt: skip

_SHORT_VOLUME = (
    _as_many_as_usual("sessions", "session"),
    between(
        "no_session_is_missing", "sessions", "days_since_last", None, 5,
        "Sessions lie at most five days apart: a long weekend and a holiday.",
    ),
)  # fmt: skip

_FUNDING = (
    between(
        "rates_are_plausible", "series", "largest_rate", None, 0.05,
        "No funding payment is above 5 % of the position: exchanges cap it well below.",
    ),
    between(
        "fundings_are_regular", "series", "gap_ratio", None, 3,
        "No time between fundings is more than three times the usual one.",
    ),
)  # fmt: skip

_ACTIONS = (
    between(
        "split_ratio_is_plausible", "actions", "split_log_ratio", 1e-6, 4.61,
        "A split changes the number of shares, and by less than a factor of 100.",
    ),
    between(
        "told_once", "actions", "told_again_after_days", action_views.SAME_ACTION_DAYS, None,
        "No action is followed by an equal one within a week: one event told under two dates would "
        "be adjusted for twice.",
    ),
)  # fmt: skip


def options_declaration(contract: TableContract) -> Suite:
    """The declaration behind `raw_options_suite`."""
    view = View("chains", alternative_views.chains, alternative_views.CHAIN)
    return Suite(contract.table, (view,), _OPTIONS)


def onchain_declaration(contract: TableContract) -> Suite:
    """The declaration behind `raw_onchain_suite`."""
    metric = alternative_views.METRIC
    views = (
        View("series", alternative_views.metrics, metric),
        View("steps", alternative_views.metric_steps, (*metric, "ts")),
    )
    return Suite(contract.table, views, _ONCHAIN, history=History(metric, "ts", 400))


def dark_pool_declaration(contract: TableContract) -> Suite:
    """The declaration behind `raw_dark_pool_suite`."""
    view = View("weeks", alternative_views.venues, ("dataset", "week"))
    return Suite(contract.table, (view,), _DARK_POOL, history=History(("dataset",), "week", 42))


def short_volume_declaration(contract: TableContract) -> Suite:
    """The declaration behind `raw_short_volume_suite`."""
    view = View("sessions", alternative_views.short_sessions, ("dataset", "session"))
    return Suite(
        contract.table, (view,), _SHORT_VOLUME, history=History(("dataset",), "session", 10)
    )


def funding_declaration(contract: TableContract) -> Suite:
    """The declaration behind `funding_suite`."""
    view = View("series", alternative_views.funding, ("dataset", "symbol"))
    series = ("dataset", "symbol")
    return Suite(contract.table, (view,), _FUNDING, history=History(series, "ts", 60))


def corporate_actions_declaration(contract: TableContract) -> Suite:
    """The declaration behind `corporate_actions_suite`."""
    view = View("actions", action_views.announced, ("dataset", "symbol", "kind", "ex_date"))
    series = ("dataset", "symbol")
    return Suite(contract.table, (view,), _ACTIONS, history=History(series, "ex_date", 30))


def raw_options_suite(contract: TableContract) -> CheckGroup:
    """Checks of a ``raw.option_quotes_*`` table; all of them warn."""
    return check_group(options_declaration(contract))


def raw_onchain_suite(contract: TableContract) -> CheckGroup:
    """Checks of a ``raw.onchain_*`` table; mixed units block, the rest warns."""
    return check_group(onchain_declaration(contract))


def raw_dark_pool_suite(contract: TableContract) -> CheckGroup:
    """Checks of a ``raw.dark_pool_*`` table; all of them warn."""
    return check_group(dark_pool_declaration(contract))


def raw_short_volume_suite(contract: TableContract) -> CheckGroup:
    """Checks of a ``raw.short_volume_*`` table; all of them warn."""
    return check_group(short_volume_declaration(contract))


def funding_suite(contract: TableContract) -> CheckGroup:
    """Checks of a ``raw.funding_rates_*`` table; all of them warn."""
    return check_group(funding_declaration(contract))


def corporate_actions_suite(contract: TableContract) -> CheckGroup:
    """Checks of a ``raw.corporate_actions_*`` table; all of them warn."""
    return check_group(corporate_actions_declaration(contract))
