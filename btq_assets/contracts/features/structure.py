"""How a universe hangs together: its graph, clusters, factors, leaders and sectors."""

from __future__ import annotations

from btq_assets.contracts.base import Column
from btq_assets.contracts.columns import number
from btq_assets.contracts.features.family import family


def _share(name: str, description: str) -> Column:
    return number(name, description, minimum=0, maximum=1.000001)


def _sided(name: str, description: str) -> Column:
    return number(name, description, minimum=-1.000001, maximum=1.000001)


CROSS_ASSET_STRUCTURE = family(
    "cross_asset_structure",
    "Correlation graph, clusters, factors and lead-lag of a universe, fitted on past windows at the first session of each month and held until the next.",
    (
        _share(
            "shrinkage_ledoit_wolf", "Weight of the identity in the shrunk correlations, universe."
        ),
        _share("shrinkage_oas", "The same by the oracle approximation, universe."),
        _sided("shrunk_mean_correlation", "Mean shrunk correlation with the other assets."),
        _share("network_degree", "Share of the other assets it is significantly correlated with."),
        _share("network_entropy", "How evenly its correlations are spread, 1 all equal."),
        _share(
            "spanning_tree_degree", "Share of the other assets it touches in the spanning tree."
        ),
        _share("cluster_distance_own", "Mean correlation distance to the rest of its cluster."),
        _share(
            "cluster_distance_nearest", "Mean distance to the members of the nearest other one."
        ),
        _sided("cluster_silhouette", "How much nearer its own cluster is, -1 to 1."),
        _share("cluster_persistence", "Overlap of its cluster with last month's matching one."),
        number(
            "cluster_relative_return_21d", "return_21d less the mean of the rest of its cluster."
        ),
        number(
            "cluster_relative_momentum_12_1",
            "momentum_12_1 less the mean of the rest of its cluster.",
        ),
        number("lead_lag_levy_area", "Mean Levy area with the other assets, positive for leaders."),
        _sided("lead_lag_correlation", "Net lead by lagged correlations, positive for leaders."),
        number("leaders_return_1d", "Return of the other assets, weighted by how they led it."),
        number("pca_residual_return_21d", "Return of 21 sessions not explained by factors."),
        number("pca_residual_momentum_12_1", "Residual momentum after factors fitted before."),
        _share(
            "absorption_ratio", "Share of variance in the leading fifth of components, universe."
        ),
        number("absorption_shift", "Change of the absorption ratio in its own deviations."),
        *(
            _sided(f"{name}_rank", f"Rank of {name} within the universe, -1 lowest to 1 highest.")
            for name in (
                "return_5d",
                "return_63d",
                "distance_high_252",
                "bollinger_z_20",
                "volatility_63",
            )
        ),
    ),
)

SECTOR_RELATIVE = family(
    "sector_relative",
    "Returns against the other assets of the same sector and universe; null where no sector is known.",
    (
        number("sector_relative_return_5d", "return_5d less the mean of the rest of the sector."),
        number("sector_relative_return_21d", "return_21d less the mean of the rest of the sector."),
        number(
            "sector_relative_momentum_12_1",
            "momentum_12_1 less the mean of the rest of the sector.",
        ),
    ),
)
