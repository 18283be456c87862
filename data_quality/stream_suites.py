"""Suites of ticks: trades, best quotes, book changes, and the gaps of a stream.

Belongs here: what is expected of a batch, as data. Does not belong here: how a statistic is computed
(`stream_views`), structure (contracts).

What blocks leaves the batch in the inbox until a person has looked, so only that blocks which would
make every later number wrong: sides swapped, prices in two units. A batch with a hole in it is worth
storing, and the hole is on record.
"""

from __future__ import annotations

import polars as pl

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckGroup
from data_quality import stream_views
from data_quality.declarations import Expectation, Suite, View, between
from data_quality.runner import check_group, group_beside

#: An exchange's clock and ours may differ by so much.
CLOCK_TOLERANCE_S = 2.0


def _of_every_feed(name: str, events: str, order: str) -> tuple[Expectation, ...]:
    """What is expected of trades, quotes and book changes alike; checks are named by `name`."""
    return (
        between(
            f"{name}_stamps_follow_the_numbers", name, "out_of_order", None, 0,
            f"No {events} happened before one with a lower number: {order}.",
        ),
        between(
            f"{name}_clocks_agree", name, "clock_ahead_s", None, CLOCK_TOLERANCE_S,
            f"None comes more than {CLOCK_TOLERANCE_S:g} s before it happened: synchronise this "
            "machine's clock; its known_at is the exchange's time.",
        ),
        between(
            f"{name}_do_not_pause", name, "pause_ratio", None, 60,
            "No pause is sixty times as long as the usual long one (95th percentile, at least 5 s).",
        ),
        between(
            f"{name}_do_not_fall_silent", name, "silence_ratio", None, 60,
            "No symbol has been silent for sixty of its usual long pauses while others of its "
            "dataset were heard: it is halted, or its subscription is dead.",
        ),
    )  # fmt: skip


_TRADES = (
    *_of_every_feed("trades", "trade", "two matching engines, or numbers of two markets"),
    between(
        "trades_holes_are_recorded", "trades", "unrecorded_holes", None, 0,
        "The numbers of trades are consecutive, or a recorded gap says where they are not.",
    ),
    between(
        "trades_come_soon", "trades", "delay_s", None, 5,
        "Half of the trades come within five seconds: later, the line is full or our clock ahead.",
    ),
    between(
        "trades_have_one_unit", "trades", "level_ratio", None, 50,
        "A tenth of the prices is not fifty times another tenth: cents for dollars, or two "
        "instruments under one name.",
        blocking=True,
    ),
    between(
        "trades_have_no_spike", "trades", "spike_in_sigmas", None, 20,
        "No price leaves the median of the twenty around it by twenty robust standard deviations, "
        "at least 1 %: a bad tick, or a sweep of a thin book.",
    ),
    between(
        "trades_are_not_repeated", "trades", "repeated_fraction", None, 0.3,
        "At most 30 % of the trades equal another in time, price, quantity and side: more is an "
        "exchange, or a replay, that tells the same trades under new numbers.",
    ),
    between(
        "trades_have_two_sides", "trades", "one_sided_fraction", None, 0.98,
        "Of a hundred trades or more at most 98 % have the same aggressor: else the flag is not read.",
    ),
)  # fmt: skip

_QUOTES = (
    *_of_every_feed("quotes", "quote", "updates of two books, or a line that reorders"),
    between(
        "quotes_sides_are_not_swapped", "quotes", "crossed_fraction", None, 0.5,
        "Not more than half of the quotes bid above the ask: the sides are swapped.",
        blocking=True,
    ),
    between(
        "quotes_are_not_crossed", "quotes", "crossed_fraction", None, 0,
        "No quote bids above its ask: on one venue the two would have traded. Such quotes stay in "
        "raw and are left out of core.quotes.",
    ),
    between(
        "quotes_are_rarely_locked", "quotes", "locked_fraction", None, 0.05,
        "At most 5 % of the quotes have no spread at all.",
    ),
    between(
        "quotes_spreads_are_plausible", "quotes", "spread_bps", None, 500,
        "The median spread is at most 5 % of the price.",
    ),
    between(
        "quotes_have_quantities", "quotes", "empty_fraction", None, 0.01,
        "At most 1 % of the quotes offer nothing on a side.",
    ),
    between(
        "quotes_are_not_stale", "quotes", "repeated_fraction", None, 0.5,
        "At most half of the quotes equal the one before: an update that changes nothing is none.",
    ),
    between(
        "quotes_have_no_spike", "quotes", "spike_in_sigmas", None, 20,
        "No mid price leaves the median of the twenty around it by twenty robust standard "
        "deviations, at least 1 %.",
    ),
)  # fmt: skip

