"""`ModelTrainer`: the training functions of the rooms behind one name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from btq_assets.agents.agent import TrainedAgent
    from btq_assets.config import TradingConfig
    from btq_assets.models.deep.transformer_gnn import TransformerGNNForecaster


class ModelTrainer:
    """Train models in a notebook, the way the assets train them.

    Parameters
    ----------
    config
        Gives network size, horizon, seeds and the agent's settings. ``trading.device`` chooses the
        device of the network: ``auto`` takes CUDA where there is one.

    Examples
    --------
    >>> from btq_assets import ModelTrainer, TradingConfig
    >>> trainer = ModelTrainer(TradingConfig(transformer_dim=16))
    >>> trainer.config.models.transformer.model_dim
    16
    """

    def __init__(self, config: TradingConfig) -> None:
        self.config = config

    def train_transformer_model(
        self,
        train_data: Any,
        val_data: Any,
        feature_columns: Sequence[str],
        epochs: int | None = None,
        *,
        progress: Callable[..., None] | None = None,
    ) -> TransformerGNNForecaster:
        """Fit the Transformer-GNN; see `models.trainer.train_transformer_model`."""
        from btq_assets.models.trainer import train_transformer_model

        return train_transformer_model(
            self.config,
            train_data,
            val_data,
            feature_columns,
            epochs,
            device=_device(self.config.trading.device),
            progress=progress,
        )

    def train_rl_agent(
        self, env_data: Any, feature_columns: Sequence[str], total_timesteps: int
    ) -> TrainedAgent:
        """Train a PPO agent; see `agents.trainer.train_rl_agent`."""
        from btq_assets.agents.trainer import train_rl_agent

        return train_rl_agent(env_data, feature_columns, total_timesteps, self.config)


def _device(wanted: str) -> str:
    if wanted != "auto":
        return wanted
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
