"""Where a search keeps its trials: a file the caller names, or a database.

Belongs here: opening it. Does not belong here: where such a file should lie.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from btq_assets.models.forecaster import ModelError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

_SQLITE = (".db", ".sqlite", ".sqlite3")
_JOURNAL = (".journal", ".log", ".jsonl")


def require_optuna() -> Any:
    """The package; raises `ModelError` saying what to install."""
    try:
        import optuna
    except ImportError as error:
        raise ModelError("search needs Optuna: pip install 'btquant[search]'") from error
    return optuna


def open_storage(where: str | Path | None) -> BaseStorage:
    """Storage of a search.

    Parameters
    ----------
    where
        A path ending in ``.db``, ``.sqlite`` or ``.sqlite3`` (SQLite), or in ``.journal``, ``.log``
        or ``.jsonl`` (a journal that is only appended to); its folder must exist. A URL such as
        ``postgresql://user:password@host/name``. ``None`` keeps trials in memory: nothing survives
        the process.

    Raises
    ------
    ModelError
        Another ending, no such folder, or a database that does not answer. The message holds no
        password and no user.
    """
    optuna = require_optuna()
    if where is None:
        memory: BaseStorage = optuna.storages.InMemoryStorage()
        return memory
    if isinstance(where, str) and "://" in where:
        return _database(where)
    file = Path(where)
    if not file.parent.is_dir():
        raise ModelError(f"storage {file}: there is no folder {file.parent}")
    if file.suffix in _SQLITE:
        return _database(f"sqlite:///{file.resolve()}")
    if file.suffix in _JOURNAL:
        from optuna.storages.journal import JournalFileBackend

        journal: BaseStorage = optuna.storages.JournalStorage(JournalFileBackend(str(file)))
        return journal
    raise ModelError(f"storage {file}: the name must end in one of {(*_SQLITE, *_JOURNAL)}")


def without_secrets(url: str) -> str:
    """Scheme, host and path of a URL: what may be shown."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("?")[0].rpartition("@")[2].partition("/")
    return f"{scheme}://{host}{slash}{path}"


def _database(url: str) -> BaseStorage:
    optuna = require_optuna()
    try:
        found: BaseStorage = optuna.storages.RDBStorage(url)
    except Exception as error:  # noqa: BLE001 - whatever a driver raises may hold the password
        raise ModelError(
            f"storage {without_secrets(url)} does not open ({type(error).__name__}): check that its "
            "driver is installed, that it answers, and user and password"
        ) from None
    return found
