"""Settings of the networks: what all of them share, and what each architecture adds.

Belongs here: one class per architecture under ``models``. Does not belong here: anything that builds
a network.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

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
    accumulate: int = Field(
        1,
        ge=1,
        le=4_096,
        description="Parts a batch is computed in, one after the other, in less memory.",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="What the forward pass is computed in; auto: bfloat16 on a GPU alone."
    )
    compile: bool = Field(
        False,
        description="Whether torch compiles the network before it is trained (a C++ compiler).",
    )
    processes: int = Field(
        1, ge=1, le=64, description="Processes that share each batch of a fit (not on a GPU)."
    )


class GraphNetworkSection(NetworkSection):
    """What networks over the relation graph are configured by besides."""

    graph_heads: int = Field(2, ge=1, le=16)
    graph_neighbours: int = Field(5, ge=1, le=100)
    use_graph: bool = True
    relations: tuple[Literal["correlation", "lead_lag", "sector", "learned"], ...] = Field(
        ("correlation", "lead_lag"),
        description="What relates two assets. `sector` relates those of one sector in the session; "
        "`learned` lets each asset choose `graph_neighbours` sources by attention.",
    )
    typed_edges: bool = Field(False, description="Whether an edge says which relations made it.")


class TransformerSection(GraphNetworkSection):
    """Transformer-GNN."""

    model_dim: int = Field(32, ge=8, le=1024)
    num_heads: int = Field(4, ge=1, le=32)
    num_layers: int = Field(1, ge=1, le=24)
    positions: Literal["sinusoidal", "rotary"] = "sinusoidal"
    temporal_attention: bool = Field(
        True, description="Whether sessions are weighed by attention; if not, all alike."
    )
    calendar: bool = Field(
        False,
        description="Whether tokens know gap, weekday and place in the month of their session.",
    )
    modalities: tuple[Literal["sentiment", "macro", "options", "onchain", "text"], ...] = Field(
        (),
        description="What is fused by attention at the decision, of the columns that "
        "`models.feature_families` brings; a missing one is masked. `text`: real documents, read as "
        "`models.text` says.",
    )
    graph_memory: bool = Field(
        False,
        description="Whether each asset has a memory besides, written session by session along the "
        "graph, as in `models.tgn`.",
    )
    time_dim: int = Field(
        8, ge=1, le=256, description="Width of the encoding of time spans of that memory."
    )


class TextSection(Section):
    """How documents are read, where `models.transformer.modalities` names `text`."""

    how: Literal["frozen", "lora", "full"] = Field(
        "full",
        description="What of the encoder learns: nothing, adapters beside its maps, or all of it.",
    )
    weights: str = Field(
        "",
        description="Local folder of an encoder, from `models.text.sentiment` or of the transformers "
        "library with safetensors; empty: one of our own, from nothing. Nothing is downloaded.",
    )
    max_tokens: int = Field(48, ge=1, le=8_192, description="Tokens of a document that are read.")
    window_days: float = Field(
        30.0, gt=0, le=3_650, description="Documents known longer ago are not read."
    )
    documents: int = Field(4, ge=1, le=256, description="Newest documents of an asset.")
    vocabulary: int = Field(4_000, ge=1, le=1_000_000, description="Words of our own encoder.")
    dim: int = Field(32, ge=4, le=2_048, description="Width of our own encoder.")
    heads: int = Field(4, ge=1, le=64, description="Its heads, of which the width is a multiple.")
    layers: int = Field(1, ge=1, le=24, description="Its layers.")
    pooling: Literal["mean", "first"] = Field(
        "mean", description="A document is the mean of its tokens, or the first one."
    )
    lora_rank: int = Field(8, ge=1, le=1_024, description="Rank of the adapters.")
    lora_alpha: float = Field(16.0, gt=0, description="Scale of the adapters, over their rank.")

    @model_validator(mode="after")
    def _possible(self) -> TextSection:
        if self.how != "full" and not self.weights:
            raise ValueError(
                f"text.how = {self.how} keeps weights, but text.weights names no folder; name one, or "
                "train from nothing with how: full"
            )
        if self.dim % self.heads:
            raise ValueError(f"text.dim = {self.dim} is no multiple of text.heads = {self.heads}")
        return self


class GATSection(GraphNetworkSection):
    """Graph attention alone."""

    model_dim: int = Field(32, ge=8, le=1024)
    num_layers: int = Field(2, ge=1, le=24)


class TGNSection(GraphNetworkSection):
    """Temporal graph network."""

    model_dim: int = Field(32, ge=8, le=1024)
    time_dim: int = Field(8, ge=1, le=256, description="Width of the encoding of time spans.")


class HeterogeneousSection(GraphNetworkSection):
    """Graph of assets, sectors, documents and macro series."""

    model_dim: int = Field(32, ge=8, le=1024)
    num_heads: int = Field(4, ge=1, le=32)
    num_layers: int = Field(1, ge=1, le=24)
    graph_layers: int = Field(2, ge=1, le=24, description="Rounds over the graph.")
    temporal_attention: bool = Field(
        True, description="Whether sessions are weighed by attention; if not, all alike."
    )
    node_types: tuple[Literal["sector", "document", "macro"], ...] = Field(
        ("sector", "document", "macro"),
        description="Kinds of nodes beside assets. Documents and macro series are the columns of "
        "sentiment and macro that `models.feature_families` brings; a kind without data is left out.",
    )


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


class FTTransformerSection(NetworkSection):
    """FT-Transformer: attention among the features of the last session."""

    lookback_sessions: Literal[1] = Field(1, description="It reads the last session alone.")
    model_dim: int = Field(32, ge=8, le=1024, description="Width of a feature's token.")
    num_heads: int = Field(4, ge=1, le=32)
    num_layers: int = Field(2, ge=1, le=24)


class PerceptronSection(NetworkSection):
    """Fully connected layers over the whole window."""

    model_dim: int = Field(64, ge=8, le=4096)
    num_layers: int = Field(2, ge=1, le=24)
