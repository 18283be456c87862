"""Strategies that read the parameters of the regime in force at each decision.

Belongs here: another strategy's target weights, made to obey those parameters. Does not belong here:
which regime is in force (the regimes room), the weights themselves (the other modules).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts.portfolio import TARGETS_REGIME
from btq_assets.portfolio.panel import PortfolioError, PricePanel, microseconds, targets_frame
from btq_assets.risk.limits import limit_weights

#: What is put behind a strategy's name.
SUFFIX = "_regime"


@dataclass(frozen=True)
class KnownParameters:
    """Parameters known at each of ``D`` decisions.

    Parameters
    ----------
    known
        ``bool[D]``: whether there was a row by then.
    exposure, max_position, threshold
        ``float64[D]``; 1, the limit of all strategies and 0 where nothing was known.
    """

    known: np.ndarray
    exposure: np.ndarray
    max_position: np.ndarray
    threshold: np.ndarray


def known_parameters(
    panel: PricePanel, rows: np.ndarray, parameters: pl.DataFrame, limit: float
) -> KnownParameters:
    """The newest row of `regimes.parameters` at or before each decision.

    Parameters
    ----------
    panel
        Its universe is the scope wanted.
    rows
        ``int64[D]``, sessions of `panel` at which is decided.
    parameters
        Rows of `regimes.parameters`; may be empty.
    limit
        Largest share of one asset of all strategies; a regime can only lower it.

    Raises
    ------
    PortfolioError
        There are parameters, and none of this universe.
    """
    own = parameters.filter(pl.col("scope") == panel.universe).sort("ts")
    if own.is_empty() and not parameters.is_empty():
        raise PortfolioError(f"regimes.parameters holds no row of scope {panel.universe!r}")
    newest = np.searchsorted(microseconds(own["ts"]), panel.ts_us[rows], side="right") - 1
    known = newest >= 0

    def at_decisions(column: str, otherwise: float) -> np.ndarray:
        values = np.full(len(rows), otherwise)
        values[known] = own[column].to_numpy()[newest[known]]
        return values

    return KnownParameters(
        known,
        at_decisions("exposure_multiplier", 1.0),
        np.minimum(at_decisions("max_position", limit), limit),
        at_decisions("rebalance_threshold", 0.0),
    )


class Holdings:
    """What is held at each decision if every order fills at the next session, without costs.

    Needed for the threshold alone: a weight that drifted is compared with the one wanted. A symbol
    without a price at the fill keeps its shares; without one at a decision it keeps its last price.

    Parameters
    ----------
    panel
        Prices; at each decision only those known by then are read.
    """

    def __init__(self, panel: PricePanel) -> None:
        self._panel = panel
        self._shares = np.zeros(panel.n_symbols)
        self._ordered = self._shares
        self._marks = np.full(panel.n_symbols, np.nan)
        self._cash = 1.0
        self._row: int | None = None

    def weights_at(self, row: int) -> np.ndarray:
        """``float64[N]`` shares of equity at the end of session `row`; rows must ascend."""
        first = row if self._row is None else self._row + 1
        for number, prices in enumerate(self._panel.prices_until(row, row + 1 - first)):
            known = np.isfinite(prices)
            if number == 0 and self._row is not None:
                bought = np.where(known, self._ordered - self._shares, 0.0)
                self._cash -= float(bought[known] @ prices[known])
                self._shares = self._shares + bought
            self._marks[known] = prices[known]
        self._row = row
        value = self._value()
        return value / (self._cash + value.sum())

    def order(self, weights: np.ndarray) -> None:
        """Decide `weights`, sized by the last prices known and filled at the next session."""
        equity = self._cash + self._value().sum()
        priced = np.isfinite(self._marks)
        self._ordered = self._shares.copy()
        self._ordered[priced] = weights[priced] * equity / self._marks[priced]

    def _value(self) -> np.ndarray:
        return np.where(self._shares != 0, self._shares * self._marks, 0.0)


def under_parameters(
    panel: PricePanel,
    rows: np.ndarray,
    base: np.ndarray,
    given: KnownParameters,
    max_gross: float,
) -> np.ndarray:
    """Weights of a strategy under the parameters known at each decision.

    1. Every weight is multiplied by the exposure of the regime and made no larger than its largest
       position; nothing is handed to other assets, the rest is cash.
    2. A weight closer to what is held than the threshold is left as it is held. It is not where the
       exposure or the largest position have changed since the decision before, nor where the
       strategy wants none.
    3. The sum is at most the exposure times the gross limit; what is too much is taken from the
       weights that are traded anyway, and from all only if those do not suffice.

    Parameters
    ----------
    rows
        ``int64[D]``, decisions, ascending.
    base
        ``float64[D, N]``, weights wanted without regimes, >= 0.
    max_gross
        Gross limit of all strategies.

    Returns
    -------
    numpy.ndarray
        ``float64[D, N]``.
    """
    out = np.zeros(base.shape)
    holdings = Holdings(panel)
    for place, row in enumerate(rows.tolist()):
        exposure, cap = given.exposure[place], given.max_position[place]
        wanted = np.minimum(exposure * base[place], cap)
        limit = min(exposure, 1.0) * max_gross
        held = holdings.weights_at(row)
        steady = place > 0 and (exposure, cap) == (
            given.exposure[place - 1],
            given.max_position[place - 1],
        )
        if steady:
            near = (np.abs(wanted - held) < given.threshold[place]) & (wanted > 0)
            wanted = _within(limit, np.where(near, np.minimum(held, cap), wanted), near)
        out[place] = limit_weights(wanted, cap, limit)
        holdings.order(out[place])
    return out


def _within(limit: float, weights: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Weights whose sum is within `limit`, by making those smaller that are not kept."""
    traded = weights[~kept].sum()
    excess = weights.sum() - limit
    if excess <= 0 or traded <= excess:
        return weights
    return np.where(kept, weights, weights * (1 - excess / traded))


