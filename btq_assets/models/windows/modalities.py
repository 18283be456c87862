"""Which columns are of which modality, and where one has anything to say.

Belongs here: grouping columns, availability, in plain numpy. Does not belong here: how modalities
are fused (`networks.fusion`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from btq_assets.contracts import features
from btq_assets.models.forecaster import ModelError

#: Feature families of each modality; texts are no columns of features (`models.text`).
MODALITIES: dict[str, tuple[str, ...]] = {
    "sentiment": ("sentiment", "sentiment_flow"),
    "macro": ("macro", "macro_curve"),
    "options": ("options_flow",),
    "onchain": ("onchain",),
    "text": (),
}

#: Name of the group of `documents_of`.
DOCUMENT = "document"


def columns_of(name: str) -> tuple[str, ...]:
    """All columns of a modality, whether a training set has them or not.

    Raises
    ------
    ModelError
        There is no such modality; the error names those there are.
    """
    if name not in MODALITIES:
        raise ModelError(f"there is no modality {name!r}; there are {', '.join(MODALITIES)}")
    families = (features.FAMILY_CONTRACTS[family] for family in MODALITIES[name])
    return tuple(column for family in families for column in features.columns_of(family))


def groups_of(columns: Sequence[str], modalities: Collection[str]) -> dict[str, list[int]]:
    """Places in `columns` that belong to each of `modalities`; one without a column is left out."""
    found = {}
    for name in modalities:
        known = set(columns_of(name))
        places = [place for place, column in enumerate(columns) if column in known]
        if places:
            found[name] = places
    return found


def series_of(columns: Sequence[str]) -> dict[str, list[int]]:
    """Places in `columns` of each macro series: those of the first word of their names."""
    found: dict[str, list[int]] = {}
    for name, places in groups_of(columns, ("macro",)).items():
        for place in places:
            found.setdefault(f"{name}:{columns[place].split('_')[0]}", []).append(place)
    return found


def documents_of(columns: Sequence[str]) -> dict[str, list[int]]:
    """Places in `columns` of what documents say of an asset, under `DOCUMENT`; empty without any."""
    places = [place for found in groups_of(columns, ("sentiment",)).values() for place in found]
    return {DOCUMENT: places} if places else {}


def available(values: np.ndarray, groups: dict[str, list[int]]) -> np.ndarray:
    """Whether each modality has any value.

    Parameters
    ----------
    values
        ``(T, N, F)``, NaN where missing.
    groups
        Places of each modality among the ``F``.

    Returns
    -------
    numpy.ndarray
        ``(T, N, K)`` bool, in the order of `groups`.
    """
    known = [np.isfinite(values[..., places]).any(axis=-1) for places in groups.values()]
    return np.stack(known, axis=-1) if known else np.zeros((*values.shape[:2], 0), dtype=bool)
