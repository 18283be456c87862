"""Why this weight: from what a feature adds to a forecast, over the rank, to the weight of a rank strategy.

Belongs here: the chain of the last decision, step by step, and what each contribution is worth in
weight. Does not belong here: the rules themselves (`ranks`), why a forecast is what it is (the models
room).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import portfolio as tables
from btq_assets.contracts.checks import CheckContext, CheckOutcome
from btq_assets.contracts.portfolio import VARIANT_SUFFIX
from btq_assets.portfolio.covariance import trailing_covariances
from btq_assets.portfolio.panel import PortfolioError, PricePanel
from btq_assets.portfolio.ranks import (
    WeightSteps,
    average_ranks,
    strategy_scores,
    turbulence_scale,
    weight_steps,
)

#: What a forecast starts from, in the tables of explanations.
BASELINE = "baseline"

#: Slack of weights and of sums of contributions (of the largest score of the date).
WEIGHT_TOLERANCE, SCORE_TOLERANCE = 1e-9, 2e-2

#: Parts of scores that are told apart where they are shown.
TOP_FEATURES = 6

_KEY = ["strategy", "universe", "symbol", "ts"]


def weight_reasons(
    forecasts: Mapping[str, pl.DataFrame],
    explanations: pl.DataFrame,
    targets: pl.DataFrame,
    bars: pl.DataFrame,
    states: pl.DataFrame | None,
    config: TradingConfig,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The chain from score to weight at the last decision, and what each part of the score is worth.

    A contribution is worth the weight less what it would be if the asset's score lacked it and all else
    stayed: ranks, caps and the volatility target are computed again.

    Parameters
    ----------
    forecasts
        Model → ``models.forecasts_<model>``.
    explanations
        ``models.explanations``.
    targets
        ``portfolio.targets_rank``.
    bars, states
        ``core.bars_1d`` and ``regimes.states`` (``None`` where regimes are switched off).
    config
        The run's.

    Returns
    -------
    reasons, contributions : polars.DataFrame
        Rows of ``portfolio.weight_reasons`` and ``portfolio.weight_contributions``.
    """
    panel = PricePanel.from_bars(bars, config.universe.main)
    rows, scores = strategy_scores(panel, forecasts, config)
    row = rows[-1:]
    ts = panel.stamps(row)[0]
    scale = float(turbulence_scale(panel, row, states, config.portfolio.turbulent_scale)[0])
    settings = config.portfolio
    investable, covariance = next(
        iter(trailing_covariances(panel, row, settings.covariance_window_sessions))
    )
    parts = _parts(explanations, scores, forecasts, panel, ts)
    wanted = targets.filter((pl.col("universe") == panel.universe) & (pl.col("ts") == ts))
    chains, worth = [], []
    for strategy, matrix in scores.items():
        score = matrix[-1]
        steps = weight_steps(score[investable], covariance, scale, config)
        held = dict(
            wanted.filter(pl.col("strategy") == strategy).select("symbol", "weight").iter_rows()
        )
        if not held:
            raise PortfolioError(f"portfolio.targets_rank has no weights of {strategy} at {ts}")
        places = {int(asset): place for place, asset in enumerate(np.flatnonzero(investable))}
        for asset, symbol in enumerate(panel.symbols):
            if symbol not in held:
                continue
            chains.append(
                {
                    "strategy": strategy,
                    "universe": panel.universe,
                    "symbol": symbol,
                    "ts": ts,
                    **_chain(steps, score, places.get(asset), scale),
                    "weight": held[symbol],
                }
            )
            place = places.get(asset)
            if place is None or not np.isfinite(score[asset]):
                continue
            for name, value in parts.get((strategy, symbol), {}).items():
                without = None
                if name != BASELINE:
                    less = score[investable].copy()
                    less[place] -= value
                    without = weight_steps(less, covariance, scale, config)
                worth.append(
                    {
                        "strategy": strategy,
                        "universe": panel.universe,
                        "symbol": symbol,
                        "ts": ts,
                        "name": name,
                        "contribution": value,
                        "rank_without": None if without is None else without.rank[place],
                        "weight_without": None if without is None else without.weight[place],
                        "weight_change": None
                        if without is None
                        else float(steps.weight[place] - without.weight[place]),
                    }
                )
    return (
        pl.DataFrame(chains, schema=tables.WEIGHT_REASONS.schema).sort(_KEY),
        pl.DataFrame(worth, schema=tables.WEIGHT_CONTRIBUTIONS.schema).sort([*_KEY, "name"]),
    )


def _chain(
    steps: WeightSteps, score: np.ndarray, place: int | None, scale: float
) -> dict[str, float | None]:
    """One asset on its way from score to weight; one without history is not invested in."""
    n_ranked = int(np.isfinite(steps.rank).sum())
    at = {
        "rank": steps.rank,
        "weight_ranked": steps.ranked,
        "weight_capped": steps.capped,
        "weight_at_volatility": steps.targeted,
        "weight_limited": steps.limited,
        "weight_explained": steps.weight,
    }
    found = {name: None if place is None else float(values[place]) for name, values in at.items()}
    known = place is not None and np.isfinite(steps.score[place])
    return {
        **found,
        "score": float(steps.score[place]) if known and place is not None else None,
        "rank": found["rank"] if known else None,
        "n_ranked": n_ranked,
        "weight_explained": found["weight_explained"] or 0.0,
        "exposure_scale": scale,
    }


