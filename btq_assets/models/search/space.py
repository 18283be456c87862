"""What is searched: names, ranges and steps.

Belongs here: the space, and asking a trial for a point of it. Does not belong here: judging a point.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from btq_assets.config import ModelsSection
from btq_assets.models.catalogue import family_named
from btq_assets.models.forecaster import ModelError

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Integers:
    """Whole numbers from `low` to `high`, both included, in steps."""

    low: int
    high: int
    step: int = 1

    def __post_init__(self) -> None:
        if not (self.low <= self.high and self.step >= 1) or (self.high - self.low) % self.step:
            raise ModelError(f"{self}: low <= high, a whole number of steps apart, are needed")

    def ask(self, trial: optuna.Trial, name: str) -> int:
        """A value."""
        return trial.suggest_int(name, self.low, self.high, step=self.step)


@dataclass(frozen=True)
class Reals:
    """Numbers from `low` to `high`; with `log` each order of magnitude is as likely."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        finite = math.isfinite(self.low) and math.isfinite(self.high)
        if not finite or self.low > self.high or (self.log and self.low <= 0):
            raise ModelError(f"{self}: finite low <= high are needed, above 0 on a log scale")

    def ask(self, trial: optuna.Trial, name: str) -> float:
        """A value."""
        return trial.suggest_float(name, self.low, self.high, log=self.log)


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ModelError("a choice needs at least one value")

    def ask(self, trial: optuna.Trial, name: str) -> Any:
        """A value."""
        return trial.suggest_categorical(name, self.values)


Space = Mapping[str, Integers | Reals | Choice]

#: The search space of the Transformer-GNN.
TRANSFORMER_SPACE: Space = {
    "transformer_dim": Integers(128, 512, 64),
    "num_heads": Integers(4, 16, 4),
    "learning_rate": Reals(1e-5, 1e-2, log=True),
}

#: Ranges of what networks have in common; a network is searched over those it knows.
_OF_NETWORKS: Mapping[str, Integers | Reals] = {
    "model_dim": Integers(16, 128, 16),
    "num_layers": Integers(1, 3),
    "num_heads": Integers(2, 8, 2),
    "graph_heads": Integers(1, 4),
    "graph_neighbours": Integers(2, 10),
    "lookback_sessions": Integers(10, 60, 10),
    "dropout": Reals(0.0, 0.4),
    "learning_rate": Reals(1e-4, 1e-2, log=True),
    "weight_decay": Reals(1e-5, 1e-1, log=True),
}

#: Families that are searched over a space of their own.
SPACES: Mapping[str, Space] = {
    "transformer_gnn": TRANSFORMER_SPACE,
    "ridge": {"alpha": Reals(1.0, 1e6, log=True)},
    "lightgbm": {
        "num_leaves": Integers(3, 63, 4),
        "learning_rate": Reals(5e-3, 0.2, log=True),
        "min_child_samples": Integers(50, 500, 50),
        "feature_fraction": Reals(0.3, 1.0),
    },
}

#: Names of a space that a specification calls otherwise.
_FIELD = {"transformer_dim": "model_dim", "alpha": "alphas"}

#: Fields that hold several values, of which a point of a space is one.
_SEVERAL = ("alphas",)


def space_of(family: str) -> Space:
    """What a family of the catalogue is searched over.

    Every point can be built: widths need not be multiples of numbers of heads.

    Raises
    ------
    ModelError
        No such family.
    """
    section = ModelsSection.model_fields[family_named(family).section].annotation
    if family in SPACES:
        return SPACES[family]
    return {name: r for name, r in _OF_NETWORKS.items() if _takes(section, name, (r.low, r.high))}


def _takes(section: Any, name: str, values: Sequence[float]) -> bool:
    """Whether a section of the configuration has a setting that may be each of `values`."""
    if name not in section.model_fields:
        return False
    try:
        for value in values:
            section(**{name: value})
    except ValidationError:
        return False
    return True


def suggest(trial: optuna.Trial, space: Space = TRANSFORMER_SPACE) -> dict[str, Any]:
    """A point of the space, by name."""
    return {name: range_.ask(trial, name) for name, range_ in space.items()}


def fields_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The same point as fields of a specification."""
    found = {_FIELD.get(name, name): value for name, value in parameters.items()}
    # A space has ranges here, and a point has values; both stay what they are but for their name.
    return {
        name: (value,) if name in _SEVERAL and isinstance(value, float) else value
        for name, value in found.items()
    }


def as_yaml(family: str, parameters: Mapping[str, Any]) -> str:
    """A point of a space as it would stand in ``btq.yaml``; pasting it is up to a person."""
    section = family_named(family).section
    lines = ["models:", f"  {section}:"]
    lines += [f"    {name}: {_written(value)}" for name, value in fields_of(parameters).items()]
    return "\n".join(lines)


def _written(value: Any) -> str:
    """A value as YAML reads it back: 1e-05 without a point would be a text."""
    if isinstance(value, tuple):
        return f"[{', '.join(_written(one) for one in value)}]"
    text = json.dumps(value)
    return text.replace("e", ".0e", 1) if isinstance(value, float) and "." not in text else text
