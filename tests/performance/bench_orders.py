"""Time the event engine: ``python tests/performance/bench_orders.py``.

1. A million market orders, 1,000 assets x 1,000 bars, against vectorbt's ``from_signals`` with
   each of its engines that is installed: commission and slippage on, order records on both sides;
   the books of the engine are proved within its time. Once in one account on one core, once in two
   accounts of half the assets on two cores (vectorbt's columns are accounts of their own).
2. A book update per event: 1,000,000 quotes of 50 symbols with 100,000 orders among them.
3. Backtrader on the same orders, bars per second.
4. The first call in a new process.

Two sides must agree to 1e-9 before anything is timed; the books of every run are proved. Needs the
extras ``bench`` and ``backtrader``, and for vectorbt's second engine the package ``vectorbt-rust``
of the same version. Nothing passes or fails on speed.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from record import record

N_ASSETS, N_BARS, REPEATS = 1_000, 1_000, 12
COMMISSION_BPS, SLIPPAGE_BPS, CASH = 10.0, 5.0, 1e6
N_TICKS, N_TICK_SYMBOLS, N_TICK_ORDERS = 1_000_000, 50, 100_000
PEER_BARS, PEER_ASSETS = 2_520, 10

FIRST = """
import sys, time
sys.path.insert(0, {folder!r})
import bench_orders as bench
prices = bench.market(50, 50)
start, spent = time.perf_counter(), time.process_time()
bench.ours(prices)
print(time.perf_counter() - start, time.process_time() - spent)
"""


def market(n_bars: int, n_assets: int) -> np.ndarray:
    """Seeded prices ``[T, N]``."""
    random = np.random.default_rng(7)
    return 50 * np.exp(np.cumsum(random.normal(2e-4, 0.01, (n_bars, n_assets)), axis=0))


def ours(prices: np.ndarray) -> Any:
    """Buy one share of everything, sell it, buy it...: a decision on every bar but the last."""
    from btq_assets.engine.order_simulation import simulate_orders
    from btq_assets.engine.orders import order_table
    from btq_assets.engine.stream import stream_from_panels
    from btq_assets.engine.terms import Account, OrderCosts

    n_bars, n_assets = prices.shape
    times = np.arange(n_bars)
    side = np.where(times[:-1] % 2 == 0, 1.0, -1.0)
    orders = order_table(
        np.repeat(times[:-1], n_assets),
        np.tile(np.arange(n_assets, dtype=np.int32), n_bars - 1),
        np.repeat(side, n_assets),
    )
    return simulate_orders(
        stream_from_panels(times, prices),
        orders,
        Account(CASH * n_assets),
        costs=OrderCosts(taker_bps=COMMISSION_BPS, slippage_bps=SLIPPAGE_BPS),
    )


def proved(prices: np.ndarray) -> Any:
    """One account, its books proved: one core."""
    from btq_assets.engine.books import check_books

    done = ours(prices)
    check_books(done)
    return done


def on_two_cores(prices: np.ndarray) -> list[Any]:
    """Two accounts of half the assets each, at once, the books of both proved."""
    from functools import partial

    from btq_assets.engine.parallel import simulate_together

    halves = np.array_split(prices, 2, axis=1)
    return simulate_together([partial(ours, half) for half in halves], threads=2)


def vectorbt_side(engine: str) -> Callable[[np.ndarray], Any]:
    """The same orders as signals, shifted one bar, because vectorbt fills on the signal's bar."""
    import pandas as pd
    import vectorbt

    def run(prices: np.ndarray) -> Any:
        entries = np.zeros(prices.shape, dtype=bool)
        exits = np.zeros(prices.shape, dtype=bool)
        entries[1::2], exits[2::2] = True, True
        return vectorbt.Portfolio.from_signals(
            pd.DataFrame(prices),
            entries,
            exits,
            size=1.0,
            size_type="amount",
            fees=COMMISSION_BPS / 1e4,
            slippage=SLIPPAGE_BPS / 1e4,
            init_cash=CASH,
            freq="1D",
            engine=engine,
        )

    return run


