"""Windows of a panel too large for memory twice: standardised into files, a stretch at a time.

Belongs here: choosing between memory and files for the length of a fit. Does not belong here: reading
windows (`windows`). torch is imported inside functions.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from btq_assets.models.arrays import PanelArrays

if TYPE_CHECKING:
    from btq_assets.models.windows.batches import WindowSource

#: What a network reads of a panel, by the names of `windows.mapped.FILES`.
Layers = Callable[[PanelArrays], Mapping[str, np.ndarray]]

#: Sessions standardised at once.
SESSIONS_AT_ONCE = 128


def size_mib(arrays: PanelArrays) -> float:
    """Features of a panel as float32, MiB."""
    return float(np.prod(arrays.features.shape)) * 4 / 2**20


@contextmanager
def streamed(
    arrays: PanelArrays, layers: Layers, lookback: int, *, device: str
) -> Iterator[WindowSource]:
    """Windows of the whole panel over files, which are gone after the block.

    Parameters
    ----------
    arrays
        The panel.
    layers
        What the network reads of a panel; of a session it may depend on the one before, no more.
    lookback
        Sessions of a window.
    device
        Where the tensors live.
    """
    from btq_assets.models.windows.mapped import MappedWindows, write_windows

    with tempfile.TemporaryDirectory(prefix="windows-") as folder:
        write_windows(Path(folder), len(arrays.present), _stretches(arrays, layers))
        yield MappedWindows(Path(folder), lookback, device=device)


def _stretches(arrays: PanelArrays, layers: Layers) -> Iterator[Mapping[str, np.ndarray]]:
    for start in range(0, len(arrays.present), SESSIONS_AT_ONCE):
        before = min(start, 1)
        part = slice(start - before, start + SESSIONS_AT_ONCE)
        found = layers(
            replace(
                arrays,
                ts=arrays.ts[part],
                features=arrays.features[part],
                returns=arrays.returns[part],
                present=arrays.present[part],
                decides=arrays.decides[part],
                sectors=None if arrays.sectors is None else arrays.sectors[part],
            )
        )
        yield {name: values[before:] for name, values in found.items()}
