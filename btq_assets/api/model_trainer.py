"""`ModelTrainer`: the training functions of the rooms behind one name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from btq_assets.agents.agent import TrainedAgent
    from btq_assets.backtest.recording import Recorder
    from btq_assets.config import TradingConfig
    from btq_assets.models.deep.transformer_gnn import TransformerGNNForecaster
    from btq_assets.models.search.space import Space
    from btq_assets.models.search.study import SearchResult


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

    def search(
        self,
        data: Any,
        feature_columns: Sequence[str],
        n_trials: int,
        *,
        storage: str | Path | None = None,
        name: str = "transformer_gnn",
        test_start: datetime | None = None,
        n_folds: int = 2,
        epochs: int | None = None,
        space: Space | None = None,
        seed: int = 0,
        recorder: Recorder | None = None,
    ) -> SearchResult:
        """Search the Transformer-GNN's hyper-parameters with Optuna; see `models.search`.

        Every trial, pruned and failed ones too, counts as a trial of this process
        (`backtest.recording.SESSION`), those of earlier runs in the same storage included.

        Parameters
        ----------
        data, feature_columns
            As in `train_transformer_model`, one frame of several assets.
        n_trials
            Trials the study shall have in all: a search gone on with makes the rest.
        storage
            ``file.journal``, ``file.db`` or a database URL; ``None`` keeps nothing.
        name
            Of the study in the storage.
        test_start
            First time of the test segment; nothing of it is read.
        n_folds, epochs
            Nested folds, and epochs of each fit at most.
        space
            Default `models.search.space.TRANSFORMER_SPACE`.
        seed
            Of the proposals.
        recorder
            Told of every trial, to be written into a ledger.
        """
        from btq_assets.backtest.recording import MemoryLedger, Trial
        from btq_assets.models.search.notebook import question_of
        from btq_assets.models.search.space import TRANSFORMER_SPACE
        from btq_assets.models.search.study import Search
        from btq_assets.models.workers import Alone, workers_of

        device = _device(self.config.trading.device)
        workers = workers_of(self.config.models.training, device=device)
        ledger = MemoryLedger(recorder, in_session=True)
        fields = ("strategy", "universe", "returns", "config", "data_hash", "code_version", "seed")
        question = question_of(
            self.config,
            data,
            feature_columns,
            test_start=test_start,
            n_folds=n_folds,
            epochs=epochs,
            device=device,
        )
        return Search(
            question,
            space=TRANSFORMER_SPACE if space is None else space,
            storage=storage,
            name=name,
            seed=seed,
            workers=None if isinstance(workers, Alone) else workers,
            beside=self.config.models.search.beside,
            recorder=lambda one: ledger.record(Trial(**{f: getattr(one, f) for f in fields})),
        ).run(n_trials)

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
