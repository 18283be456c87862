"""What every network's fit is configured by.

Belongs here: the specification all networks share. Does not belong here: what one architecture adds,
anything fitted (`windowed`).
"""

from __future__ import annotations

from dataclasses import dataclass

from btq_assets.models.forecaster import ModelError
from btq_assets.models.graph import DEFAULT_RELATIONS, RELATIONS, n_attributes
from btq_assets.models.training.recipe import Recipe

#: What a forward pass may be computed in.
PRECISIONS = ("auto", "float32", "bfloat16")


#: What windows without labels may teach first; `config.ModelsSection.pretraining`.
PRETRAINING = ("none", "masked", "next_return")

#: Names of `training.losses.LOSSES`, which this module does not import: it would load torch.
LOSSES = ("huber", "rank_ic", "gaussian", "quantile", "sharpe")


@dataclass(frozen=True, kw_only=True)
class WindowedSpec:
    """What every network's fit is configured by; each adds what its architecture needs.

    Parameters
    ----------
    variant
        Feature set.
    lookback_sessions
        Sessions of the window behind a decision.
    dropout
        Dropout while training.
    learning_rate, weight_decay, epochs, patience, batch_dates, loss, accumulate, compile, processes
        See `training.recipe.Recipe`.
    precision
        ``float32``, ``bfloat16``, or ``auto``: bfloat16 on a GPU, float32 elsewhere.
    graph_neighbours
        Largest number of contemporaneous neighbours of an asset.
    use_graph
        ``False`` leaves relations out: an asset is forecast from its own history alone.
    graph_window_sessions
        Sessions behind each relation graph.
    horizon_sessions
        Sessions from fill to fill; lead-lag edges look that far.
    relative
        ``True`` learns who does better than whom; ``False`` (a single asset) the return itself.
    seed
        Weights, dropout and the order of batches.
    relations
        What edges are made of: some of `graph.RELATIONS`. ``sector`` needs a column ``sector`` in
        the panel; without one there are no such edges.
    typed_edges
        Whether edges say which relations made them.
    pretraining
        One of `PRETRAINING`: whether windows of the training segment teach the encoder before labels
        do, by masked sessions alone or by the next return besides.
    """

    variant: str = "base"
    lookback_sessions: int = 20
    dropout: float = 0.1
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    epochs: int = 8
    patience: int = 3
    batch_dates: int = 16
    loss: str = "huber"
    accumulate: int = 1
    precision: str = "auto"
    compile: bool = False
    processes: int = 1
    graph_neighbours: int = 5
    use_graph: bool = False
    graph_window_sessions: int = 126
    horizon_sessions: int = 5
    relative: bool = True
    seed: int = 0
    relations: tuple[str, ...] = DEFAULT_RELATIONS
    typed_edges: bool = False
    pretraining: str = "none"

    def __post_init__(self) -> None:
        """Refuse a relation or a precision there is none of."""
        for value, known, what in (
            (self.pretraining, PRETRAINING, "pre-training"),
            (self.loss, LOSSES, "loss"),
        ):
            if value not in known:
                raise ModelError(f"there is no {what} {value!r}; there are {', '.join(known)}")
        if self.precision not in PRECISIONS:
            raise ModelError(
                f"there is no precision {self.precision!r}; there are {', '.join(PRECISIONS)}"
            )
        unknown = sorted(set(self.relations) - set(RELATIONS))
        if unknown:
            raise ModelError(
                f"there is no relation {unknown[0]!r} between assets; there are {', '.join(RELATIONS)}"
            )

    @property
    def n_attributes(self) -> int:
        """Numbers on an edge of the relation graph."""
        return n_attributes(self.relations, typed=self.typed_edges)

    @property
    def learned_neighbours(self) -> int:
        """Sources the network chooses itself for each asset; 0 where it is not to."""
        return self.graph_neighbours if self.use_graph and "learned" in self.relations else 0

    @property
    def head(self) -> str:
        """Kind of head that the loss needs; see `networks.heads.ForecastHead`."""
        return {"gaussian": "variance", "quantile": "quantiles"}.get(self.loss, "mean")

    def recipe(self, device: str = "cpu") -> Recipe:
        """How the network is trained on a device."""
        half = self.precision == "bfloat16"
        if self.precision == "auto":
            half = device.startswith("cuda")
        return Recipe(
            epochs=self.epochs,
            patience=self.patience,
            batch_dates=self.batch_dates,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            relative=self.relative,
            seed=self.seed,
            loss=self.loss,
            accumulate=self.accumulate,
            mixed_precision=half,
            compile=self.compile,
            processes=self.processes,
        )