def best(run: Callable[[], Any], repeats: int = REPEATS) -> np.ndarray:
    """Fewest seconds of several calls, by the clock and of the processor."""
    return np.min([taken(lambda _: run(), np.empty(0)) for _ in range(repeats)], axis=0)


def taken(run: Callable[[np.ndarray], Any], prices: np.ndarray) -> tuple[float, float]:
    """Seconds by the clock and of the processor; the result is dropped, as in a sweep."""
    clock, processor = time.perf_counter(), time.process_time()
    run(prices)
    return time.perf_counter() - clock, time.process_time() - processor


def _with_equity(run: Callable[[np.ndarray], Any]) -> Callable[[np.ndarray], Any]:
    return lambda prices: run(prices).value(group_by=False)


def against_vectorbt() -> None:
    """A million orders on both sides."""
    prices = market(N_BARS, N_ASSETS)
    done = proved(prices)
    halves = on_two_cores(prices)
    engines = ["numba"] + (["rust"] if importlib.util.find_spec("vectorbt_rust") else [])
    print(f"{done.fills.size:,} orders, {N_ASSETS} assets x {N_BARS} bars, costs on, books proved")
    ratios = []
    for engine in engines:
        run = vectorbt_side(engine)
        peer = run(prices)
        total = peer.value(group_by=False).to_numpy().sum(axis=1)
        gap = max(
            float(np.max(np.abs(equity / total - 1)))
            for equity in (done.equity, sum(half.equity for half in halves))
        )
        counts = {
            len(peer.orders.records),
            done.fills.size,
            sum(half.fills.size for half in halves),
        }
        if not gap <= 1e-9 or len(counts) != 1:
            raise SystemExit(
                f"the sides do not agree ({gap:.1e}, {counts} orders): nothing is timed"
            )
        del peer
        sides = (run, _with_equity(run), proved, on_two_cores)
        spent = [taken(side, prices) for _ in range(REPEATS) for side in sides]
        orders_only, with_equity, one, two = (np.min(spent[k::4], axis=0) for k in range(4))
        print(f"  vectorbt {engine}, gap {gap:.0e}; seconds by the clock and of the processor:")
        for name, mine in (("one core", one), ("two cores", two)):
            for against, peer_seconds in (
                ("orders only", orders_only),
                ("with equity", with_equity),
            ):
                clock, processor = mine / peer_seconds
                print(
                    f"    engine on {name} {mine[0]:.3f} and {mine[1]:.3f}, vectorbt {against} "
                    f"{peer_seconds[0]:.3f} and {peer_seconds[1]:.3f}: "
                    f"{clock:.2f} and {processor:.2f} of its time"
                )
        ratios.append(one[1] / orders_only[1])
    record("orders_to_vectorbt", max(ratios))


def book_updates() -> tuple[Any, Any]:
    """Seeded quotes, and orders around them: half markets, half limits a spread away."""
    import polars as pl

    from btq_assets.engine.codes import OrderKind, TimeInForce
    from btq_assets.engine.orders import order_table
    from btq_assets.engine.ticks import stream_from_ticks

    random = np.random.default_rng(3)
    symbol = random.integers(0, N_TICK_SYMBOLS, N_TICKS)
    at = np.cumsum(random.integers(1_000, 60_000, N_TICKS)) + 1_600_000_000_000_000_000
    mid = 100 + np.cumsum(random.normal(0, 0.002, N_TICKS))
    names = np.array([f"S{i:02d}" for i in range(N_TICK_SYMBOLS)])
    stream = stream_from_ticks(
        pl.DataFrame(
            {
                "symbol": names[symbol],
                "ts": at,
                "bid": mid - 0.01,
                "ask": mid + 0.01,
                "bid_size": random.integers(1, 20, N_TICKS) * 100.0,
                "ask_size": random.integers(1, 20, N_TICKS) * 100.0,
            }
        ),
        snapshots=at[::1_000],
    )
    row = np.sort(random.integers(0, N_TICKS - 1, N_TICK_ORDERS))
    kind = random.integers(0, 2, N_TICK_ORDERS)
    side = random.choice([-1.0, 1.0], N_TICK_ORDERS)
    orders = order_table(
        at[row],
        symbol[row].astype(np.int32),
        side * random.integers(1, 8, N_TICK_ORDERS) * 100,
        kind=kind,
        force=np.where(kind == OrderKind.LIMIT, TimeInForce.GTT, TimeInForce.GTC),
        limit=mid[row] - side * 0.01,
        expire_at=at[row] + 2_000_000_000,
    )
    return stream, orders


