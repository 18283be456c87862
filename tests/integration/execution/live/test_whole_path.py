"""Ticks to features, a model, targets, limits, venues, fills: the whole path at once.

Peer: the loop over stored bars, which is held to the engine elsewhere. The ticks of a day are its open,
high, low and close, so the bars they make are the stored ones and the first decision must be the same.
"""

from __future__ import annotations

import datetime as dt

import live_cases as cases
import numpy as np
import polars as pl
import pytest

from btq_assets.execution.live import (
    LiveSettings,
    LiveTradingEngine,
    ReplayFeed,
    ReplayTickFeed,
    VenueTerms,
)
from btq_assets.execution.live.journal import read_journal
from btq_assets.execution.live.recovery import remember
from btq_assets.execution.live.tables import journal_tables
from btq_assets.execution.parents import parent_orders
from btq_assets.risk.limits import OrderLimits

DAY = dt.timedelta(days=1)
N_LIVE = 4


def midnight_bars() -> pl.DataFrame:
    """Daily bars that end at midnight, as intervals of ticks do."""
    return cases.market(5, 460).with_columns(
        ts=pl.col("ts").dt.truncate("1d") + DAY, known_at=pl.col("ts").dt.truncate("1d") + DAY
    )


def ticks_of(bars: pl.DataFrame) -> pl.DataFrame:
    """Four trades a bar, each with a quarter of its volume."""
    parts = [
        bars.select(
            "universe",
            "symbol",
            dataset=pl.lit("east"),
            ts=pl.col("ts") - DAY + dt.timedelta(hours=hour),
            trade_id=pl.col("ts").dt.epoch("s") // 86_400 * 4 + number,
            price=name,
            quantity=pl.col("volume") / 4,
        )
        for number, (hour, name) in enumerate(
            ((9, "open"), (12, "high"), (15, "low"), (20, "close"))
        )
    ]
    return pl.concat(parts).sort("ts", "symbol")


def books_of(bars: pl.DataFrame) -> pl.DataFrame:
    """At eight every morning: east a cent around the open for 300 shares, west two for plenty."""
    rows = [
        {
            "universe": cases.UNIVERSE, "dataset": venue, "symbol": symbol,
            "ts": ts - DAY + dt.timedelta(hours=8), "update_id": number, "kind": "snapshot",
            "side": side, "price": open_ + (away if side == "ask" else -away), "quantity": size,
        }
        for number, (symbol, ts, open_) in enumerate(bars.select("symbol", "ts", "open").iter_rows())
        for venue, away, size in (("east", 0.01, 300.0), ("west", 0.02, 1e6))
        for side in ("bid", "ask")
    ]  # fmt: skip
    return pl.DataFrame(rows)


@pytest.mark.slow
def test_ticks_through_a_model_and_two_venues_decide_as_bars_do(tmp_path) -> None:
    bars = midnight_bars()
    model = cases.fit_model(bars, tmp_path / "model")
    start = bars["ts"].unique().sort()[-N_LIVE]
    live = bars.filter(pl.col("ts") >= start)
    limits = OrderLimits(max_position=0.2)
    settings = {"decide": "bar", "daily_loss": None, "drawdown": 0.9, "limits": limits}

    def run(name: str, feed, **more):
        LiveTradingEngine(
            cases.live_config(max_position_size=0.3),
            True,
            model,
            feed=feed,
            folder=tmp_path / name,
            settings=LiveSettings(**settings | more),
        ).start()
        memory = remember(read_journal(tmp_path / name / "engine.journal"))
        return memory, journal_tables(tmp_path / name / "engine.journal", cases.UNIVERSE)

    plain, of_bars = run("bars", ReplayFeed(bars, start))
    feed = ReplayTickFeed(
        ticks_of(live),
        None,
        start - DAY,
        every=DAY,
        history=bars.filter(pl.col("ts") < start),
        books=books_of(live),
    )
    venues = {"east": VenueTerms(fee_bps=1.0), "west": VenueTerms(fee_bps=1.0)}
    memory, of_ticks = run("ticks", feed, venues=venues)
    assert of_ticks["execution.account"]["ts"].equals(of_bars["execution.account"]["ts"])

    first = int(start.timestamp()) * 10**9
    parents = parent_orders(memory.parents.values(), memory.orders)
    mine = {
        p.terms.symbol: p.terms.quantity for p in parents.values() if p.terms.decided_at == first
    }
    theirs = {
        o.terms.symbol: o.terms.quantity
        for o in plain.orders.values()
        if o.terms.decided_at == first
    }
    assert mine.keys() == theirs.keys()
    assert len(mine) >= 2
    np.testing.assert_allclose([mine[s] for s in theirs], list(theirs.values()), rtol=1e-9)
    # what the limits refuse is the same: of the first decision, by parent and by plain order
    refused = {o.terms.symbol for o in plain.orders.values()
               if o.terms.decided_at == first and o.state.value == "rejected"}  # fmt: skip
    assert refused
    children = [o for o in memory.orders.values() if o.terms.decided_at == first]
    assert {o.terms.symbol for o in children if o.state.value == "rejected"} == refused
    assert {o.terms.venue for o in children} == {"east", "west"}
    done = [p for p in parents.values() if p.terms.decided_at == first and p.filled]
    assert done
    for parent in done:
        east = next(c for c in parent.children if c.terms.venue == "east")
        opened = live.filter(symbol=parent.terms.symbol, ts=start + DAY)
        if opened.height:  # the day after a weekend has another date
            assert east.fills[0].executed_price == pytest.approx(
                opened["open"][0] + 0.01 * parent.terms.side, rel=1e-9
            )
    assert of_ticks["execution.fills"].height > of_bars["execution.fills"].height
