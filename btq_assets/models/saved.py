"""A saved model by its folder alone, whatever its family.

Belongs here: finding the family of a folder and loading it. Does not belong here: what a family
stores (its own module), and rows of the registry (`registry`).
"""

from __future__ import annotations

import json
from pathlib import Path

from btq_assets.models.catalogue import FAMILIES
from btq_assets.models.forecaster import MODEL_FILE, Forecaster, MismatchError


def families() -> tuple[str, ...]:
    """Names of the families that can be built and read."""
    return tuple(FAMILIES)


def family_class(family: str) -> type:
    """The class of a family of `families`."""
    found: type = FAMILIES[family].load()
    return found


def load_forecaster(folder: str | Path) -> Forecaster:
    """Load a model that `Forecaster.save` wrote.

    Parameters
    ----------
    folder
        Its folder, such as that of a row of ``models.registry``.

    Raises
    ------
    MismatchError
        There is no saved model, it is damaged, or of a family nobody here can read.
    """
    file = Path(folder) / MODEL_FILE
    if not file.is_file():
        raise MismatchError(
            f"{folder} holds no {MODEL_FILE}: it is not the folder of a saved model; give the "
            "folder that save() wrote"
        )
    try:
        family = json.loads(file.read_text())["provenance"]["model"]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise MismatchError(f"{file} is damaged or of another format: {error!r}") from error
    if family not in FAMILIES:
        raise MismatchError(f"{file} is a {family!r}; known are {', '.join(sorted(FAMILIES))}")
    found: Forecaster = family_class(family).load(folder)  # type: ignore[attr-defined]
    return found
