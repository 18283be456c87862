"""Markets made from a real one: nothing to find, a planted edge, or a leak.

Belongs here: returns, what a feature may see of them, and the signal. Does not belong here: how
returns are shuffled (`evidence.null_markets`), and what is run on them (`path`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from btq_assets.backtest.controls.settings import CONTROLS, LEAK, PLANTED, ControlSettings
from btq_assets.backtest.market import BacktestError, Market
from btq_assets.evidence.null_markets import (
    bootstrapped,
    permuted_assets,
    phase_randomised,
    prices_of,
    shuffled_labels,
)

#: Assets below which a cross-section says little.
MIN_ASSETS = 6

_PERIODS_PER_YEAR = 252


@dataclass(frozen=True)
class ControlBase:
    """The market the controls are made from.

    Attributes
    ----------
    universe, symbols
        Names.
    ts
        Bar ends, length ``T + 1``.
    log_returns
        ``float64[T, N]``, none missing.
    """

    universe: str
    symbols: tuple[str, ...]
    ts: pl.Series
    log_returns: np.ndarray

    @classmethod
    def from_bars(cls, bars: pl.DataFrame, universe: str, n_sessions: int) -> ControlBase:
        """The last `n_sessions` returns of the symbols that have them all.

        Raises
        ------
        BacktestError
            Too few sessions, or too few symbols with a price on each.
        """
        market = Market.from_bars(bars, universe)
        prices = market.mark_prices[-n_sessions - 1 :]
        whole = np.isfinite(prices).all(axis=0)
        if len(prices) <= n_sessions or whole.sum() < MIN_ASSETS:
            raise BacktestError(
                f"{universe}: {whole.sum()} symbol(s) with all of {len(prices) - 1} returns; controls "
                f"need {MIN_ASSETS} symbols over {n_sessions}"
            )
        return cls(
            universe,
            tuple(np.array(market.symbols)[whole].tolist()),
            market.ts.tail(len(prices)),
            np.diff(np.log(prices[:, whole]), axis=0),
        )


@dataclass(frozen=True)
class ControlMarket:
    """One market.

    Attributes
    ----------
    control, seed
        What it is.
    seen, traded
        ``float64[T + 1, N]``: prices that features read, and those that labels and fills have. Nulls
        that move returns to other dates or assets keep the features where they were.
    signal
        ``float64[T + 1, N]``, known at each session; noise unless an edge was planted on it.
    planted_sharpe
        Stated Sharpe ratio of the edge; 0 without one.
    """

    control: str
    seed: int
    base: ControlBase
    seen: np.ndarray
    traded: np.ndarray
    signal: np.ndarray
    planted_sharpe: float


def control_market(
    base: ControlBase, control: str, seed: int, settings: ControlSettings
) -> ControlMarket:
    """Make one market.

    Each asset's own mean return is taken away and the mean of all given to each: 1/N earns what the
    market earned, and no asset is better than another.

    Raises
    ------
    BacktestError
        An unknown control.
    """
    if control not in CONTROLS:
        raise BacktestError(f"control {control!r} is none of {CONTROLS}")
    drift = base.log_returns.mean()
    level = base.log_returns - base.log_returns.mean(axis=0)
    first = np.full(level.shape[1], 100.0)
    signal = persistent_noise(
        (len(level) + 1, level.shape[1]), settings.signal_persistence, seed + 1_000_003
    )
    moved = {"horizon": settings.horizon_sessions + 1, "block": settings.block_sessions}
    seen = None
    if control == "null_dates":
        returns, seen = shuffled_labels(level, seed=seed, **moved), level
    elif control == "null_assets":
        returns, seen = permuted_assets(level, seed=seed, **moved), level
    elif control == "null_phases":
        returns = phase_randomised(level, seed=seed)
    else:
        returns = bootstrapped(level, mean_block=settings.block_sessions, seed=seed)
    if control == PLANTED:
        returns = returns + planted_edge(returns, signal, base.ts, settings.planted_sharpe)
    traded = prices_of(returns + drift, first)
    return ControlMarket(
        control=control,
        seed=seed,
        base=base,
        seen=traded if seen is None else prices_of(seen + drift, first),
        traded=traded,
        signal=signal,
        planted_sharpe=settings.planted_sharpe if control == PLANTED else 0.0,
    )


def persistent_noise(shape: tuple[int, int], persistence: float, seed: int) -> np.ndarray:
    """Independent first-order autoregressions with unit variance, ``float64[T, N]``."""
    from scipy.signal import lfilter

    shocks = np.random.default_rng(seed).standard_normal(shape)
    shocks[1:] *= np.sqrt(1 - persistence**2)
    return lfilter([1.0], [1.0, -persistence], shocks, axis=0)


def cross_sectional_scores(signal: np.ndarray) -> np.ndarray:
    """Ranks of each row scaled to mean zero, from -1 (lowest) to 1, ``float64[T, N]``."""
    n = signal.shape[1]
    ranks = signal.argsort(axis=1).argsort(axis=1)
    return 2.0 * ranks / (n - 1) - 1.0


def planted_edge(
    returns: np.ndarray, signal: np.ndarray, ts: pl.Series, sharpe_annual: float
) -> np.ndarray:
    """What to add to returns so that ranking by the signal has a stated Sharpe ratio over 1/N.

    The reference portfolio has weights in proportion to the signal's rank, ``2 r / (n (n - 1))`` for
    ``r = 0 .. n - 1``, decided on the first session of a week and held from the next one's close. Its
    difference to 1/N has the deviation ``sd`` without the edge; an edge of ``e`` times the score of
    two sessions before gains it ``e * g`` on average. Hence ``e = sharpe * sd / (sqrt(252) * g)``.

    Parameters
    ----------
    returns
        ``float64[T, N]``; row ``t`` leads to session ``t + 1``.
    signal
        ``float64[T + 1, N]``, as known at each session.
    ts
        Sessions, length ``T + 1``.
    sharpe_annual
        Wanted, before costs.

    Returns
    -------
    numpy.ndarray
        ``float64[T, N]``.
    """
    from btq_assets.timeline import decision_times

    n_returns, n = returns.shape
    scores = cross_sectional_scores(signal)
    active = scores / n  # weight minus 1/N of the reference portfolio
    decides = ts.is_in(decision_times(ts, "week").implode()).to_numpy()
    # a decision at session d fills at d + 1, so its first return is row d + 1
    last = np.maximum.accumulate(np.where(decides, np.arange(n_returns + 1), -1))
    held_from = np.concatenate([[-1], last[: n_returns - 1]])
    held = np.where((held_from >= 0)[:, None], active[held_from], 0.0)
    # row t leads to session t + 1, and reads what was known at t - 1: it can be decided and filled
    pushed = np.vstack([np.zeros((1, n)), scores[: n_returns - 1]])
    noise = (held * returns).sum(axis=1)
    gain = (held * pushed).sum(axis=1).mean()
    size = sharpe_annual * noise.std(ddof=1) / (np.sqrt(_PERIODS_PER_YEAR) * gain)
    return size * pushed


def bars_of(market: ControlMarket, prices: np.ndarray) -> pl.DataFrame:
    """Rows of `core.bars_1d` with closes alone."""
    from btq_assets.contracts import core

    base = market.base
    n_bars, n = prices.shape
    empty = core.BARS_1D.empty()
    made = pl.DataFrame(
        {
            "universe": pl.repeat(base.universe, n_bars * n, eager=True),
            "symbol": np.repeat(np.array(base.symbols), n_bars),
            "ts": pl.concat([base.ts] * n),
            "adj_close": prices.T.ravel(),
        }
    ).with_columns(known_at=pl.col("ts"), session=pl.col("ts").dt.date(), close=pl.col("adj_close"))
    missing = [
        pl.lit(None, dtype).alias(name)
        for name, dtype in empty.schema.items()
        if name not in made.columns
    ]
    return made.with_columns(missing).select(empty.columns)


__all__ = [
    "LEAK",
    "ControlBase",
    "ControlMarket",
    "bars_of",
    "control_market",
    "cross_sectional_scores",
    "persistent_noise",
    "planted_edge",
]
