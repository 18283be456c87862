"""Blocking checks of the backtest tables, made on the rows about to be written.

Belongs here: what must hold between bars, targets and the tables of the backtest layer. Does not
belong here: structure (the contracts) and evidence of skill (the evidence room).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from btq_assets.backtest.market import Market
from btq_assets.backtest.run import costs_of, simulate_weights, union_of_targets
from btq_assets.contracts import backtest as contracts
from btq_assets.contracts.checks import CheckContext, CheckOutcome, frame_check
from btq_assets.engine.costs import BPS

#: Largest relative gap between equity and what the list of fills says.
IDENTITY_TOLERANCE = 1e-9

#: Largest relative gap between the expected and the found effect of a doubled return.
EFFECT_TOLERANCE = 1e-6

#: The same where every bar has fills: their costs move with the price too.
TRADING_BAR_TOLERANCE = 0.02


def _traded_runs(context: CheckContext) -> pl.DataFrame:
    return context.frames[contracts.RUNS.table].filter(pl.col("role") != "benchmark")


def _market(context: CheckContext) -> Market:
    """Bars of the traded universe over the span of the runs."""
    runs = _traded_runs(context)
    return Market.from_bars(context.inputs["bars"], runs["universe"][0]).since(
        runs["first_ts"].sort()[0]
    )


def _targets(context: CheckContext) -> pl.DataFrame:
    return union_of_targets(
        {
            k: v
            for k, v in context.inputs.items()
            if k not in ("bars", "market_states", "volatility_states")
        }
    )


def _outcome(name: str, problems: list[str], good: str) -> CheckOutcome:
    message = "; ".join(problems[:3]) + (" ..." if len(problems) > 3 else "")
    return CheckOutcome(name, not problems, message or good, {"n_problems": len(problems)})


def _identity(context: CheckContext) -> CheckOutcome:
    """Rebuild equity from trades and bars alone, and compare it with the equity table."""
    market = _market(context)
    place = {symbol: number for number, symbol in enumerate(market.symbols)}
    at = market.ts.dt.timestamp("us").to_numpy()
    marks = _last_known(market.mark_prices)
    trades = context.frames[contracts.TRADES.table].partition_by("run_id", as_dict=True)
    equity = context.frames[contracts.EQUITY.table].partition_by("run_id", as_dict=True)
    problems, worst = [], 0.0
    for run in _traded_runs(context).iter_rows(named=True):
        path = equity.get((run["run_id"],))
        if path is None or path.height != len(at):
            problems.append(f"{run['strategy']}: {0 if path is None else path.height} equity rows")
            continue
        books = np.full(len(at), run["initial_cash"])
        if (fills := trades.get((run["run_id"],))) is not None:
            bar = np.searchsorted(at, fills["filled_at"].dt.timestamp("us").to_numpy())
            asset = fills["symbol"].replace_strict(place, return_dtype=pl.Int64).to_numpy()
            paid = fills.select(
                pl.col("shares") * pl.col("price")
                + pl.sum_horizontal("commission", "spread_cost", "impact_cost")
            ).to_series()
            books -= np.cumsum(np.bincount(bar, weights=paid.to_numpy(), minlength=len(at)))
            held = np.bincount(
                bar * len(place) + asset,
                weights=fills["shares"].to_numpy(),
                minlength=marks.size,
            ).reshape(marks.shape)
            books += (np.cumsum(held, axis=0) * marks).sum(axis=1)
        path = path.sort("ts")
        recorded = path["equity"].to_numpy()
        scale = np.maximum(np.abs(recorded), run["initial_cash"])
        invested = recorded * (1 - path["net_exposure"].to_numpy())
        gap = max(
            float(np.max(np.abs(recorded - books) / scale)),
            float(np.max(np.abs(path["cash"].to_numpy() - invested) / scale)),
            run["identity_error"],
        )
        worst = max(worst, gap)
        if not gap <= IDENTITY_TOLERANCE:
            problems.append(
                f"{run['strategy']}: equity and cash + positions differ by {gap:.2e} of equity"
            )
    return _outcome(
        "accounting_identity", problems, f"equity equals the books to {worst:.1e} at every bar"
    )


def _last_known(prices: np.ndarray) -> np.ndarray:
    """Each price, or the last one before it; 0 before the first. For valuation alone."""
    rows = np.where(np.isfinite(prices), np.arange(len(prices))[:, None], 0)
    np.maximum.accumulate(rows, axis=0, out=rows)
    return np.nan_to_num(np.take_along_axis(prices, rows, axis=0), nan=0.0)


def _fills_later(context: CheckContext) -> CheckOutcome:
    trades = context.frames[contracts.TRADES.table]
    early = trades.filter(pl.col("filled_at") <= pl.col("decided_at"))
    problems = [
        f"{row['strategy']} {row['symbol']}: decided at {row['decided_at']}, filled at "
        f"{row['filled_at']}"
        for row in early.head(4).iter_rows(named=True)
    ]
    if not problems:
        ordered = _targets(context).select("strategy", decided_at="ts").unique()
        stray = trades.filter(pl.col("reason") == "rebalance").join(
            ordered, on=["strategy", "decided_at"], how="anti"
        )
        problems = [
            f"{row['strategy']} {row['symbol']}: a fill of {row['decided_at']}, when nothing was "
            "decided"
            for row in stray.head(4).iter_rows(named=True)
        ]
    return _outcome(
        "no_fill_on_deciding_bar", problems, f"{trades.height} fills, all after their decision"
    )


def _not_hollow(context: CheckContext) -> CheckOutcome:
    """Double one day's return of one held asset: equity must move by exactly that profit.

    For each run, the asset and the bar (one without fills, if there is any) with the largest absolute profit are taken, and
    every price from that bar on is scaled so that this one return doubles. The run is made again;
    at that bar its equity must differ from the recorded one by shares * price change.
    """
    market = _market(context)
    costs = costs_of(market, context.config)
    targets = _targets(context)
    equity = context.frames[contracts.EQUITY.table].partition_by("strategy", as_dict=True)
    problems, n_moved, n_idle = [], 0, 0
    for run in _traded_runs(context).iter_rows(named=True):
        strategy = run["strategy"]
        weights = market.weights(targets.filter(pl.col("strategy") == strategy), strategy)
        plain = simulate_weights(market, weights, costs, context.config)
        change = np.diff(market.mark_prices, axis=0)
        profit = plain.shares[:-1] * np.nan_to_num(change, nan=0.0)
        quiet = ~np.isin(np.arange(1, len(plain.equity)), plain.fills["bar"])[:, None] * profit
        tolerance = EFFECT_TOLERANCE if quiet.any() else TRADING_BAR_TOLERANCE
        profit = quiet if quiet.any() else profit
        if not np.nan_to_num(weights, nan=0.0).any():
            n_idle += 1
            continue
        if not profit.any():
            problems.append(f"{strategy}: wants positions, and holds none that moves")
            continue
        row, asset = np.unravel_index(np.argmax(np.abs(profit)), profit.shape)
        bar, before = int(row) + 1, market.mark_prices[row, asset]
        factor = (2 * market.mark_prices[bar, asset] - before) / market.mark_prices[bar, asset]
        if factor <= 0:
            problems.append(f"{strategy}: the return to double, at bar {bar}, is below -50 %")
            continue
        moved = _scaled_from(market, bar, int(asset), float(factor))
        again = simulate_weights(moved, weights, costs, context.config)
        recorded = equity[(strategy,)].sort("ts")["equity"].to_numpy()
        found, expected = again.equity[bar] - recorded[bar], profit[row, asset]
        if not abs(found - expected) <= tolerance * abs(expected):
            problems.append(
                f"{strategy}: doubling {market.symbols[int(asset)]} on {market.ts[bar]:%Y-%m-%d} "
                f"moved equity by {found:.2f}, expected {expected:.2f}"
            )
        else:
            n_moved += 1
    return _outcome(
        "not_hollow",
        problems,
        f"{n_moved} runs move by the profit of a doubled return; {n_idle} never want a position",
    )


def _scaled_from(market: Market, bar: int, asset: int, factor: float) -> Market:
    panels = {}
    for name in ("fill_prices", "mark_prices"):
        panels[name] = getattr(market, name).copy()
        panels[name][bar:, asset] *= factor
    return replace(market, **panels)


def _same_terms(context: CheckContext) -> CheckOutcome:
    runs = _traded_runs(context)
    equity = context.frames[contracts.EQUITY.table]
    trades = context.frames[contracts.TRADES.table].filter(pl.col("reason") == "rebalance")
    problems = [
        f"runs differ in {name}: {sorted(map(str, runs[name].unique().to_list()))[:3]}"
        for name in ("universe", "first_ts", "last_ts", "initial_cash", "costs_json")
        if runs[name].n_unique() != 1
    ]
    marker = (
        equity.filter(pl.col("run_id").is_in(runs["run_id"].implode()))
        .group_by("strategy")
        .agg(n=pl.len(), first=pl.col("ts").min(), total=pl.col("ts").dt.epoch("s").sum())
    )
    if marker.select("n", "first", "total").n_unique() != 1:
        problems.append(f"runs have different days: {sorted(marker['n'].unique().to_list())[:3]}")
    market = _market(context)
    expected = pl.DataFrame(
        {
            "filled_at": market.ts,
            "_rate": costs_of(market, context.config).half_spread_by_bar(len(market.ts)),
        }
    )
    value = pl.col("shares").abs() * pl.col("price")
    executed = value + pl.col("shares").sign() * (
        pl.col("spread_cost") + pl.col("impact_cost").fill_null(0.0)
    )
    least = executed * context.config.backtest.commission_bps * BPS
    wrong = trades.join(expected, on="filled_at", how="left").filter(
        ((pl.col("spread_cost") - value * pl.col("_rate")).abs() > 1e-9 * value)
        | (pl.col("commission") < least - 1e-9 * value)
        | pl.col("_rate").is_null()
    )
    problems += [
        f"{row['strategy']} {row['symbol']} at {row['filled_at']}: spread {row['spread_cost']:.6g}"
        f" and commission {row['commission']:.6g} are not those of the configuration"
        for row in wrong.head(3).iter_rows(named=True)
    ]
    return _outcome(
        "same_costs_same_days",
        problems,
        f"{runs.height} runs over the same {len(market.ts)} days with the same costs",
    )


ACCOUNTING_IDENTITY = frame_check(
    "accounting_identity",
    "Equity, rebuilt from trades and prices alone, equals the recorded equity and cash + positions "
    "to 1e-9 of equity at every bar of every run.",
    _identity,
)
NO_FILL_ON_DECIDING_BAR = frame_check(
    "no_fill_on_deciding_bar",
    "Every fill is later than a decision that exists.",
    _fills_later,
)
NOT_HOLLOW = frame_check(
    "not_hollow",
    "Doubling one day's return of one held asset moves each run's equity by exactly that profit.",
    _not_hollow,
)
SAME_COSTS_SAME_DAYS = frame_check(
    "same_costs_same_days",
    "Strategies and baselines run over the same days, from the same cash, with the same costs.",
    _same_terms,
)

ALL = (ACCOUNTING_IDENTITY, NO_FILL_ON_DECIDING_BAR, NOT_HOLLOW, SAME_COSTS_SAME_DAYS)
