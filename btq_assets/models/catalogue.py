"""The model families there are, by name.

Belongs here: where each family lives. Does not belong here: any import of a family; a name costs
nothing until it is used.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, fields
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
            networks=(
                "adapters",
                "attention",
                "fusion",
                "graph_attention",
                "graph_memory",
                "learned_relation",
                "text_encoder",
                "transformer_gnn",
            ),
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
            "hetero_gnn",
            "deep.heterogeneous",
            "HeterogeneousForecaster",
            "attention over a graph of assets, sectors, documents and macro series",
            section="hetero_gnn",
            networks=("attention", "heterogeneous", "learned_relation"),
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
        ModelFamily(
            "ft_transformer",
            "deep.ft_transformer",
            "FTTransformerForecaster",
            "a transformer over the features of the last session, one token each",
            section="ft_transformer",
            networks=("ft_transformer",),
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
        There is none of that name; the error names the nearest and the known ones.
    """
    if name not in FAMILIES:
        raise ModelError(
            f"there is no model family {name!r}{nearest(name, FAMILIES)}; known are "
            f"{', '.join(FAMILIES)}"
        )
    return FAMILIES[name]


def spec_of(name: str, **parameters: Any) -> Any:
    """Specification of a family with some of its hyper-parameters set.

    Raises
    ------
    ModelError
        No such family, or a hyper-parameter it has not; the error names the nearest one.
    """
    spec_type = family_named(name).load().spec_type
    known = [field.name for field in fields(spec_type)]
    for parameter in parameters:
        if parameter not in known:
            raise ModelError(
                f"{name} has no hyper-parameter {parameter!r}{nearest(parameter, known)}; it has "
                f"{', '.join(sorted(known))}"
            )
    return spec_type(**parameters)


def nearest(name: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` where a known name is near, else nothing."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""
