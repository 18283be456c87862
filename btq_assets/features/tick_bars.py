"""Events of trades, quotes and books gathered by bar.

Belongs here: signs of trades, spreads, order flow and depth of single bars. Does not belong here:
windows over bars (`tick_windows`), the family's table (`tick_microstructure`).

Everything is placed by when it was known. A bar holds the events known after its start and up to
its end, and a trade is compared with the quote known strictly before it, one microsecond at least.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl

from btq_assets.timeline import asof_join

#: One stream of events.
SERIES = ("universe", "symbol", "source", "dataset")

#: A quote that has stood so long without a word is not taken for the prevailing one.
MAX_QUOTE_AGE = timedelta(minutes=10)

_BPS = 1e4
_INSTANT = timedelta(microseconds=1)
#: Distance from the mid price, as a part of it, up to which a trade is at the mid price.
_AT_MID = 1e-9

_MID = pl.col("mid_price")


def bar_end(time: pl.Expr, bar: str) -> pl.Expr:
    """End of the bar an event known at `time` is part of; one known at its end is."""
    return (time - _INSTANT).dt.truncate(bar).dt.offset_by(bar)


def ordered_quotes(quotes: pl.DataFrame) -> pl.DataFrame:
    """Quotes of each series in the order they became known."""
    return quotes.sort(*SERIES, "known_at", "update_id").select(
        *SERIES, "known_at", "bid_price", "bid_quantity", "ask_price", "ask_quantity", "mid_price",
        "spread_bps",
    )  # fmt: skip


def _quoted(rows: pl.DataFrame, quotes: pl.DataFrame, at: str, *columns: str) -> pl.DataFrame:
    """`rows` with `columns` of the newest quote known at their time `at`."""
    right = quotes.select(*SERIES, *columns, _quoted_at="known_at")
    return asof_join(
        rows, right, by=SERIES, at=at, known_at="_quoted_at", max_age=MAX_QUOTE_AGE
    ).drop("_quoted_at")


def signed_trades(trades: pl.DataFrame, quotes: pl.DataFrame) -> pl.DataFrame:
    """Trades with the mid price before each of them, and their signs.

    Parameters
    ----------
    trades
        Rows of `core.trades`.
    quotes
        Output of `ordered_quotes`.

    Returns
    -------
    polars.DataFrame
        Trades in the order they became known, with ``mid_price`` (of the quote strictly before),
        ``tick_rule`` (1 at a higher price than the last different one, -1 at a lower one; null
        before the first change), ``lee_ready`` (1 above the mid price, -1 below it; at it or
        without a quote the tick rule; Lee and Ready 1991) and ``told`` (1 where the buyer crossed
        the spread, -1 where the seller did, null where nobody says).
    """
    ordered = trades.sort(*SERIES, "known_at", "trade_id")
    # The sign of the last change stays until the next one: that is the rule, no filling of prices.
    move = pl.col("price").diff().sign().cast(pl.Int64)
    signed = ordered.with_columns(
        tick_rule=pl.when(move != 0).then(move).forward_fill().over(SERIES),
        told=pl.col("aggressor").replace_strict(
            {"buyer": 1, "seller": -1}, default=None, return_dtype=pl.Int64
        ),
        _before=pl.col("known_at") - _INSTANT,
    )
    priced = _quoted(signed, quotes, "_before", "mid_price").drop("_before")
    away = pl.col("price") / _MID - 1
    return priced.with_columns(
        lee_ready=pl.when(away > _AT_MID)
        .then(1)
        .when(away < -_AT_MID)
        .then(-1)
        .otherwise("tick_rule")
    )


def _by_quantity(value: pl.Expr) -> pl.Expr:
    weight = pl.when(value.is_not_null()).then("quantity")
    return (value * weight).sum() / weight.sum()


def trade_bars(trades: pl.DataFrame, bar: str) -> pl.DataFrame:
    """Signed trades by bar: imbalances, effective spread, prices and counts.

    Parameters
    ----------
    trades
        Output of `signed_trades`.
    bar
        Length of a bar.
    """
    value = pl.col("price") * pl.col("quantity")
    told = pl.col("told")
    return (
        trades.with_columns(ts=bar_end(pl.col("known_at"), bar))
        .group_by(*SERIES, "ts", maintain_order=True)
        .agg(
            effective_spread_bps=_by_quantity(2 * _BPS * (pl.col("price") / _MID - 1).abs()),
            lee_ready_imbalance=_by_quantity(pl.col("lee_ready")),
            tick_rule_imbalance=_by_quantity(pl.col("tick_rule")),
            aggressor_imbalance=_by_quantity(told),
            _first=pl.col("price").first(),
            _last=pl.col("price").last(),
            _units=pl.col("quantity").sum(),
            _value=value.sum(),
            _signed_value=(value * pl.col("lee_ready")).sum(),
            n_trades=pl.len().cast(pl.Int64),
            n_aggressor_known=told.count().cast(pl.Int64),
            n_lee_ready_right=(told == pl.col("lee_ready")).sum().cast(pl.Int64),
            n_tick_rule_right=(told == pl.col("tick_rule")).sum().cast(pl.Int64),
        )
    )


def realised_bars(
    trades: pl.DataFrame, quotes: pl.DataFrame, bar: str, horizon: timedelta
) -> pl.DataFrame:
    """Realised spread and price impact, in the bar in which the horizon of the trades ended.

    Huang and Stoll (1996): the effective spread is what the resting side keeps, the realised
    spread, and what the price moves, the impact.

    Parameters
    ----------
    trades
        Output of `signed_trades`.
    quotes
        Output of `ordered_quotes`.
    bar
        Length of a bar.
    horizon
        Time from a trade to the mid price it is compared with.
    """
    later = trades.rename({"mid_price": "_mid"}).with_columns(_later=pl.col("known_at") + horizon)
    priced = _quoted(later, quotes, "_later", "mid_price")
    scale = 2 * _BPS * pl.col("lee_ready") / pl.col("_mid")
    return (
        priced.with_columns(ts=bar_end(pl.col("_later"), bar))
        .group_by(*SERIES, "ts", maintain_order=True)
        .agg(
            realised_spread_bps=_by_quantity(scale * (pl.col("price") - _MID)),
            price_impact_bps=_by_quantity(scale * (_MID - pl.col("_mid"))),
        )
    )


def quote_bars(quotes: pl.DataFrame, rows: pl.DataFrame, bar: str) -> pl.DataFrame:
    """Quotes by bar: spread over time, state at the end, and order flow of the best quotes.

    Parameters
    ----------
    quotes
        Output of `ordered_quotes` with that of `microprice.with_adjustment`.
    rows
        Series and ends of the bars that are wanted.
    bar
        Length of a bar.
    """
    best = (
        "bid_price", "bid_quantity", "ask_price", "ask_quantity", "mid_price", "_adjustment",
    )  # fmt: skip
    size = pl.col("bid_quantity") + pl.col("ask_quantity")
    weighted = (
        pl.col("bid_price") * pl.col("ask_quantity") + pl.col("ask_price") * pl.col("bid_quantity")
    ) / size
    state = _quoted(rows, quotes, "ts", *best).with_columns(
        depth_imbalance_top=(pl.col("bid_quantity") - pl.col("ask_quantity")) / size,
        microprice_distance_bps=_BPS * (weighted / _MID - 1),
        stoikov_microprice_distance_bps=_BPS * (pl.col("_adjustment").exp() - 1),
    )
    on = [*SERIES, "ts"]
    flows = _top_flow(quotes.with_columns(ts=bar_end(pl.col("known_at"), bar)))
    spreads = _spread_over_time(quotes, rows, bar)
    return (
        state.select(
            *on,
            "mid_price",
            "depth_imbalance_top",
            "microprice_distance_bps",
            "stoikov_microprice_distance_bps",
        )
        .join(flows, on=on, how="left")
        .join(spreads, on=on, how="left")
    )


def _top_flow(quotes: pl.DataFrame) -> pl.DataFrame:
    """Order-flow imbalance of Cont, Kukanov and Stoikov (2014), equations 3 and 11."""
    bid, bid_size = pl.col("bid_price"), pl.col("bid_quantity")
    ask, ask_size = pl.col("ask_price"), pl.col("ask_quantity")
    was = {c: pl.col(c).shift(1).over(SERIES) for c in (
        "bid_price", "bid_quantity", "ask_price", "ask_quantity", "known_at",
    )}  # fmt: skip
    flow = (
        pl.when(bid >= was["bid_price"]).then(bid_size).otherwise(0.0)
        - pl.when(bid <= was["bid_price"]).then(was["bid_quantity"]).otherwise(0.0)
        - pl.when(ask <= was["ask_price"]).then(ask_size).otherwise(0.0)
        + pl.when(ask >= was["ask_price"]).then(was["ask_quantity"]).otherwise(0.0)
    )
    goes_on = pl.col("known_at") - was["known_at"] <= MAX_QUOTE_AGE
    return (
        quotes.with_columns(_flow=pl.when(goes_on).then(flow))
        .group_by(*SERIES, "ts", maintain_order=True)
        .agg(
            _n_quotes=pl.len(),
            ofi_top_units=pl.when(pl.col("_flow").count() > 0).then(pl.col("_flow").sum()),
            _depth=((bid_size + ask_size) / 2).mean(),
        )
        .with_columns(ofi_top_depths=pl.col("ofi_top_units") / pl.col("_depth"))
        .drop("_depth")
    )


def _spread_over_time(quotes: pl.DataFrame, rows: pl.DataFrame, bar: str) -> pl.DataFrame:
    """Mean quoted spread of each bar, each spread weighted by how long it stood."""
    on = [*SERIES, "ts"]
    # What stood when the bar began.
    opening = _quoted(
        rows.select(*on, known_at=pl.col("ts").dt.offset_by(f"-{bar}")),
        quotes,
        "known_at",
        "spread_bps",
    )
    own = quotes.with_columns(ts=bar_end(pl.col("known_at"), bar))
    columns = [*on, "known_at", "spread_bps"]
    pieces = pl.concat(
        [opening.drop_nulls("spread_bps").select(columns), own.select(columns)]
    ).sort(*on, "known_at", maintain_order=True)
    until = pl.col("known_at").shift(-1).over(on).fill_null(pl.col("ts"))
    stood = (until - pl.col("known_at")).dt.total_microseconds()
    return (
        pieces.with_columns(_stood=stood)
        .group_by(on, maintain_order=True)
        .agg(
            quoted_spread_bps=(pl.col("spread_bps") * pl.col("_stood")).sum()
            / pl.col("_stood").sum()
        )
    )


def book_bars(book: pl.DataFrame, bar: str) -> pl.DataFrame:
    """Order books by bar: deep order flow, and depth and slope at the end.

    A book whose changes do not follow one another has lost some, and is unknown until its next
    snapshot.

    Parameters
    ----------
    book
        Rows of `core.book_changes`.
    bar
        Length of a bar.
    """
    from btq_assets.features.kernels import order_book as kernel

    measures = ("_flow", "_depth", "depth_imbalance_5", "depth_imbalance_10", "book_slope")
    ordered = book.with_columns(_snapshot=pl.col("kind") == "snapshot").sort(
        *SERIES, "known_at", "update_id", pl.col("_snapshot").not_(), "side", "price"
    )
    # Changes that a snapshot contains already may come after it.
    contained = pl.when("_snapshot").then("update_id").cum_max().forward_fill().over(SERIES)
    ordered = ordered.filter(
        pl.col("_snapshot") | (pl.col("update_id") > contained).fill_null(True)
    )
    event = pl.struct(*SERIES, "update_id", "_snapshot").rle_id()
    before = pl.col("update_id").shift(1).over(SERIES)
    marked = ordered.with_columns(
        _event=event.cast(pl.Int64),
        _begins=before.is_null(),
        # Rows of one message share its ids; a message that begins later than one after the last
        # one ended says that something between them is missing.
        _lost=((pl.col("first_update_id") > before + 1) & ~pl.col("_snapshot")).fill_null(False),
    )
    events = marked.group_by("_event", maintain_order=True).agg(pl.col(*SERIES, "known_at").first())
    found = np.empty((events.height, len(measures)))

    def array(name: str) -> np.ndarray:
        return marked[name].to_numpy(writable=True)

    kernel.measure(
        array("_event"),
        array("_begins"),
        array("_snapshot"),
        array("_lost"),
        (marked["side"] == "bid").to_numpy(writable=True),
        array("price"),
        array("quantity"),
        found,
    )
    columns = [
        pl.Series(name, found[:, place], nan_to_null=True) for place, name in enumerate(measures)
    ]
    flow = pl.col("_flow")
    return (
        events.with_columns(columns)
        .with_columns(ts=bar_end(pl.col("known_at"), bar))
        .group_by(*SERIES, "ts", maintain_order=True)
        .agg(
            ofi_deep_depths=pl.when(flow.count() > 0).then(flow.sum() / pl.col("_depth").mean()),
            **{name: pl.col(name).last() for name in measures[2:]},
        )
    )
