"""What a table of forecasts is re-used by: modules it is computed with, sections that configure it.

Belongs here: names of modules and of configuration sections, as steps of several rooms name them. A
module that computes something of a fit is named here. Does not belong here: hashing them
(`warehouse.versions`), steps (`assets`).
"""

from __future__ import annotations

from btq_assets.models.catalogue import ModelFamily

#: Modules behind every fit.
SHARED_CODE = (
    *(
        f"btq_assets.models.{module}"
        for module in (
            "chosen",
            "design",
            "fit_gates",
            "folds",
            "forecaster",
            "gates",
            "labels",
            "plans",
            "registry",
            "scores",
            "tabular",
            "training_set",
            "walk_forward",
        )
    ),
    "btq_assets.timeline",
)

#: Sections behind every fit.
FOLD_CONFIG = (
    "models.horizon_sessions",
    "models.horizons_sessions",
    "models.label",
    "models.sample_weights",
    "models.decision_every",
    "models.walk_forward",
    "features.truncation_dates",
    "universe.main",
)

#: What decides which columns the training set has.
FAMILIES_CONFIG = ("models.feature_families", "features.custom_modules")


def network_code(family: ModelFamily) -> tuple[str, ...]:
    """Modules behind the fit of a network, beside `SHARED_CODE`."""
    modules = (
        "arrays",
        "deep.distributions",
        "deep.fitted_network",
        "deep.panel_reader",
        "deep.pretrained",
        "deep.spec",
        "deep.streaming",
        "deep.windowed",
        family.module,
        "graph",
        "networks.heads",
        *(f"networks.{network}" for network in family.networks),
        "text",
        "training",
        "windows",
    )
    return tuple(f"btq_assets.models.{module}" for module in modules)
