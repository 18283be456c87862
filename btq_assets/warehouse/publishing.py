"""Give people a finished copy: one consistent, read-only file that no run ever waits for."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from btq_assets.warehouse.database import Warehouse
from btq_assets.warehouse.errors import WarehouseError

# Copied by a child: copying a DuckDB file inside a process that has had it open would drop that
# process's lock (POSIX locks belong to the process, not to the handle). The clone ioctl shares
# blocks where the file system can, which makes the copy instant.
_COPY = """
import os, shutil, sys
source, target = sys.argv[1:3]
with open(source, "rb") as r, open(target, "wb") as w:
    try:
        import fcntl
        fcntl.ioctl(w.fileno(), 0x40049409, r.fileno())
    except (ImportError, OSError):
        shutil.copyfileobj(r, w, 1 << 22)
    w.flush()
    os.fsync(w.fileno())
"""

# Verified by a child too, for the same reason.
_VERIFY = """
import duckdb, sys
with duckdb.connect(sys.argv[1], read_only=True) as c:
    print(c.execute("select count(*) from information_schema.tables").fetchone()[0])
"""


@dataclass(frozen=True)
class Published:
    """What was published.

    Parameters
    ----------
    file
        The read-only database people query.
    n_tables
        Tables and views in it.
    size_bytes
        Size of the file.
    set_aside
        Leftover write-ahead log of a person's session that was moved away, if there was one.
    """

    file: Path
    n_tables: int
    size_bytes: int
    set_aside: Path | None


def publish(warehouse: Warehouse, now: datetime) -> Published:
    """Replace the published database by a verified copy of the working one.

    Readers of the previous file keep it until they close; a process killed at any moment leaves
    the previous file.

    Raises
    ------
    WarehouseError
        There is nothing to publish, or the copy cannot be opened.
    """
    source, target = warehouse.paths.working_file, warehouse.paths.published_file
    if not source.exists():
        raise WarehouseError(f"{source} does not exist; there is nothing to publish")
    staging = source.with_name("publishing.duckdb")
    for leftover in (staging, staging.with_suffix(".duckdb.wal")):
        leftover.unlink(missing_ok=True)
    with warehouse.writer_lock():
        with warehouse.connection(read_only=False) as connection:
            connection.execute("CHECKPOINT")
        _child(_COPY, str(source), str(staging))
    n_tables = int(_child(_VERIFY, str(staging)))
    staging.chmod(0o444)
    set_aside = _set_aside_wal(target, now)
    staging.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return Published(target, n_tables, target.stat().st_size, set_aside)


def _child(code: str, *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise WarehouseError(
            f"publishing failed, the previous file is untouched: {done.stderr.strip().splitlines()[-1:]}"
        )
    return done.stdout.strip()


def _set_aside_wal(target: Path, now: datetime) -> Path | None:
    """Move a leftover write-ahead log away: DuckDB would replay it into the new file."""
    wal = target.with_name(target.name + ".wal")
    if not wal.exists():
        return None
    moved = wal.with_name(f"{wal.name}.set-aside-{now:%Y%m%dT%H%M%S}")
    wal.replace(moved)
    return moved
