"""Names of the feature families that can feed the models, and what a choice of them must obey.

Belongs here: names and the rules between settings. Does not belong here: what the families are
(`contracts.features`, `features.families`); a test holds the names equal.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection

#: Families with one value per asset and session.
ASSET_FAMILIES = (
    "technical",
    "volatility",
    "microstructure",
    "quantum",
    "cross_asset",
    "sentiment",
    "fractional",
    "cross_asset_structure",
    "sector_relative",
    "alpha101",
    "alpha158",
    "alpha360",
    "talib",
    "volume",
    "multi_timeframe",
    "volatility_models",
    "realised_volatility",
    "options_flow",
    "dark_pool",
    "onchain",
    "sentiment_flow",
)

#: Families with one value per session for the whole universe.
MARKET_FAMILIES = ("macro", "calendar", "macro_curve")

#: The family of `features.custom_modules`.
CUSTOM = "custom"

#: Published sets, computed only where `features.named_sets` names them.
NAMED_SETS = ("alpha101", "alpha158", "alpha360", "talib")

#: What fed the models before there was a choice.
DEFAULT_FAMILIES = (
    "technical",
    "volatility",
    "microstructure",
    "quantum",
    "cross_asset",
    "sentiment",
    "macro",
)


def check_families(
    chosen: Collection[str],
    left_out: Collection[str],
    *,
    named_sets: Collection[str],
    custom_modules: Collection[str],
) -> None:
    """Raise ``ValueError`` unless the chosen families exist, differ, and are computed.

    Parameters
    ----------
    chosen
        ``models.feature_families``.
    left_out
        ``models.ablations``.
    named_sets, custom_modules
        Those of ``features``.
    """
    where = "models.feature_families"
    known = (*ASSET_FAMILIES, *MARKET_FAMILIES, CUSTOM)
    for name in chosen:
        if name not in known:
            raise ValueError(f"{where} names {name!r}, which is no family{_nearest(name, known)}")
    if repeated := sorted({name for name in chosen if list(chosen).count(name) > 1}):
        raise ValueError(f"{where} repeats {', '.join(repeated)}")
    for name in chosen:
        if name in NAMED_SETS and name not in named_sets:
            raise ValueError(
                f"{where} names {name!r}, which is not computed: add it to features.named_sets = "
                f"{list(named_sets)}"
            )
    if CUSTOM in chosen and not custom_modules:
        raise ValueError(
            f"{where} names 'custom', but features.custom_modules names no module with features"
        )
    for name in left_out:
        if name in MARKET_FAMILIES:
            raise ValueError(
                f"models.ablations names {name!r}, which has one value for the whole market; the "
                "fits compared read families with one value per asset alone"
            )
        if name not in chosen:
            raise ValueError(
                f"models.ablations names {name!r}, which feeds no model{_nearest(name, chosen)}; "
                f"{where} = {list(chosen)}"
            )


def _nearest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