def ticks_per_second() -> None:
    """Event mode, one core."""
    from btq_assets.engine.books import check_books
    from btq_assets.engine.order_simulation import simulate_orders
    from btq_assets.engine.terms import Account, OrderCosts

    stream, orders = book_updates()

    def run() -> Any:
        return simulate_orders(
            stream,
            orders,
            Account(1e9),
            costs=OrderCosts(taker_bps=1, maker_bps=-0.2, slippage_bps=0.1),
        )

    done = run()
    check_books(done)
    clock, seconds = best(run)
    record("book_events_rate", N_TICKS / seconds)
    print(
        f"{N_TICKS:,} book updates, {len(orders):,} orders, {done.fills.size:,} fills: {clock:.3f} s, "
        f"{seconds:.3f} s of the processor,"
        f" {N_TICKS / seconds / 1e6:.2f} M events/s, {(N_TICKS + len(orders)) / seconds / 1e6:.2f} M "
        "with orders counted"
    )


def backtrader_values(prices: np.ndarray) -> tuple[np.ndarray, float]:
    """Equity of each bar, and seconds of the processor of the run alone."""
    import backtrader
    import pandas as pd

    class Alternate(backtrader.Strategy):
        def __init__(self) -> None:
            self.values: list[float] = []

        def next(self) -> None:
            self.values.append(self.broker.getvalue())
            for feed in self.datas:
                if len(self) % 2 == 1:
                    self.buy(data=feed, size=1)
                else:
                    self.sell(data=feed, size=1)

    engine = backtrader.Cerebro(stdstats=False)
    engine.addstrategy(Alternate)
    index = pd.date_range("2000-01-03", periods=len(prices), freq="D")
    for column in prices.T:
        frame = pd.DataFrame(
            dict.fromkeys(("open", "high", "low", "close"), column) | {"volume": 1.0}, index=index
        )
        engine.adddata(backtrader.feeds.PandasData(dataname=frame, openinterest=None))
    engine.broker.setcash(CASH * prices.shape[1])
    engine.broker.setcommission(commission=COMMISSION_BPS / 1e4)
    engine.broker.set_slippage_perc(
        SLIPPAGE_BPS / 1e4, slip_open=True, slip_match=True, slip_out=True
    )
    start = time.process_time()
    (strategy,) = engine.run()
    return np.array(strategy.values), time.process_time() - start


def against_backtrader() -> None:
    """The same market orders on every bar of every asset."""
    prices = market(PEER_BARS, PEER_ASSETS)
    done = ours(prices)
    values, seconds = backtrader_values(prices)
    gap = float(np.max(np.abs(done.equity / values - 1)))
    if not gap <= 1e-9:
        raise SystemExit(f"Backtrader does not agree ({gap:.1e}): nothing is timed")
    mine = best(lambda: ours(prices))[1]
    bars = prices.size
    record("backtrader_speedup", seconds / mine)
    print(
        f"{bars:,} bars, an order on each: gap {gap:.0e}; engine {bars / mine:,.0f} bars/s, "
        f"Backtrader {bars / seconds:,.0f}: {seconds / mine:.0f}x"
    )


def first_call() -> None:
    """A new process that loads stored compiled code; imports of the package not counted."""
    code = FIRST.format(folder=str(Path(__file__).resolve().parent))
    answers = [
        [
            float(seconds)
            for seconds in subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True
            ).stdout.split()
        ]
        for _ in range(3)
    ]
    clock, processor = np.min(answers, axis=0)
    record("engine_first_call", processor)
    print(
        f"first call in a new process, code stored: {clock:.2f} s, {processor:.2f} of the processor"
    )


def main() -> None:
    """All four."""
    against_vectorbt()
    ticks_per_second()
    against_backtrader()
    first_call()


if __name__ == "__main__":
    main()
