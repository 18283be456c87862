"""Features that look at several symbols at once."""

from __future__ import annotations

from btq_assets.contracts.columns import number
from btq_assets.contracts.features.family import family

CROSS_ASSET = family(
    "cross_asset",
    "How an asset moves with its universe and with the dollar, from past windows of returns.",
    (
        number("universe_beta", "Beta to the equal-weight return of the universe."),
        number(
            "idiosyncratic_volatility_annual",
            "Volatility of the return not explained by that beta, annualised.",
            minimum=0,
        ),
        number(
            "residual_momentum_12_1",
            "Sum of residual returns from 252 to 21 sessions ago, in its own standard deviations.",
        ),
        number(
            "mean_correlation",
            "Mean correlation with the other assets of the universe.",
            minimum=-1.000001,
            maximum=1.000001,
        ),
        number(
            "eigenvector_centrality",
            "Eigenvector centrality in the graph of absolute correlations; 1 is the mean.",
            minimum=0,
        ),
        number(
            "pc1_loading",
            "Loading on the first principal component of the correlation matrix, times root N.",
        ),
        number(
            "momentum_rank",
            "Rank of momentum_12_1 within the universe, -1 lowest to 1 highest.",
            minimum=-1,
            maximum=1,
        ),
        number(
            "return_21d_rank",
            "Rank of return_21d within the universe, -1 lowest to 1 highest.",
            minimum=-1,
            maximum=1,
        ),
        number(
            "usd_beta",
            "Beta to the equal-weight move of the US dollar against the other currencies.",
        ),
        number(
            "usd_correlation", "Correlation with that move.", minimum=-1.000001, maximum=1.000001
        ),
    ),
)
