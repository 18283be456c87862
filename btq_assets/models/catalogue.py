"""The model families there are, by name.

Belongs here: where each family lives. Does not belong here: any import of a family; a name costs
nothing until it is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from btq_assets.models.forecaster import ModelError


@dataclass(frozen=True)
class ModelFamily:
    """One kind of forecaster.

    Parameters
    ----------
    name
        As in the provenance of a saved model, and in ``models.forecasts_<name>``.
    module
        Module of this room that holds it.
    forecaster
        Name of its class in that module.
    description
        What it is, for the table of its forecasts.
    section
        Its section under ``models`` in the configuration.
    networks
        Modules of `models.networks` that hold its layers; empty where it is no network. A network is
        trained by epochs, on a device, with several seeds.
    """

    name: str
    module: str
    forecaster: str
    description: str
    section: str
    networks: tuple[str, ...] = ()

    @property
    def is_deep(self) -> bool:
        """Whether it is a network."""
        return bool(self.networks)

    def load(self) -> Any:
        """Its forecaster class."""
        return getattr(import_module(f"btq_assets.models.{self.module}"), self.forecaster)


FAMILIES = {
    family.name: family
    for family in (
        ModelFamily(
            "ridge",
            "ridge",
            "RidgeForecaster",
            "ridge regression on cross-sectional ranks, standardised in fold",
            section="ridge",
        ),
        ModelFamily(
            "lightgbm",
            "gradient_boosting",
            "LightGBMForecaster",
            "LightGBM regression trees",
            section="lightgbm",
        ),
        ModelFamily(
            "transformer_gnn",
            "deep.transformer_gnn",
            "TransformerGNNForecaster",
            "temporal self-attention per asset, then graph attention over a trailing relation graph",
            section="transformer",
            networks=("attention", "fusion", "learned_relation", "transformer_gnn"),
        ),
        ModelFamily(
            "gat",
            "deep.graph_attention",
            "GATForecaster",
            "graph attention over a trailing relation graph, each window read at once",
            section="gat",
            networks=("graph_attention", "learned_relation"),
        ),
        ModelFamily(
            "tgn",
            "deep.graph_memory",
            "TGNForecaster",
            "a memory per asset, written session by session along a trailing relation graph",
            section="tgn",
            networks=("graph_attention", "graph_memory", "learned_relation"),
        ),
        ModelFamily(
            "xlstm",
            "deep.recurrent",
            "XLSTMForecaster",
            "residual blocks of mLSTM and sLSTM over each asset's window",
            section="xlstm",
            networks=("xlstm",),
        ),
        ModelFamily(
            "lstm",
            "deep.recurrent",
            "LSTMForecaster",
            "a plain LSTM over each asset's window",
            section="lstm",
            networks=("baselines",),
        ),
        ModelFamily(
            "mlp",
            "deep.recurrent",
            "PerceptronForecaster",
            "fully connected layers over each asset's window",
            section="mlp",
            networks=("baselines",),
        ),
    )
}

#: Families that are networks, by name.
DEEP = {name: family for name, family in FAMILIES.items() if family.is_deep}


def family_named(name: str) -> ModelFamily:
    """The family of a name.

    Raises
    ------
    ModelError
        There is none of that name; the error names the known ones.
    """
    if name not in FAMILIES:
        raise ModelError(f"there is no model family {name!r}; known are {', '.join(FAMILIES)}")
    return FAMILIES[name]
