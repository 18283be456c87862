"""Where things lie on disk. No other module spells a path inside the data folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


def project_root() -> Path:
    """Folder that holds `btq_assets/` and `dbt_project/`."""
    return Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class DataPaths:
    """Layout of the data folder.

    Two database files share one name, since views name their catalog: everything writes
    ``.work/btq.duckdb``, people open ``btq.duckdb``.
    """

    root: Path

    @classmethod
    def of(cls, configured: str) -> DataPaths:
        """Paths for `warehouse.path`; a relative one is relative to the project."""
        return cls((project_root() / configured).resolve())

    @property
    def working_file(self) -> Path:
        """Database that is written."""
        return self.root / ".work" / "btq.duckdb"

    @property
    def lock_file(self) -> Path:
        """OS lock every writer holds for its transaction."""
        return self.root / ".work" / "btq.lock"

    @property
    def turnstile_file(self) -> Path:
        """OS lock of whoever opens the working database next."""
        return self.root / ".work" / "btq.turnstile"

    @property
    def answers(self) -> Path:
        """Answers of remote providers as they came, for replay."""
        return self.root / "answers"

    @property
    def published_file(self) -> Path:
        """Read-only copy people query."""
        return self.root / "btq.duckdb"

    @property
    def artifacts(self) -> Path:
        """Content-addressed model weights."""
        return self.root / "artifacts"

    @property
    def checkpoints(self) -> Path:
        """States of fits that have not ended, one folder each."""
        return self.root / "checkpoints"

    @property
    def reports(self) -> Path:
        """HTML reports."""
        return self.root / "reports"
