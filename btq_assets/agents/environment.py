"""A gymnasium environment that allocates a portfolio, stepping the engine's accounting.

Belongs here: observations, actions and rewards. Does not belong here: how an agent learns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from btq_assets.agents.account import Account
from btq_assets.agents.market import CLIP, AgentError, FeatureScaler, TradingMarket
from btq_assets.config import TradingConfig
from btq_assets.risk.limits import cap_weights

#: Actions lie in [-1, 1]; logits are this many times larger, so that one asset can dominate.
LOGIT_SCALE = 5.0
#: Per-asset entries of an observation beside the features: its weight, and whether it can be held.
EXTRA_PER_ASSET = 2


class AdvancedTradingEnv(gym.Env):
    """Allocate between assets and cash, once per decision, long only.

    An observation is, for each asset, its scaled features known at the decision, its weight in
    the portfolio and whether it can be held; and last the share of cash: ``float32[N (F + 2) + 1]``.
    An action is one logit per asset and one for cash, ``float32[N + 1]`` in [-1, 1]; weights are
    the softmax of 5 times the logits, capped at ``trading.max_position_size`` with the excess
    going to the other assets. The order fills at the session after the decision, never on the
    bar that decided it; the step ends at the next decision.

    Override `_calculate_reward` to teach something else.

    Parameters
    ----------
    market
        Prices, decisions, features and costs.
    config
        Limits, initial cash, reward scale and cost multiplier.
    first, last
        Positions of the first and last decision the environment may visit; nothing after the
        session of `last` is read. Default: all.
    scaler
        Scaling of features; default: fitted on decisions `first` to `last`.
    episode_decisions
        Length of an episode; default: up to `last`.
    random_start
        Whether an episode starts at a random decision (seeded through ``reset(seed=...)``).

    Raises
    ------
    AgentError
        The range holds fewer than two decisions.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  (gymnasium's own convention)

    def __init__(
        self,
        market: TradingMarket,
        config: TradingConfig | None = None,
        *,
        first: int = 0,
        last: int | None = None,
        scaler: FeatureScaler | None = None,
        episode_decisions: int | None = None,
        random_start: bool = False,
    ) -> None:
        super().__init__()
        self.market = market
        self.config = config or TradingConfig()
        self.first = first
        self.last = len(market.decision_rows) - 1 if last is None else last
        if not 0 <= self.first < self.last < len(market.decision_rows):
            raise AgentError(
                f"decisions {self.first} to {self.last} of {len(market.decision_rows)}: an "
                "environment needs at least two"
            )
        self.scaler = scaler or FeatureScaler.fit(market, self.first, self.last)
        self.episode_decisions = min(episode_decisions or self.last, self.last - self.first)
        self.random_start = random_start
        self._available = market.available
        n_assets, n_features = len(market.symbols), len(market.feature_names)
        size = n_assets * (n_features + EXTRA_PER_ASSET) + 1
        self.observation_space = gym.spaces.Box(-CLIP, CLIP, (size,), np.float32)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (n_assets + 1,), np.float32)
        self.begin(self.first)

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        feature_columns: Sequence[str],
        config: TradingConfig | None = None,
        **options: Any,
    ) -> AdvancedTradingEnv:
        """Environment of a pandas or polars frame; see `trainer.market_from_frame`."""
        from btq_assets.agents.trainer import market_from_frame

        config = config or TradingConfig()
        return cls(market_from_frame(frame, feature_columns, config), config, **options)

    def begin(self, position: int) -> None:
        """Stand at a decision with nothing but the initial cash."""
        self.position = position
        self.start = position
        self.account = Account(self.market, self.config.trading.initial_cash)
        self.daily_equity: list[np.ndarray] = []

    @property
    def row(self) -> int:
        """Session of the decision at hand."""
        return int(self.market.decision_rows[self.position])

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode in cash.

        Parameters
        ----------
        seed
            Seeds the choice of start.
        options
            ``{"start": position}`` starts at that decision.
        """
        super().reset(seed=seed)
        start = self.first
        if options and "start" in options:
            start = int(options["start"])
            if not self.first <= start < self.last:
                raise AgentError(f"start = {start} is outside {self.first} .. {self.last - 1}")
        elif self.random_start:
            latest = max(self.first, self.last - self.episode_decisions)
            start = int(self.np_random.integers(self.first, latest + 1))
        self.begin(start)
        return self.observe(), {"equity": self.account.equity(self.row)}

    def observe(self, scaler: FeatureScaler | None = None) -> np.ndarray:
        """Observation at the decision at hand, under another scaler if given."""
        features = (scaler or self.scaler).scaled(self.market.features[self.position])
        available = self._available[self.position]
        weights = self.account.weights(self.row)
        per_asset = np.column_stack([features * available[:, None], weights, available])
        flat = np.append(per_asset.ravel(), 1.0 - weights.sum())
        return np.clip(flat, -CLIP, CLIP).astype(np.float32)

    def weights_of(self, action: np.ndarray) -> np.ndarray:
        """Weights an action asks for at the decision at hand, ``float64[N]``; the rest is cash.

        Raises
        ------
        AgentError
            The action is not finite.
        """
        available = self._available[self.position]
        logits = LOGIT_SCALE * np.clip(np.asarray(action, dtype=np.float64), -1.0, 1.0)
        if not np.isfinite(logits).all():
            raise AgentError(f"action {action} is not finite")
        powers = np.exp(logits - logits.max()) * np.append(available, True)
        wanted = (powers / powers.sum())[:-1]
        capped = cap_weights(wanted, self.config.trading.max_position_size)
        return capped * min(1.0, self.config.portfolio.max_gross_exposure)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Decide, fill at the next session, hold until the next decision."""
        return self.step_weights(self.weights_of(action))

    def step_weights(
        self, weights: np.ndarray
    ) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """`step` for weights already decided, ``float64[N]``.

        Raises
        ------
        AgentError
            The last decision has been reached; reset first.
        """
        if self.position >= self.last:
            raise AgentError("the last decision has been reached; call reset()")
        row, next_row = self.row, int(self.market.decision_rows[self.position + 1])
        period = self.account.hold(weights, row, next_row)
        self.daily_equity.append(period.daily_equity)
        reward = self._calculate_reward(period.net_return + period.cost, period.cost)
        self.position += 1
        terminated = bool(period.daily_equity[-1] <= 0)
        truncated = (
            self.position >= self.last or self.position - self.start >= self.episode_decisions
        )
        info = {
            "equity": float(period.daily_equity[-1]),
            "net_return": period.net_return,
            "transaction_cost": period.cost,
            "turnover": period.turnover,
            "universe_return": self._universe_return(row, next_row),
            "weights": weights,
        }
        return self.observe(), float(reward), terminated, truncated, info

    def _calculate_reward(self, return_rate: float, transaction_cost: float) -> float:
        """Reward of one step; override to change what is learned.

        Parameters
        ----------
        return_rate
            Return of the portfolio from decision to decision, before costs.
        transaction_cost
            Commission and spread, as a share of equity.

        Returns
        -------
        float
            ``reward_scale * (return_rate - cost_multiplier * transaction_cost)``, both factors
            from ``config.agents``.
        """
        settings = self.config.agents
        return settings.reward_scale * (return_rate - settings.cost_multiplier * transaction_cost)

    def _universe_return(self, row: int, next_row: int) -> float:
        prices = self.market.prices
        returns = prices[next_row] / prices[row] - 1.0
        known = np.isfinite(returns)
        return float(returns[known].mean()) if known.any() else 0.0
