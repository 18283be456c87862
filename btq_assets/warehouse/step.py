"""What a step is handed, and what it hands back. Neither knows Dagster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckOutcome
from btq_assets.warehouse.artifacts import ArtifactStore


class ReadLedger(Protocol):
    """Reads a table, the part of it between two times, or the part that other rows are about."""

    def __call__(
        self,
        contract: TableContract,
        since: datetime | date | None = None,
        until: datetime | date | None = None,
        *,
        beside: pl.DataFrame | None = None,
    ) -> pl.DataFrame:
        """Rows of the table; none when it does not exist yet."""
        ...


@dataclass(frozen=True)
class Step:
    """Everything a step may know beside its input frames.

    Parameters
    ----------
    config
        Configuration of the run.
    run_id
        Dagster run.
    now
        The run's clock, UTC: the only clock a step has.
    log
        Prints a line of progress.
    code_version
        Hash of the code that is running.
    data_versions
        Version of each input, by parameter name.
    read_ledger
        Reads any table by contract; empty when it does not exist yet. ``since`` and ``until`` read
        the part between two values of its time column, ``beside`` the vintages of what other rows
        are about: what those are compared with.
    artifacts
        Store of weights and reports.
    device
        ``cpu``, ``cuda`` or ``mps``.
    partition_key
        Partition of the run, for partitioned sources.
    """

    config: TradingConfig
    run_id: str
    now: datetime
    log: Callable[[str], None]
    code_version: str
    data_versions: Mapping[str, str]
    read_ledger: ReadLedger
    artifacts: ArtifactStore
    device: str = "cpu"
    partition_key: str | None = None


@dataclass(frozen=True)
class TableOutput:
    """What a step computed.

    Parameters
    ----------
    frames
        The rows; a mapping from ``contract.table`` when the step writes several tables.
    rejected
        Rows refused while parsing: ``reason``, ``row_json`` and optionally ``table_name``.
    metadata
        Numbers and short texts a person would want to see.
    plots
        PNG images by title.
    ledgers
        Rows for ledgers, committed in the same transaction.
    answers
        Outcomes of the checks declared by `contracts.checks.in_step_check`.
    made_from
        Of a step that reads its inputs in slices: the slice of each that this part was made from,
        which checks see in place of the input.
    last
        Of a step that hands over parts: nothing follows. Its books are closed in the transaction
        that stores the part, instead of in one of their own.
    """

    frames: pl.DataFrame | Mapping[str, pl.DataFrame]
    rejected: pl.DataFrame | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    plots: Mapping[str, bytes] = field(default_factory=dict)
    ledgers: Mapping[TableContract, pl.DataFrame] = field(default_factory=dict)
    answers: Sequence[CheckOutcome] = ()
    made_from: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    last: bool = False