def regime_targets(
    targets: Mapping[str, pl.DataFrame],
    parameters: pl.DataFrame,
    bars: pl.DataFrame,
    config: TradingConfig,
) -> pl.DataFrame:
    """Target weights of ``portfolio.regime_strategies`` under the parameters of each regime.

    Before the first row of parameters the weights are those of the strategy itself.

    Parameters
    ----------
    targets
        Tables of target weights, by any name.
    parameters, bars
        `regimes.parameters` and `core.bars_1d`.
    config
        With ``regimes`` or its ``parameters`` switched off, or no strategy named, nothing is made.

    Returns
    -------
    polars.DataFrame
        Rows of `portfolio.targets_regime`: ``<strategy>_regime``.

    Raises
    ------
    PortfolioError
        A strategy named has no targets, or does not decide whenever the others do.
    """
    names = config.portfolio.regime_strategies
    if not (names and config.regimes.enable and config.regimes.parameters.enable):
        return TARGETS_REGIME.empty()
    panel = PricePanel.from_bars(bars, config.universe.main)
    limit = config.trading.max_position_size
    every = pl.concat([frame.select(TARGETS_REGIME.column_names) for frame in targets.values()])
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name in names:
        rows, base = _weights_of(name, every, panel)
        given = known_parameters(panel, rows, parameters, limit)
        weights = under_parameters(panel, rows, base, given, config.portfolio.max_gross_exposure)
        found[name + SUFFIX] = rows, weights
    return targets_frame(panel, found)


def _weights_of(name: str, every: pl.DataFrame, panel: PricePanel) -> tuple[np.ndarray, np.ndarray]:
    """Decisions ``int64[D]`` and weights ``float64[D, N]`` of a strategy."""
    own = every.filter(pl.col("strategy") == name)
    if own.is_empty():
        raise PortfolioError(
            f"portfolio.regime_strategies names {name!r}, which has no targets; there are "
            f"{sorted(every['strategy'].unique().to_list())}"
        )
    stamps = own["ts"].unique().sort()
    decisions = every["ts"].n_unique()
    if stamps.len() != decisions:
        raise PortfolioError(
            f"{name} decides {stamps.len()} of {decisions} times; a strategy that reads regimes "
            "must decide at all of them"
        )
    column = {symbol: number for number, symbol in enumerate(panel.symbols)}
    weights = np.zeros((stamps.len(), panel.n_symbols))
    at = (
        np.searchsorted(microseconds(stamps), microseconds(own["ts"])),
        own["symbol"].replace_strict(column, return_dtype=pl.Int64).to_numpy(),
    )
    weights[at] = own["weight"].to_numpy()
    return panel.rows_of(stamps), weights
