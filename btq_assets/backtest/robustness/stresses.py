"""The same decisions on worse terms: costs, delays, liquidity, universes, other histories.

Belongs here: what a stress changes, on the matrices the engine reads, and quantiles over
bootstrapped paths. Does not belong here: rows of tables (`tables`), and accounting (the engine).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from btq_assets.backtest.market import BacktestError, Market
from btq_assets.engine.costs import CostModel
from btq_assets.engine.metrics import PERIODS_PER_YEAR, fall_path

if TYPE_CHECKING:
    from btq_assets.config import BacktestSection

#: Of the volume there was, and its inverse on the spread.
HALF = 0.5

#: Quantiles shown of each figure over bootstrapped paths.
QUANTILES = (0.05, 0.5, 0.95)

_PATHS_AT_ONCE = 200


@dataclass(frozen=True)
class Stress:
    """One change of terms.

    Attributes
    ----------
    kind
        ``none``, ``cost``, ``delay``, ``liquidity`` or ``universe``.
    case
        Name within its kind.
    parameter
        Basis points, bars, factor on volume, number of the draw; ``None`` for ``none``.
    note
        What is changed.
    seed, share
        Of the draw of symbols; ``universe`` only.
    """

    kind: str
    case: str
    parameter: float | None
    note: str
    seed: int = 0
    share: float = 0.0


AS_RUN = Stress("none", "as_run", None, "")


def cost_stress(bps: float) -> Stress:
    """All-in costs of `bps` basis points of traded value, in place of the configured ones."""
    return Stress(
        "cost",
        f"cost_{bps:g}bps",
        float(bps),
        f"{bps:g} bps of traded value in place of commission, spread and impact",
    )


def delay_stress(bars: int) -> Stress:
    """Decisions acted upon `bars` bars later than they are."""
    return Stress("delay", f"delay_{bars}", float(bars), f"filled {bars} bar(s) later")


HALF_LIQUIDITY = Stress(
    "liquidity", "half_liquidity", HALF, "half the volume and twice the half-spread"
)


def universe_stress(draw: int, share: float, seed: int) -> Stress:
    """A seeded draw of `share` of the symbols is left out; the others take over their weight."""
    return Stress(
        "universe",
        f"draw_{draw}",
        float(draw),
        f"{share:.0%} of the symbols left out, their weight given to the others pro rata",
        seed,
        share,
    )


def configured(settings: BacktestSection) -> list[Stress]:
    """Every stress of a configuration, the run as it was first."""
    return [
        AS_RUN,
        *(cost_stress(bps) for bps in settings.stress_cost_bps),
        *(delay_stress(bars) for bars in settings.stress_delay_bars),
        HALF_LIQUIDITY,
        *(
            universe_stress(draw, settings.stress_universe_share, settings.seed)
            for draw in range(settings.stress_universe_draws)
        ),
    ]


def stressed(
    market: Market, weights: np.ndarray, costs: CostModel, stress: Stress
) -> tuple[Market, np.ndarray, CostModel]:
    """Market, weights and costs as a stress has them; what it does not touch is handed through.

    Parameters
    ----------
    market, weights, costs
        What the run was made of; ``float64[T, N]`` weights.
    stress
        The change.
    """
    if stress.kind == "cost":
        assert stress.parameter is not None
        return market, weights, CostModel(commission_bps=stress.parameter)
    if stress.kind == "delay":
        assert stress.parameter is not None
        return market, delayed(weights, int(stress.parameter)), costs
    if stress.kind == "liquidity":
        volumes = None if market.volumes is None else market.volumes * HALF
        spread = np.asarray(costs.half_spread_bps, dtype=float) / HALF
        return replace(market, volumes=volumes), weights, replace(costs, half_spread_bps=spread)
    if stress.kind == "universe":
        gone = left_out(len(market.symbols), stress)
        return market, without(weights, gone), costs
    return market, weights, costs


def delayed(weights: np.ndarray, bars: int) -> np.ndarray:
    """Decisions moved down by `bars` rows; those that would fall behind the end are not taken."""
    moved = np.full(weights.shape, np.nan)
    if bars < len(weights):
        moved[bars:] = weights[: len(weights) - bars]
    return moved


def left_out(n_symbols: int, stress: Stress) -> np.ndarray:
    """Columns that a draw leaves out: at least one, and never all; ``int64``, ascending.

    Raises
    ------
    BacktestError
        There are fewer than two symbols.
    """
    if n_symbols < 2:
        raise BacktestError(
            f"{n_symbols} symbol: a universe of one cannot be perturbed by leaving symbols out"
        )
    n_gone = min(max(1, round(stress.share * n_symbols)), n_symbols - 1)
    random = np.random.default_rng([stress.seed, int(stress.parameter or 0)])
    return np.sort(random.choice(n_symbols, n_gone, replace=False))


def without(weights: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """Weights with some columns at zero, the others scaled up to the same gross exposure.

    A decision that wanted those columns alone goes to cash. The largest position may exceed the
    limit the strategy was held to: the limit was its own, the universe is not.
    """
    kept = weights.copy()
    decides = np.isfinite(weights).all(axis=1)
    kept[np.ix_(decides, gone)] = 0.0
    before = np.abs(weights[decides]).sum(axis=1)
    after = np.abs(kept[decides]).sum(axis=1)
    factor = np.divide(before, after, out=np.zeros_like(before), where=after > 0)
    kept[decides] *= factor[:, None]
    # a sum of scaled weights may exceed the gross exposure by a rounding error
    excess = np.abs(kept[decides]).sum(axis=1)
    kept[decides] *= np.minimum(
        1.0, np.divide(before, excess, out=np.ones_like(before), where=excess > 0)
    )[:, None]
    return kept


@dataclass(frozen=True)
class PathFigures:
    """Figures of each bootstrapped path, ``float64[n_paths]`` each."""

    annual_return: np.ndarray
    annual_volatility: np.ndarray
    sharpe: np.ndarray
    max_drawdown: np.ndarray
    mean_above_annual: np.ndarray | None


def path_figures(returns: np.ndarray, against: np.ndarray | None, drawn: np.ndarray) -> PathFigures:
    """Figures over histories strung together from blocks of the real one.

    Stationary bootstrap (Politis and Romano 1994). Formulas are those of `engine.metrics`, over
    many paths at once.

    Parameters
    ----------
    returns
        Simple net returns per day, finite.
    against
        Returns of 1/N on the same days, drawn alike; ``None`` for 1/N itself.
    drawn
        Days of each path, ``int[n_paths, n]``, as `stationary_bootstrap_indices` draws them: the
        same for every strategy.
    """
    n_paths, n = drawn.shape
    figures = np.empty((4, n_paths))
    above = np.empty(n_paths)
    for paths in _chunks(n_paths):
        path = returns[drawn[paths]]
        wealth = np.cumprod(1.0 + path, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            deviation = path.std(axis=1, ddof=1)
            figures[0, paths] = wealth[:, -1] ** (PERIODS_PER_YEAR / n) - 1.0
            figures[1, paths] = deviation * np.sqrt(PERIODS_PER_YEAR)
            sharpe = path.mean(axis=1) / deviation * np.sqrt(PERIODS_PER_YEAR)
            figures[2, paths] = np.where(deviation > 1e-14, sharpe, np.nan)
        figures[3, paths] = fall_path(wealth, start=1.0).max(axis=1)
        if against is not None:
            above[paths] = (path - against[drawn[paths]]).mean(axis=1) * PERIODS_PER_YEAR
    return PathFigures(
        annual_return=figures[0],
        annual_volatility=figures[1],
        sharpe=figures[2],
        max_drawdown=figures[3],
        mean_above_annual=above if against is not None else None,
    )


def _chunks(n: int) -> Iterator[slice]:
    return (slice(start, start + _PATHS_AT_ONCE) for start in range(0, n, _PATHS_AT_ONCE))
