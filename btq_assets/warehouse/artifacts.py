"""Files beside the warehouse: model weights by content, reports by name."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from btq_assets.warehouse.paths import DataPaths

#: Formats that run code when they are opened.
_REFUSED_SUFFIXES = {".pkl", ".pickle", ".pt", ".pth", ".joblib", ".npy"}


class ArtifactError(ValueError):
    """An artefact is empty, of a refused format, missing, or not what its hash says."""


@dataclass(frozen=True)
class ArtifactStore:
    """Content-addressed folders of weights, and reports.

    Parameters
    ----------
    paths
        Layout of the data folder.
    """

    paths: DataPaths

    def put(self, folder: Path) -> tuple[str, str]:
        """Keep a folder of files under the hash of its content.

        Returns
        -------
        tuple of str
            Path relative to the data folder, and the sha256 over names and contents.

        Raises
        ------
        ArtifactError
            The folder is empty, or holds a pickle.
        """
        files = sorted(file for file in Path(folder).rglob("*") if file.is_file())
        if not files:
            raise ArtifactError(f"{folder} holds no file to keep")
        refused = [file.name for file in files if file.suffix in _REFUSED_SUFFIXES]
        if refused:
            raise ArtifactError(
                f"{refused}: pickles run code when opened; save safetensors and JSON"
            )
        sha256 = folder_hash(Path(folder))
        target = self.paths.artifacts / sha256[:2] / sha256
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            staging = Path(tempfile.mkdtemp(dir=target.parent))
            shutil.copytree(folder, staging / "content")
            try:
                (staging / "content").rename(target)
            except OSError:
                if not target.exists():
                    raise
            shutil.rmtree(staging)
        return str(target.relative_to(self.paths.root)), sha256

    def path(self, relative: str, *, sha256: str | None = None) -> Path:
        """Folder of a stored artefact.

        Raises
        ------
        ArtifactError
            It is gone, or its content is not the one its hash names.
        """
        folder = self.paths.root / relative
        if not folder.is_dir():
            raise ArtifactError(f"artefact {relative} is gone; materialize the model again")
        if sha256 is not None and folder_hash(folder) != sha256:
            raise ArtifactError(
                f"artefact {relative} was altered: its content is not {sha256[:12]}…"
            )
        return folder

    def write_report(self, name: str, html: str) -> str:
        """Write a report atomically; returns its path relative to the data folder."""
        self.paths.reports.mkdir(parents=True, exist_ok=True)
        target = self.paths.reports / name
        handle, staging = tempfile.mkstemp(dir=self.paths.reports, suffix=".part")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(html)
            file.flush()
            os.fsync(file.fileno())
        Path(staging).chmod(0o644)
        Path(staging).replace(target)
        return str(target.relative_to(self.paths.root))


def folder_hash(folder: Path) -> str:
    """sha256 over the names and contents of all files below a folder."""
    state = hashlib.sha256()
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        state.update(str(file.relative_to(folder)).encode() + b"\0")
        state.update(file.read_bytes())
    return state.hexdigest()
