"""Strategy families: from a parameter set to a matrix of target weights.

Belongs here: what a family is, the compiled family of ranks, and any function as a family. Does
not belong here: running sets (`sweeps`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import product
from typing import Any, Protocol

import numpy as np

from btq_assets.backtest.market import BacktestError


class WeightFamily(Protocol):
    """Parameter sets that share their data, numbered from 0."""

    @property
    def name(self) -> str:
        """Name of the family."""

    @property
    def parameters(self) -> Sequence[Mapping[str, Any]]:
        """Parameters of each set, the same names in each; what JSON can hold."""

    def write(self, number: int, weights: np.ndarray) -> None:
        """Write the target weights of one set into ``float64[T, N]``; called from any thread."""

    def digest(self) -> str:
        """Hash of the data all sets share."""


@dataclass(frozen=True)
class RankRule:
    """One parameter set of `RankFamily`.

    Parameters
    ----------
    score
        Name of the score that ranks.
    top_k
        Assets held, in equal weights.
    every
        Bars between decisions.
    threshold
        One-way turnover below which a new decision is not taken, fraction of equity.
    gross
        Sum of absolute weights.
    short
        Whether as many of the worst are sold short.
    """

    score: str
    top_k: int
    every: int = 5
    threshold: float = 0.0
    gross: float = 1.0
    short: bool = False


@dataclass(frozen=True)
class RankFamily:
    """Hold the best of a ranking: sets differ in score, number, rhythm and threshold.

    Each score is ranked once, for all sets that read it; weights are written by compiled code
    that runs beside other threads.

    Parameters
    ----------
    scores
        Score → ``float64[T, N]``; row ``t`` may read bars up to ``t`` and none later. NaN: no score.
    rules
        The sets.
    first
        First bar that decides.

    Raises
    ------
    BacktestError
        No rule, an unknown score, scores of unequal shape, or a parameter out of range.
    """

    scores: Mapping[str, np.ndarray]
    rules: tuple[RankRule, ...]
    first: int = 0
    name: str = "top_ranked"

    def __post_init__(self) -> None:
        shapes = {panel.shape for panel in self.scores.values()}
        if not self.rules or len(shapes) != 1:
            raise BacktestError(
                f"{len(self.rules)} rule(s), scores of shapes {sorted(shapes)}: at least one rule, "
                "and one shape for all scores, are needed"
            )
        n_assets = next(iter(shapes))[1]
        for number, rule in enumerate(self.rules):
            if rule.score not in self.scores:
                raise BacktestError(
                    f"set {number} ranks by {rule.score!r}; there are {sorted(self.scores)}"
                )
            held = rule.top_k * (2 if rule.short else 1)
            if not (rule.top_k >= 1 and held <= n_assets and rule.every >= 1):
                raise BacktestError(
                    f"set {number}: {rule} needs 1 <= top_k with room for it among {n_assets} "
                    "assets, and every >= 1"
                )
            if not (rule.gross > 0 and rule.threshold >= 0):
                raise BacktestError(f"set {number}: {rule} needs gross > 0 and threshold >= 0")

    @classmethod
    def grid(
        cls, scores: Mapping[str, np.ndarray], *, first: int = 0, **axes: Sequence[Any]
    ) -> RankFamily:
        """All combinations of the parameters in `axes`, the last one varying fastest.

        Examples
        --------
        >>> made = RankFamily.grid({"a": np.ones((3, 4))}, score=["a"], top_k=[1, 2], every=[1, 5])
        >>> [(rule.top_k, rule.every) for rule in made.rules]
        [(1, 1), (1, 5), (2, 1), (2, 5)]
        """
        rules = tuple(
            RankRule(**dict(zip(axes, values, strict=True))) for values in product(*axes.values())
        )
        return cls(scores, rules, first)

    @cached_property
    def parameters(self) -> Sequence[Mapping[str, Any]]:
        """Parameters of each set."""
        return [asdict(rule) for rule in self.rules]

    @cached_property
    def _ranked(self) -> Mapping[str, tuple[np.ndarray, np.ndarray]]:
        from btq_assets.backtest.sweep_kernel import rank_order

        return {
            name: rank_order(np.ascontiguousarray(panel, dtype=np.float64))
            for name, panel in self.scores.items()
        }

    def write(self, number: int, weights: np.ndarray) -> None:
        """Weights of one set; see `sweep_kernel.top_ranked`."""
        from btq_assets.backtest.sweep_kernel import top_ranked

        rule = self.rules[number]
        order, n_scored = self._ranked[rule.score]
        top_ranked(
            order,
            n_scored,
            self.first,
            rule.top_k,
            rule.every,
            float(rule.threshold),
            float(rule.gross),
            rule.short,
            weights,
        )

    def digest(self) -> str:
        """Hash of scores and first bar."""
        state = hashlib.sha256(str(self.first).encode())
        for name in sorted(self.scores):
            state.update(name.encode())
            state.update(np.ascontiguousarray(self.scores[name], dtype=np.float64).tobytes())
        return state.hexdigest()


@dataclass(frozen=True)
class FunctionFamily:
    """Any function of parameters as a family; Python's lock then limits the use of threads.

    Parameters
    ----------
    function
        ``function(**parameters) -> float64[T, N]``; deterministic, callable from any thread.
    parameters
        The sets.
    data_hash
        What identifies the data the function reads.
    """

    function: Callable[..., np.ndarray]
    parameters: Sequence[Mapping[str, Any]]
    data_hash: str
    name: str = "function"

    def write(self, number: int, weights: np.ndarray) -> None:
        """Weights of one set."""
        made = np.asarray(self.function(**self.parameters[number]), dtype=np.float64)
        if made.shape != weights.shape:
            raise BacktestError(
                f"set {number} {json.dumps(dict(self.parameters[number]), default=str)}: weights of "
                f"shape {made.shape}, the market has {weights.shape}"
            )
        weights[:] = made

    def digest(self) -> str:
        """The hash given."""
        return self.data_hash
