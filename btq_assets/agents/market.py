"""What an agent trades in: prices, decisions, what is known at each, and what trading costs.

Belongs here: the arrays behind the environment and the scaling of observations. Does not belong
here: stepping through them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from btq_assets.config import TradingConfig
from btq_assets.portfolio.panel import PricePanel

#: Features are clipped to this many standard deviations of the training segment.
CLIP = 5.0

_WEEK, _MONTH, _YEAR = 5, 21, 252

FEATURES = (
    "return_5_over_volatility",
    "return_window_over_volatility",
    "momentum_12_1_over_volatility",
    "log_volatility_annual",
    "drawdown_252",
)


class AgentError(ValueError):
    """An agent cannot be trained or applied: too little data, wrong shapes, unknown columns."""


@dataclass(frozen=True)
class TradingMarket:
    """Prices and decisions of one universe.

    Parameters
    ----------
    symbols
        ``N`` symbols.
    prices
        ``float64[T, N]``; fills and marks happen at these; NaN where a symbol has none.
    decision_rows
        ``int64[D]``, sessions at which the agent decides, ascending. The decision at row ``r``
        fills at ``r + 1``.
    features
        ``float64[D, N, F]``, known at each decision; NaN where not known.
    half_spread
        ``float64[T]``, fraction of value.
    commission
        Fraction of value.
    feature_names
        ``F`` names.

    Raises
    ------
    AgentError
        Shapes do not fit, decisions are out of order, or fewer than two of them.
    """

    symbols: tuple[str, ...]
    prices: np.ndarray
    decision_rows: np.ndarray
    features: np.ndarray
    half_spread: np.ndarray
    commission: float
    feature_names: tuple[str, ...]

    def __post_init__(self) -> None:
        n_sessions, n_symbols = self.prices.shape
        wanted = (len(self.decision_rows), n_symbols, len(self.feature_names))
        if self.features.shape != wanted or n_symbols != len(self.symbols):
            raise AgentError(
                f"features have shape {self.features.shape}, expected (decisions, symbols, "
                f"features) = {wanted}; prices have {n_symbols} columns for {len(self.symbols)} "
                "symbols"
            )
        if self.half_spread.shape != (n_sessions,):
            raise AgentError(f"half_spread has shape {self.half_spread.shape}, not ({n_sessions},)")
        rows = self.decision_rows
        if len(rows) < 2 or (np.diff(rows) <= 0).any() or rows[0] < 0 or rows[-1] >= n_sessions:
            raise AgentError(
                f"{len(rows)} decision(s) over {n_sessions} sessions; an environment needs at "
                "least two, ascending and within the sessions"
            )

    @property
    def available(self) -> np.ndarray:
        """``bool[D, N]``: a price and every feature known at the decision; else no weight."""
        return np.isfinite(self.prices[self.decision_rows]) & np.isfinite(self.features).all(axis=2)

    @classmethod
    def from_panel(
        cls, panel: PricePanel, rows: np.ndarray, config: TradingConfig
    ) -> TradingMarket:
        """Market of a price panel, with trailing features and costs by era from `config`."""
        from btq_assets.engine.costs import BPS, half_spread_by_era

        every = panel.stamps(np.arange(len(panel.ts_us)))
        return cls(
            symbols=panel.symbols,
            prices=panel.prices,
            decision_rows=np.asarray(rows, dtype=np.int64),
            features=trailing_features(panel, rows, config.agents.window_sessions),
            half_spread=half_spread_by_era(every, config.backtest.spread_eras) * BPS,
            commission=config.backtest.commission_bps * BPS,
            feature_names=FEATURES,
        )


def trailing_features(panel: PricePanel, rows: np.ndarray, window: int) -> np.ndarray:
    """Features of each symbol from prices known at each decision.

    Returns over 5 and `window` sessions and 12-1 momentum, each over the volatility of the window
    times the square root of its length; log annualised volatility; distance from the highest
    price of 252 sessions. Invariant to scaling a symbol's history by a constant.

    Parameters
    ----------
    rows
        ``int64[D]``, sessions of `panel`.
    window
        Sessions of the volatility window.

    Returns
    -------
    numpy.ndarray
        ``float64[D, N, 5]``; NaN where the 253 prices behind it have a gap that matters.
    """
    features = np.full((len(rows), panel.n_symbols, len(FEATURES)), np.nan)
    for decision, row in enumerate(rows):
        if row < _YEAR:
            continue
        prices = panel.prices_until(int(row), _YEAR + 1)
        returns = prices[-window:] / prices[-window - 1 : -1] - 1.0
        # An asset whose price stood still has no volatility to divide by: not known.
        volatility = returns.std(axis=0, ddof=1)
        volatility = np.where(volatility > 0, volatility, np.nan)
        last = prices[-1]
        features[decision] = np.stack(
            [
                (last / prices[-1 - _WEEK] - 1) / (volatility * np.sqrt(_WEEK)),
                (last / prices[-1 - window] - 1) / (volatility * np.sqrt(window)),
                (prices[-1 - _MONTH] / prices[0] - 1) / (volatility * np.sqrt(_YEAR - _MONTH)),
                np.log(volatility * np.sqrt(_YEAR)),
                last / prices.max(axis=0) - 1,
            ],
            axis=1,
        )
    return features


@dataclass(frozen=True)
class FeatureScaler:
    """Mean and standard deviation of each feature over a training segment.

    Parameters
    ----------
    mean, scale
        ``float64[F]``.
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, market: TradingMarket, first: int, last: int) -> FeatureScaler:
        """Fit on decisions `first` to `last`, both included, over available symbols.

        Raises
        ------
        AgentError
            No symbol is available at any of them.
        """
        chosen = slice(first, last + 1)
        rows = market.features[chosen][market.available[chosen]]
        if len(rows) == 0:
            raise AgentError(
                f"no symbol has all of {market.feature_names} at any of the "
                f"{last + 1 - first} training decisions; start later or provide more history"
            )
        spread = rows.std(axis=0)
        return cls(rows.mean(axis=0), np.where(spread > 0, spread, 1.0))

    def scaled(self, features: np.ndarray) -> np.ndarray:
        """``(features - mean) / scale`` clipped to ±5; unknown values become the mean, 0."""
        return np.nan_to_num(np.clip((features - self.mean) / self.scale, -CLIP, CLIP), nan=0.0)
