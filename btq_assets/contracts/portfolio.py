"""Target weights: what each strategy wants to hold after each decision."""

from __future__ import annotations

from collections.abc import Collection

from btq_assets.contracts.base import Column, TableContract
from btq_assets.contracts.columns import STRATEGY, SYMBOL, TS, UNIVERSE, count, number, text


def targets_contract(name: str, description: str) -> TableContract:
    """Contract of ``portfolio.targets_<name>``."""
    return TableContract(
        layer="portfolio",
        name=f"targets_{name}",
        description=description,
        columns=(
            STRATEGY,
            UNIVERSE,
            SYMBOL,
            TS,
            number(
                "weight",
                "Wanted share of equity after the fill that follows ts; the rest is cash.",
                nullable=False,
                minimum=-1,
                maximum=1,
            ),
        ),
        key=("strategy", "universe", "symbol", "ts"),
    )


#: Strategy suffix of each feature set of a model.
VARIANT_SUFFIX = {"base": "", "macro": "_macro"}

#: Models whose base forecasts the strategy ``blend`` averages.
BLENDED = ("lightgbm", "ridge", "transformer_gnn")


def models_behind(strategy: str, models: Collection[str]) -> tuple[tuple[str, str], ...]:
    """Models and variants whose fits a strategy is made of, by the house's names of strategies.

    Parameters
    ----------
    strategy
        ``<model>``, ``<model>_macro``, ``kelly_<model>``, ``blend`` (base forecasts of `BLENDED`),
        any of them with ``_regime`` behind it.
    models
        Model families there are.

    Returns
    -------
    tuple of (model, variant)
        Empty for a strategy that fits nothing.
    """
    name = strategy.removesuffix("_regime").removeprefix("kelly_")
    if name == "blend":
        return tuple((model, "base") for model in BLENDED if model in models)
    return tuple(
        (model, variant)
        for model in sorted(models)
        for variant, suffix in VARIANT_SUFFIX.items()
        if name == model + suffix
    )


TARGETS_RANK = targets_contract(
    "rank",
    "Volatility-targeted long-only ranks of each model's forecasts, scaled down in turbulent states; one strategy per model and variant.",
)
TARGETS_KELLY = targets_contract(
    "kelly",
    "Fractional Kelly weights from calibrated forecasts and trailing covariance; one strategy per model.",
)
TARGETS_HRP = targets_contract(
    "hrp", "Hierarchical risk parity on trailing returns; uses no forecast."
)
TARGETS_PPO = targets_contract("ppo", "Weights of the PPO agent of each fold, out of sample.")
TARGETS_BASELINES = targets_contract(
    "baselines",
    "1/N, buy and hold, 12-1 momentum, 60 % 1/N + 40 % cash and risk parity, on the strategies' decision dates.",
)
TARGETS_REGIME = targets_contract(
    "regime",
    "Other strategies under the exposure, largest position and rebalance threshold of the regime in force at each decision; one strategy per name configured.",
)


def _weight(name: str, description: str, *, nullable: bool = True) -> Column:
    return number(name, description, nullable=nullable, minimum=-1, maximum=1)


WEIGHT_REASONS = TableContract(
    layer="portfolio",
    name="weight_reasons",
    description="Why each weight of the rank strategies is what it is at the last decision: from score to rank to weight, step by step. Assets without enough history stand with weight 0 and no steps.",
    columns=(
        STRATEGY,
        UNIVERSE,
        SYMBOL,
        TS,
        number(
            "score",
            "Forecast, mean over seeds, in label units; of blend the mean scaled rank. Null without one.",
        ),
        number("rank", "Rank of the score, 1 worst; equal scores share a rank.", minimum=1),
        count("n_ranked", "Assets ranked."),
        _weight("weight_ranked", "Weight by rank."),
        _weight("weight_capped", "The same under trading.max_position_size."),
        number("weight_at_volatility", "The same at portfolio.target_volatility_annual."),
        _weight("weight_limited", "The same within the limits of position and gross exposure."),
        number(
            "exposure_scale",
            "Factor of the state known at the decision.",
            nullable=False,
            minimum=0,
            maximum=1,
        ),
        _weight("weight_explained", "Where the steps end.", nullable=False),
        _weight("weight", "The weight in portfolio.targets_rank.", nullable=False),
    ),
    key=("strategy", "universe", "symbol", "ts"),
)

WEIGHT_CONTRIBUTIONS = TableContract(
    layer="portfolio",
    name="weight_contributions",
    description="What each part of a score is worth in weight at the last decision: features and baseline of a forecast, models of the blend. Parts sum to the score; weights do not, since a rank depends on all scores.",
    columns=(
        STRATEGY,
        UNIVERSE,
        SYMBOL,
        TS,
        text("name", "Feature, baseline, or model of the blend."),
        number(
            "contribution", "What it adds to the score, in the unit of the score.", nullable=False
        ),
        number(
            "rank_without", "Rank of the asset if its score lacked this part and all else stayed."
        ),
        _weight("weight_without", "Its weight then."),
        number(
            "weight_change",
            "Its weight less that one; null for the baseline.",
            minimum=-2,
            maximum=2,
        ),
    ),
    key=("strategy", "universe", "symbol", "ts", "name"),
)
