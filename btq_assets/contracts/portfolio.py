"""Target weights: what each strategy wants to hold after each decision."""

from __future__ import annotations

from collections.abc import Collection

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import STRATEGY, SYMBOL, TS, UNIVERSE, number


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
