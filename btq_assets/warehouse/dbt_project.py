"""Where the dbt project lies, and what its manifest says of it.

Belongs here: the project's folder, this environment's dbt, the manifest and what can be read from it.
Does not belong here: Dagster's side (`dbt_layer`), running a build (`dbt_execution`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path

from btq_assets.warehouse.paths import project_root
from btq_assets.warehouse.versions import folder_files


class DbtError(RuntimeError):
    """The dbt project cannot be parsed."""


def dbt_folder() -> Path:
    """Folder of the dbt project."""
    return project_root() / "dbt_project"


def dbt_executable() -> str:
    """`dbt` of this very environment, so that no PATH has to be set."""
    return str(Path(sys.executable).with_name("dbt"))


#: How long one process waits while another parses; parsing takes seconds.
_PARSE_TIMEOUT_S = 300


def dbt_manifest() -> Path:
    """Path of the manifest, made anew when a source file of the project is newer.

    Processes that start together wait for the one that parses, and the finished file takes the
    place of the old one in one move: a manifest that is half written is never seen.

    Raises
    ------
    DbtError
        The project does not parse, and the message ends with what dbt said; or another process
        has been parsing for five minutes.
    """
    folder = dbt_folder()
    manifest = folder / "target" / "manifest.json"
    if _is_current(manifest, folder):
        return manifest
    import filelock

    manifest.parent.mkdir(exist_ok=True)
    lock = manifest.with_name("manifest.lock")
    try:
        with filelock.FileLock(lock, timeout=_PARSE_TIMEOUT_S):
            if not _is_current(manifest, folder):
                _parse(folder, manifest)
    except filelock.Timeout as error:
        raise DbtError(
            f"another process has been parsing {folder} for {_PARSE_TIMEOUT_S} s; if none does, "
            f"remove {lock}"
        ) from error
    return manifest


def _is_current(manifest: Path, folder: Path) -> bool:
    """Whether no source file of the project is newer than its manifest."""
    newest = max(file.stat().st_mtime for file in folder_files(folder))
    return manifest.exists() and manifest.stat().st_mtime >= newest


def _parse(folder: Path, manifest: Path) -> None:
    """Let dbt parse into a folder of its own, then move the manifest to its place."""
    started = time.time()
    with tempfile.TemporaryDirectory(dir=manifest.parent, prefix="parse-") as aside:
        done = subprocess.run(  # noqa: S603
            [
                dbt_executable(),
                "--quiet",
                "parse",
                "--project-dir",
                str(folder),
                "--profiles-dir",
                str(folder),
                "--target-path",
                aside,
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
        )
        if done.returncode != 0:
            raise DbtError(f"dbt parse failed in {folder}:\n{done.stdout}{done.stderr}")
        parsed = Path(aside) / manifest.name
        # A file that changed while dbt parsed is newer than what was parsed.
        os.utime(parsed, (started, started))
        parsed.replace(manifest)


def tables_read(schemas: Collection[str], tag: str | None = None) -> frozenset[str]:
    """Tables that the models of `schemas`, and tests of those models, read and do not write.

    Parameters
    ----------
    schemas
        Schemas of a layer, such as ``mart``.
    tag
        Models with this tag only; by default those without any.

    Returns
    -------
    frozenset of str
        ``schema.table``, as dbt's manifest has it.
    """
    manifest = json.loads(dbt_manifest().read_text())
    models, sources = (
        {
            unique_id: f"{node['schema']}.{node['name']}"
            for unique_id, node in manifest[part].items()
            if node["resource_type"] in ("model", "source")
        }
        for part in ("nodes", "sources")
    )
    names = {**models, **sources}
    parents = {
        unique_id: {parent for parent in node["depends_on"]["nodes"] if parent in names}
        for unique_id, node in manifest["nodes"].items()
    }
    written = {
        key
        for key, name in models.items()
        if name.split(".")[0] in schemas
        and manifest["nodes"][key]["tags"] == ([tag] if tag else [])
    }
    read = set().union(*(parents[key] for key in written))
    # A test that also reads what a later layer writes runs there, not here.
    here = [
        found
        for key, found in parents.items()
        if key not in models and found & written and found & set(models) <= written | read
    ]
    return frozenset(names[key] for key in read.union(*here) - written)
