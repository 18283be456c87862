"""Windows over files of any size: what a batch needs is read, nothing stays.

Belongs here: reading windows from NumPy files and writing such files a stretch of sessions at a time.
Does not belong here: how dates are laid out (`batches`), where the numbers come from. Imports torch at
the top; import inside functions only.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from btq_assets.models.forecaster import ModelError
from btq_assets.models.windows.batches import Read, Windows, tensor

#: Type and number of axes of each file; sessions come first in all of them.
FILES: dict[str, tuple[type, int]] = {
    "features": (np.float32, 3),
    "present": (np.bool_, 2),
    "calendar": (np.float32, 2),
    "modalities": (np.float32, 3),
    "available": (np.bool_, 3),
}
_NEEDED = ("features", "present")


class MappedWindows(Windows):
    """The batches of `ArrayWindows`, bit for bit, over memory-mapped files.

    A date's window is one stretch of a file. Once a batch is made, its pages are given back, so that
    memory holds one batch whatever the size of the files.

    Parameters
    ----------
    folder
        Holds ``features.npy``, ``(T, N, F)`` float32, standardised, 0 where missing, and
        ``present.npy``, ``(T, N)`` bool; may hold ``calendar.npy``, ``modalities.npy`` and
        ``available.npy`` as `ArrayWindows` takes them. See `write_windows`.
    lookback
        Sessions of a window.
    device
        Where the tensors live.

    Raises
    ------
    ModelError
        A file is missing, is of another type, or does not fit the others.
    """

    def __init__(self, folder: Path, lookback: int, *, device: str = "cpu") -> None:
        self._files = {
            name: _opened(Path(folder) / f"{name}.npy", *FILES[name])
            for name in FILES
            if name in _NEEDED or (Path(folder) / f"{name}.npy").exists()
        }
        n_sessions, n_assets, n_features = self._files["features"].shape
        for name, found in self._files.items():
            expected = (n_sessions,) if name == "calendar" else (n_sessions, n_assets)
            if found.shape[: len(expected)] != expected:
                raise ModelError(
                    f"{name}.npy in {folder} is of shape {found.shape}, features.npy has "
                    f"{n_sessions} sessions of {n_assets} assets; write them again together"
                )
        super().__init__(n_assets, n_features, device)
        self._lookback = lookback

    def _read(self, session: np.ndarray, asset: np.ndarray) -> Read:
        nodes, length = len(session), self._lookback
        widths = {
            name: self._files[name].shape[-1] if name in self._files else 0
            for name in ("calendar", "modalities", "available")
        }
        windows = np.zeros((nodes, length, self.n_features), dtype=np.float32)
        observed = np.zeros((nodes, length), dtype=bool)
        calendar = np.zeros((nodes, length, widths["calendar"]), dtype=np.float32)
        modalities = np.zeros((nodes, widths["modalities"]), dtype=np.float32)
        available = np.zeros((nodes, widths["available"]), dtype=bool)
        files = self._files
        # Nodes of a date follow one another: one read for each date.
        starts = np.flatnonzero(np.diff(session, prepend=-1))
        for start, end in zip(starts, [*starts[1:], nodes], strict=True):
            at, of = int(session[start]), asset[start:end]
            first = max(at - length + 1, 0)
            before, rows = length - (at - first + 1), slice(first, at + 1)
            windows[start:end, before:] = files["features"][rows][:, of].transpose(1, 0, 2)
            observed[start:end, before:] = files["present"][rows][:, of].T
            if "calendar" in files:
                calendar[start:end, before:] = files["calendar"][rows]
            if "modalities" in files:
                modalities[start:end] = files["modalities"][at, of]
            if "available" in files:
                available[start:end] = files["available"][at, of]
        self._give_back()
        parts = (windows, observed, calendar, modalities, available)
        return Read(*(tensor(part, self.device) for part in parts))

    def _give_back(self) -> None:
        """Take the pages that were read out of this process; the system may still cache them."""
        for found in self._files.values():
            _let_go(found)


def write_windows(
    folder: Path, n_sessions: int, blocks: Iterable[Mapping[str, np.ndarray]]
) -> None:
    """Write the files of `MappedWindows` from consecutive stretches of sessions.

    Parameters
    ----------
    folder
        Is made.
    n_sessions
        Sessions of all blocks together.
    blocks
        Arrays by name of a file, each of the same sessions; all blocks have the same names.

    Raises
    ------
    ModelError
        Blocks do not fit together, or are of more or fewer sessions than said.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, np.memmap] = {}
    done = 0
    for block in blocks:
        if not files:
            files = {name: _created(folder, name, n_sessions, block[name]) for name in block}
        lengths = {len(values) for values in block.values()}
        end = done + max(lengths, default=0)
        if set(block) != set(files) or len(lengths) != 1 or end > n_sessions:
            raise ModelError(
                f"a block of {sorted(block)} with {sorted(lengths)} sessions does not follow "
                f"{done} of {n_sessions} sessions of {sorted(files)}"
            )
        for name, values in block.items():
            files[name][done:end] = values
            files[name].flush()
            _let_go(files[name])
        done = end
    if done != n_sessions:
        raise ModelError(f"blocks have {done} sessions, {n_sessions} were announced")


def _let_go(mapped: np.ndarray) -> None:
    """Take the pages of a mapped file out of this process; what was written must be flushed."""
    pages = getattr(mapped, "_mmap", None)
    if isinstance(pages, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        pages.madvise(mmap.MADV_DONTNEED)


def _created(folder: Path, name: str, n_sessions: int, values: np.ndarray) -> np.memmap:
    if name not in FILES:
        raise ModelError(f"there is no file {name!r} of windows; known are {', '.join(FILES)}")
    shape = (n_sessions, *values.shape[1:])
    path = folder / f"{name}.npy"
    return np.lib.format.open_memmap(path, mode="w+", dtype=FILES[name][0], shape=shape)


def _opened(path: Path, dtype: type, axes: int) -> np.ndarray:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path} cannot be read as windows ({error}); see write_windows"
        ) from error
    if found.dtype != dtype or found.ndim != axes:
        raise ModelError(
            f"{path} holds {found.dtype} with {found.ndim} axes, not {np.dtype(dtype)} with {axes}"
        )
    mapped: np.ndarray = found
    return mapped
