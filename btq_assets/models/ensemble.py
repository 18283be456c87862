"""Several forecasters as one.

Belongs here: the public class. Does not belong here: rules and weights (`ensembles`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Self

import polars as pl

from btq_assets.models.ensembles.blending import blend_forecasts, shares_of
from btq_assets.models.ensembles.members import Predicts, as_member
from btq_assets.models.ensembles.rules import MeanRank, RegimeGated, Rule, SignVote, Weighted
from btq_assets.models.forecaster import ModelError

__all__ = ["ModelEnsemble", "Predicts", "blend_forecasts"]


class ModelEnsemble:
    """Ensemble of fitted forecasters, and of forecasts that are there already.

    Parameters
    ----------
    models
        Fitted forecasters, or frames of forecasts (``universe``, ``symbol``, ``ts``, ``forecast``),
        such as the target weights of an agent.
    weights
        Non-negative, one per model; default equal.
    rule
        How forecasts are combined, instead of `weights`: one of `ensembles.rules`.

    Raises
    ------
    ModelError
        No member, something that is no member, wrong weights, or both weights and a rule.
    """

    def __init__(
        self,
        models: Sequence[Predicts | pl.DataFrame],
        weights: Sequence[float] | None = None,
        *,
        rule: Rule | None = None,
    ) -> None:
        if rule is not None and weights is not None:
            raise ModelError("give weights or a rule, not both")
        self.models = tuple(as_member(model) for model in models)
        self.weights = shares_of(len(self.models), weights)
        self.rule: Rule = rule or Weighted(self.weights)

    @classmethod
    def voting(
        cls,
        models: Sequence[Predicts | pl.DataFrame],
        by: Literal["sign", "rank"] = "sign",
        weights: Sequence[float] | None = None,
    ) -> Self:
        """Majority of signs, or mean of ranks; see `SignVote` and `MeanRank`."""
        kinds: dict[str, type[SignVote] | type[MeanRank]] = {"sign": SignVote, "rank": MeanRank}
        if by not in kinds:
            raise ModelError(f"by = {by!r}: vote by sign or by rank")
        return cls(models, rule=kinds[by](shares_of(len(models), weights)))

    @classmethod
    def by_skill(
        cls,
        models: Sequence[Predicts | pl.DataFrame],
        out_of_sample: Sequence[pl.DataFrame],
        labels: pl.DataFrame,
        *,
        until: datetime,
    ) -> Self:
        """Weights by information coefficients, shrunk; see `weighting.skill_weights`.

        `out_of_sample` has a frame per model, in the same order.
        """
        from btq_assets.models.ensembles.weighting import skill_weights

        _one_each(models, out_of_sample)
        return cls(models, skill_weights(out_of_sample, labels, until=until).weights)

    @classmethod
    def stacked(
        cls,
        models: Sequence[Predicts | pl.DataFrame],
        out_of_sample: Sequence[pl.DataFrame],
        labels: pl.DataFrame,
        *,
        until: datetime,
        method: Literal["ridge", "non_negative"] = "non_negative",
        penalty: float = 0.01,
    ) -> Self:
        """Coefficients by regression on forecasts of purged folds; see `stacking.stack`."""
        from btq_assets.models.ensembles.stacking import stack

        _one_each(models, out_of_sample)
        rule = stack(out_of_sample, labels, until=until, method=method, penalty=penalty)
        return cls(models, rule=rule)

    @classmethod
    def gated(
        cls,
        models: Sequence[Predicts | pl.DataFrame],
        weights: Mapping[str, Sequence[float]],
        regimes: pl.DataFrame,
        otherwise: Sequence[float] | None = None,
    ) -> Self:
        """Weights by the regime known at the decision; see `RegimeGated`, and `gating.gate`."""
        given = {name: shares_of(len(models), one) for name, one in weights.items()}
        spare = shares_of(len(models), otherwise)
        return cls(models, rule=RegimeGated(given, regimes, spare))

    def predict(self, features: Any) -> pl.DataFrame:
        """Combine the members' forecasts of a panel.

        Parameters
        ----------
        features
            Panel every member understands, polars or pandas.

        Returns
        -------
        polars.DataFrame
            ``universe``, ``symbol``, ``ts``, ``forecast``.
        """
        return self.rule.combine(list(self.member_forecasts(features).values()))

    def spread(self, features: Any) -> pl.DataFrame:
        """Mean and variance of the members' forecasts; see `distribution.mixture_forecasts`."""
        from btq_assets.models.ensembles.distribution import mixture_forecasts

        return mixture_forecasts(list(self.member_forecasts(features).values()), self.weights)

    def member_forecasts(self, features: Any) -> Mapping[int, pl.DataFrame]:
        """Forecasts of each member, by position."""
        from btq_assets.models.frames import tidy_panel

        panel = tidy_panel(features)
        return {number: model.predict(panel) for number, model in enumerate(self.models)}


def _one_each(models: Sequence[Any], frames: Sequence[pl.DataFrame]) -> None:
    if len(models) != len(frames):
        raise ModelError(
            f"{len(models)} model(s) but {len(frames)} frame(s) of their forecasts out of sample"
        )
