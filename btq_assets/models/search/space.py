"""What is searched: names, ranges and steps.

Belongs here: the space, and asking a trial for a point of it. Does not belong here: judging a point.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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

#: Names of a space that a specification calls otherwise.
_FIELD = {"transformer_dim": "model_dim"}


def suggest(trial: optuna.Trial, space: Space = TRANSFORMER_SPACE) -> dict[str, Any]:
    """A point of the space, by name."""
    return {name: range_.ask(trial, name) for name, range_ in space.items()}


def fields_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The same point as fields of a specification."""
    return {_FIELD.get(name, name): value for name, value in parameters.items()}
