"""Rules that make one forecast out of several.

Belongs here: what a rule does with forecasts that are there. Does not belong here: learning weights
from outcomes (`weighting`, `stacking`, `gating`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import polars as pl

from btq_assets.models.ensembles.blending import (
    KEY,
    blend_forecasts,
    one_asset,
    require_forecasts,
    shares_of,
    standardised,
    weighted_mean,
)
from btq_assets.models.forecaster import ModelError


class Rule(Protocol):
    """Makes one frame of forecasts out of one per member."""

    def combine(self, forecasts: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """Return ``universe``, ``symbol``, ``ts``, ``forecast``, sorted."""


@dataclass(frozen=True)
class Weighted:
    """Weighted mean of standardised forecasts; see `blending.blend_forecasts`."""

    weights: tuple[float, ...] | None = None

    def combine(self, forecasts: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """Blend."""
        return blend_forecasts(forecasts, self.weights)


@dataclass(frozen=True)
class SignVote:
    """Majority of signs: +1, -1, or 0 for a tie.

    A member votes for an asset it forecasts above the mean of its date, against one below. With a
    single asset the sign of the forecast itself is its vote. A forecast at the mean is no vote.

    Parameters
    ----------
    weights
        Votes of each member; default one each.
    """

    weights: tuple[float, ...] | None = None

    def combine(self, forecasts: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """Count."""
        shares = shares_of(len(forecasts), self.weights)
        require_forecasts(forecasts)
        lone = one_asset(forecasts)
        votes = [
            (f.filter(pl.col("forecast").is_finite()) if lone else standardised(f)).with_columns(
                pl.col("forecast").cast(pl.Float64).sign()
            )
            for f in forecasts
        ]
        mean = weighted_mean(votes, shares)
        # Shares such as 0.3 do not add up to exactly nothing in a tie.
        tie = pl.col("forecast").abs() < 1e-9
        return mean.with_columns(
            pl.when(tie).then(0.0).otherwise(pl.col("forecast").sign()).alias("forecast")
        )


@dataclass(frozen=True)
class MeanRank:
    """Mean of ranks, from just above -0.5 (last) to just below 0.5 (first); ties share their mean.

    Rank ``r`` of ``n`` assets counts as ``(r - 0.5) / n - 0.5``, so that a member that forecasts
    fewer assets weighs no more.

    Parameters
    ----------
    weights
        One per member; default equal.
    """

    weights: tuple[float, ...] | None = None

    def combine(self, forecasts: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """Rank and average."""
        shares = shares_of(len(forecasts), self.weights)
        require_forecasts(forecasts)
        if one_asset(forecasts):
            raise ModelError(
                "mean rank needs two assets; with one, vote by sign or weigh forecasts"
            )
        forecast, by = pl.col("forecast"), ("universe", "ts")
        place = (forecast.rank("average").over(by) - 0.5) / pl.len().over(by) - 0.5
        ranks = [f.filter(forecast.is_finite()).with_columns(forecast=place) for f in forecasts]
        return weighted_mean(ranks, shares)


@dataclass(frozen=True)
class Stacked:
    """Linear combination of standardised forecasts, as `stacking` learns it.

    An asset that a member does not forecast gets nothing from it: the mean of its forecasts is 0.

    Parameters
    ----------
    coefficients
        One per member; negative ones are possible with ridge.
    fitted_until
        Last fill behind any label the coefficients were learnt from.
    method
        How they were learnt.
    n_rows
        From how many rows.
    """

    coefficients: tuple[float, ...]
    fitted_until: datetime
    method: str
    n_rows: int

    def combine(self, forecasts: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """Add up."""
        if len(forecasts) != len(self.coefficients):
            raise ModelError(
                f"{len(forecasts)} member(s) but {len(self.coefficients)} coefficient(s)"
            )
        require_forecasts(forecasts)
        parts = [
            standardised(frame).with_columns(pl.col("forecast") * weight)
            for frame, weight in zip(forecasts, self.coefficients, strict=True)
        ]
        return pl.concat(parts).group_by(KEY).agg(pl.col("forecast").sum()).sort(KEY)


@dataclass(frozen=True)
class RegimeGated:
    """Weights by the regime known at the decision (a mixture of experts with a given gate).

    Parameters
    ----------
    weights
        Of each regime, one per member.
    regimes
        ``known_at``, ``regime`` and, where several are possible at once, ``probability``. The rows
        with the latest ``known_at`` not after a decision are in force; weights are averaged by
        probability. A row known later changes nothing.
    otherwise
        Weights before the first row and in a regime without weights; default equal.
    """

    weights: Mapping[str, tuple[float, ...]]
    regimes: pl.DataFrame
    otherwise: tuple[float, ...] | None = None

    def combine(self, forecasts: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """Blend each decision by the weights in force."""
        require_forecasts(forecasts)
        table = self.shares_at(pl.concat([f.select("ts") for f in forecasts])["ts"], len(forecasts))
        parts = []
        for number, frame in enumerate(forecasts):
            share = table.select("ts", pl.col("shares").list.get(number).alias("share"))
            scaled = frame if one_asset(forecasts) else standardised(frame)
            parts.append(
                scaled.filter(pl.col("forecast").is_finite())
                .select(*KEY, pl.col("forecast").cast(pl.Float64))
                .join(share, on="ts", how="left")
            )
        return (
            pl.concat(parts)
            .filter(pl.col("share") > 0)
            .group_by(KEY)
            .agg((pl.col("forecast") * pl.col("share")).sum() / pl.col("share").sum())
            .sort(KEY)
        )

    def shares_at(self, ts: pl.Series, n_members: int) -> pl.DataFrame:
        """Weights in force at decisions.

        Returns
        -------
        polars.DataFrame
            ``ts``, ``regime`` (the likeliest; null where none is known), ``shares`` (one per
            member, adding up to one).
        """
        known = _gate(self.regimes)
        table = {name: shares_of(n_members, given) for name, given in self.weights.items()}
        spare = shares_of(n_members, self.otherwise)
        force = {
            at: list(zip(names, chances, strict=True))
            for at, names, chances in known.group_by("known_at")
            .agg("regime", "probability")
            .iter_rows()
        }
        stamps = ts.unique().sort()
        found = pl.DataFrame({"ts": stamps}).join_asof(
            known.select("known_at").unique().sort("known_at").rename({"known_at": "at"}),
            left_on="ts",
            right_on="at",
            strategy="backward",
        )
        rows = []
        for stamp, at in found.select("ts", "at").iter_rows():
            gate = force.get(at, [])
            total = sum(chance for _, chance in gate)
            shares = [0.0] * n_members
            for name, chance in gate:
                given = table.get(name, spare)
                shares = [s + chance / total * g for s, g in zip(shares, given, strict=True)]
            best = max(gate, key=lambda pair: pair[1])[0] if gate else None
            rows.append((stamp, best, shares if gate else list(spare)))
        return pl.DataFrame(
            rows,
            schema={"ts": stamps.dtype, "regime": pl.String, "shares": pl.List(pl.Float64)},
            orient="row",
        )


def _gate(regimes: pl.DataFrame) -> pl.DataFrame:
    missing = [name for name in ("known_at", "regime") if name not in regimes.columns]
    if missing:
        raise ModelError(
            f"regimes lack column(s) {missing}; a gate needs to know when a regime was known"
        )
    if "probability" not in regimes.columns:
        if regimes["known_at"].is_duplicated().any():
            raise ModelError("two regimes are known at the same time; give their probability")
        regimes = regimes.with_columns(probability=pl.lit(1.0))
    kept = regimes.select("known_at", "regime", pl.col("probability").cast(pl.Float64)).drop_nulls()
    wrong = kept.filter(~pl.col("probability").is_between(0, 1))
    if wrong.height:
        raise ModelError(f"{wrong.height} regime probability(ies) are not between 0 and 1")
    kept = kept.filter(pl.col("probability") > 0).sort("known_at", "regime")
    if not all(math.isfinite(p) for p in kept["probability"]):
        raise ModelError("a regime probability is not finite")
    return kept
