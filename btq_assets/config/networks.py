"""Settings of the networks: what all of them share, and what each architecture adds.

Belongs here: one class per architecture under ``models``. Does not belong here: anything that builds
a network.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from btq_assets.config.base import Section


class NetworkSection(Section):
    """What every network is configured by."""

    lookback_sessions: int = Field(20, ge=2, le=512)
    dropout: float = Field(0.1, ge=0, lt=1)
    learning_rate: float = Field(1e-3, gt=0, le=1)
    weight_decay: float = Field(1e-3, ge=0)
    epochs: int = Field(8, ge=1, le=1_000)
    patience: int = Field(3, ge=1, le=100)
    batch_dates: int = Field(16, ge=1, le=4_096, description="Decision dates per batch.")
    loss: Literal["huber", "rank_ic", "gaussian", "quantile", "sharpe"] = Field(
        "huber",
        description="What training makes small; gaussian adds a head for the variance, quantile heads "
        "for five quantiles.",
    )


class GraphNetworkSection(NetworkSection):
    """What networks over the relation graph are configured by besides."""

    graph_heads: int = Field(2, ge=1, le=16)
    graph_neighbours: int = Field(5, ge=1, le=100)
    use_graph: bool = True
    relations: tuple[Literal["correlation", "lead_lag", "sector", "learned"], ...] = Field(
        ("correlation", "lead_lag"),
        description="What relates two assets. `sector` reads a column `sector` of the panel, which "
        "the training set of the warehouse does not have; `learned` lets each asset choose "
        "`graph_neighbours` sources by attention.",
    )
    typed_edges: bool = Field(False, description="Whether an edge says which relations made it.")


class TransformerSection(GraphNetworkSection):
    """Transformer-GNN."""

    model_dim: int = Field(32, ge=8, le=1024)
    num_heads: int = Field(4, ge=1, le=32)
    num_layers: int = Field(1, ge=1, le=24)
    positions: Literal["sinusoidal", "rotary"] = "sinusoidal"
    calendar: bool = Field(
        False,
        description="Whether tokens know gap, weekday and place in the month of their session.",
    )
    modalities: tuple[Literal["sentiment", "macro", "options", "onchain"], ...] = Field(
        (),
        description="What is fused by attention at the decision, of the columns that "
        "`models.feature_families` brings; a missing one is masked.",
    )


class GATSection(GraphNetworkSection):
    """Graph attention alone."""

    model_dim: int = Field(32, ge=8, le=1024)
    num_layers: int = Field(2, ge=1, le=24)


class TGNSection(GraphNetworkSection):
    """Temporal graph network."""

    model_dim: int = Field(32, ge=8, le=1024)
    time_dim: int = Field(8, ge=1, le=256, description="Width of the encoding of time spans.")


class XLSTMSection(NetworkSection):
    """xLSTM: residual blocks of mLSTM and sLSTM."""

    model_dim: int = Field(32, ge=8, le=1024)
    num_heads: int = Field(4, ge=1, le=32)
    num_layers: int = Field(2, ge=1, le=24)
    scalar_every: int = Field(
        2,
        ge=0,
        le=24,
        description="Every how many-th block is sLSTM, the others mLSTM; 0 for none.",
    )


class LSTMSection(NetworkSection):
    """Plain LSTM."""

    model_dim: int = Field(32, ge=8, le=1024)
    num_layers: int = Field(1, ge=1, le=24)


class PerceptronSection(NetworkSection):
    """Fully connected layers over the whole window."""

    model_dim: int = Field(64, ge=8, le=4096)
    num_layers: int = Field(2, ge=1, le=24)