def _parts(
    explanations: pl.DataFrame,
    scores: Mapping[str, np.ndarray],
    forecasts: Mapping[str, pl.DataFrame],
    panel: PricePanel,
    ts: object,
) -> dict[tuple[str, str], dict[str, float]]:
    """What the score of a strategy and symbol is made of: features and baseline, or models.

    Forecasts of several seeds are averaged, and so is what they are made of. The blend is a mean over
    models of scaled ranks: each model adds its share.
    """
    own = explanations.filter(
        (pl.col("universe") == panel.universe)
        & (pl.col("ts") == ts)
        & ((pl.col("part") == "feature") | (pl.col("name") == BASELINE))
    )
    n_seeds = own.group_by("model", "variant").agg(n_seeds=pl.col("seed").n_unique())
    mean = (
        own.join(n_seeds, on=["model", "variant"])
        .sort("model", "variant", "symbol", "name", "seed")
        .group_by("model", "variant", "symbol", "name", maintain_order=True)
        .agg((pl.col("value") / pl.col("n_seeds")).sum())
        .sort("model", "variant", "symbol", "name")
    )
    found: dict[tuple[str, str], dict[str, float]] = {}
    for model, variant, symbol, name, value in mean.iter_rows():
        found.setdefault((model + VARIANT_SUFFIX[variant], symbol), {})[name] = value
    stacked = {model: scores[model][-1] for model in forecasts}
    complete = np.isfinite(np.stack(list(stacked.values()))).all(axis=0)
    n = int(complete.sum())
    for model, values in stacked.items():
        ranks = (average_ranks(values[complete]) - 1) / max(n - 1, 1) / len(stacked)
        for asset, share in zip(np.flatnonzero(complete), ranks, strict=True):
            found.setdefault(("blend", panel.symbols[asset]), {})[model] = float(share)
    return found


def parts_of_scores(
    contributions: pl.DataFrame, symbols: list[str]
) -> tuple[tuple[str, ...], np.ndarray]:
    """The largest parts of some scores, all others together, and the baseline where it is not 0.

    Returns
    -------
    names : tuple of str
        Parts, largest mean absolute contribution first.
    matrix : numpy.ndarray
        ``float64[len(symbols), len(names)]``, rows summing to the scores.
    """
    own = contributions.filter(pl.col("symbol").is_in(symbols))
    features = own.filter(pl.col("name") != BASELINE)
    largest = (
        features.group_by("name")
        .agg(pl.col("contribution").abs().mean())
        .sort("contribution", "name", descending=[True, False])["name"]
        .head(TOP_FEATURES)
        .to_list()
    )
    named = own.with_columns(
        part=pl.when(pl.col("name").is_in([*largest, BASELINE]))
        .then("name")
        .otherwise(pl.lit("all others"))
    )
    sums = (
        named.sort("symbol", "name")
        .group_by("symbol", "part", maintain_order=True)
        .agg(pl.col("contribution").sum())
    )
    values = {(symbol, part): value for symbol, part, value in sums.iter_rows()}
    names = [*largest, "all others", BASELINE]
    matrix = np.array([[values.get((symbol, name), 0.0) for name in names] for symbol in symbols])
    kept = [place for place in range(len(names)) if np.abs(matrix[:, place]).any()]
    return tuple(names[place] for place in kept), matrix[:, kept]


def adds_up(context: CheckContext) -> CheckOutcome:
    """Answer whether the chain ends at the stored weight and its parts sum to the score."""
    name = "adds_up"
    reasons = context.frames[tables.WEIGHT_REASONS.table]
    worth = context.frames[tables.WEIGHT_CONTRIBUTIONS.table]
    if reasons.is_empty():
        return CheckOutcome(name, False, "no weight is explained")
    gap = (pl.col("weight_explained") - pl.col("weight")).abs()
    off = reasons.filter(gap > WEIGHT_TOLERANCE).sort(gap, descending=True)
    if off.height:
        row = off.row(0, named=True)
        return CheckOutcome(
            name,
            False,
            f"the chain of {row['symbol']} in {row['strategy']} ends at {row['weight_explained']:.6g}, "
            f"its target is {row['weight']:.6g}; {off.height} weights are not explained",
        )
    sums = worth.group_by(_KEY).agg(total=pl.col("contribution").sum())
    largest = pl.col("score").abs().max().over("strategy", "ts")
    both = reasons.join(sums, on=_KEY).with_columns(
        gap=(pl.col("total") - pl.col("score")).abs(), allowed=SCORE_TOLERANCE * largest + 1e-9
    )
    wrong = both.filter(~(pl.col("gap") <= pl.col("allowed")))
    if wrong.height:
        row = wrong.sort("gap", descending=True).row(0, named=True)
        return CheckOutcome(
            name,
            False,
            f"contributions to {row['symbol']} in {row['strategy']} sum to {row['total']:.6g}, its score "
            f"is {row['score']:.6g}",
        )
    without = sorted(set(reasons["strategy"]) - set(worth["strategy"]))
    message = f"{reasons.height} weights, {both.height} scores taken apart"
    if without:
        message += f"; no explanation of {', '.join(without)}"
    return CheckOutcome(name, True, message, {"n_weights": reasons.height})