_BOOK = (
    *_of_every_feed("book", "change", "updates of two books, or a line that reorders"),
    between(
        "book_changes_join", "book", "unjoined", None, 0,
        "Every change begins where the one before ended, or a snapshot lies between.",
    ),
    between(
        "book_snapshots_are_not_crossed", "book", "crossed_snapshots", None, 0,
        "No snapshot has its best bid at or above its best ask.",
    ),
    between(
        "book_has_two_sides", "book", "bid_fraction", 0.02, 0.98,
        "Of a hundred changed levels or more each side has at least 2 %.",
    ),
)  # fmt: skip

_GAPS = (
    between(
        "gaps_are_filled", "gaps", "n_lost", None, 0,
        "Every gap was filled, or the book taken anew. What is lost stays lost, and on record.",
    ),
    between(
        "gaps_are_few", "gaps", "n_gaps", None, 20,
        "A batch has at most twenty gaps of one symbol: more, and the line or this machine is too "
        "slow for what is recorded.",
    ),
    between(
        "gaps_are_short", "gaps", "longest_dark_s", None, 60,
        "Nothing is dark for more than a minute.",
    ),
    between(
        "gaps_resync_is_finished", "gaps", "unfinished", None, 0,
        "A book that lost a change was started again from a snapshot since; until then its state "
        "is not known.",
    ),
)  # fmt: skip


def trades_declaration(contract: TableContract, gaps: pl.DataFrame | None = None) -> Suite:
    """The declaration behind `trades_suite`; `gaps` is a frame of gaps or ``None``."""
    identity = (*stream_views.SERIES, "spike_at")
    view = View("trades", stream_views.trades_view(gaps), identity)
    return Suite(contract.table, (view,), _TRADES)


def quotes_declaration(contract: TableContract) -> Suite:
    """The declaration behind `quotes_suite`."""
    view = View("quotes", stream_views.quotes, (*stream_views.SERIES, "spike_at"))
    return Suite(contract.table, (view,), _QUOTES)


def book_declaration(contract: TableContract) -> Suite:
    """The declaration behind `book_suite`."""
    return Suite(contract.table, (View("book", stream_views.book, stream_views.SERIES),), _BOOK)


def gaps_declaration(contract: TableContract, book: pl.DataFrame | None = None) -> Suite:
    """The declaration behind `gaps_suite`; `book` is a frame of book changes or ``None``."""
    view = View("gaps", stream_views.gaps_view(book), stream_views.STREAM)
    return Suite(contract.table, (view,), _GAPS)


def trades_suite(contract: TableContract, gaps: TableContract | None = None) -> CheckGroup:
    """Checks of a ``raw.trades_*`` table; prices in two units block, the rest warns.

    Parameters
    ----------
    contract
        Contract made by `contracts.raw.stream.trades_contract`.
    gaps
        Table of gaps the same asset writes; without one every hole in the numbers counts.
    """
    return group_beside(trades_declaration, contract, gaps)


def quotes_suite(contract: TableContract) -> CheckGroup:
    """Checks of a ``raw.quotes_*`` table; swapped sides block, the rest warns."""
    return check_group(quotes_declaration(contract))


def book_suite(contract: TableContract) -> CheckGroup:
    """Checks of a ``raw.book_*`` table; all of them warn."""
    return check_group(book_declaration(contract))


def gaps_suite(contract: TableContract, book: TableContract) -> CheckGroup:
    """Checks of ``raw.stream_gaps``, held against the `book` the same asset writes; all warn."""
    return group_beside(gaps_declaration, contract, book)
