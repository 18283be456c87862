"""What was judged, on its way into the tables and the books.

Belongs here: the transaction that stores the tables of a step, its ledgers, what it refused and the
row of the books; and the same for a step that hands over parts. Does not belong here: SQL of a single
table (`writing`), checks (`judging`), Dagster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from btq_assets.contracts import house, quarantine
from btq_assets.contracts.base import (
    ContractError,
    TableContract,
    cast_to_contract,
    violations,
)
from btq_assets.warehouse.database import Warehouse
from btq_assets.warehouse.judging import Judged
from btq_assets.warehouse.outcomes import Answer, worst
from btq_assets.warehouse.reading import stored_extent, table_exists
from btq_assets.warehouse.slices import Replacement
from btq_assets.warehouse.step import TableOutput
from btq_assets.warehouse.versions import added_version, frame_version, is_additive, to_json
from btq_assets.warehouse.writing import append_new, commit_frames, upsert

if TYPE_CHECKING:
    import duckdb

#: Fingerprint in the books while a step that hands over parts has not handed over the last.
UNFINISHED = "unfinished"


def _whole_or_none(frame: pl.DataFrame, contract: TableContract) -> pl.DataFrame:
    """Rows for a ledger, or none: half of what a step recorded is worse than its failure.

    Raises
    ------
    ContractError
        A row is impossible; nothing of the step is stored.
    """
    distinct = frame.unique(contract.key, maintain_order=True)
    impossible = violations(distinct, contract)
    if impossible.height:
        row = impossible.row(0, named=True)
        key = {name: row[name] for name in contract.key}
        raise ContractError(
            f"{impossible.height} row(s) for the ledger {contract.table} are impossible, first {key}: "
            f"{row['reason']}; nothing of this step is stored"
        )
    return frame


@dataclass(frozen=True)
class Committed:
    """What one computation stored, without the rows themselves."""

    output: TableOutput
    n_refused: Mapping[TableContract, int]
    answers: tuple[Answer, ...]
    counts: Mapping[str, Mapping[str, object]]
    data_versions: Mapping[str, str]

    @property
    def n_rows(self) -> int:
        """Rows in all tables of the step."""
        return sum(int(str(facts["n_rows"])) for facts in self.counts.values())

    @property
    def n_added(self) -> int:
        """Rows added to tables that only grow."""
        return sum(int(str(facts.get("rows_added", 0))) for facts in self.counts.values())


@dataclass(frozen=True)
class Mark:
    """What the books say a table was computed from.

    Parameters
    ----------
    fingerprint
        Hash of everything below, and of libraries and contracts (`versions.fingerprint`).
    code, config, inputs
        Version of the code, hash of the configuration, version of each input.
    run_id, now
        The run, and its clock.
    """

    fingerprint: str
    code: str
    config: str
    inputs: Mapping[str, str]
    run_id: str
    now: datetime


@dataclass(frozen=True)
class Books:
    """Stores what one execution hands over, and keeps the books about it.

    Parameters
    ----------
    warehouse, outputs
        The database, and the tables of the step.
    mark
        What the books will say of them.
    """

    warehouse: Warehouse
    outputs: tuple[TableContract, ...]
    mark: Mark

    def keep_refused(self, judged: Judged) -> None:
        """Store what was refused of an output that is not stored itself."""
        if judged.refused.height:
            with self.warehouse.transaction() as connection:
                append_new(connection, quarantine.ROWS, judged.refused)

    def commit(self, judged: Judged, *, closed: bool) -> Committed:
        """Store an output or a part of one, in one transaction with ledgers, refused rows and books.

        Parameters
        ----------
        judged
            What is stored.
        closed
            Nothing follows. Until then the books say `UNFINISHED`, so that a step that breaks off
            does not pass for unchanged.
        """
        output = judged.output
        ledgers = {
            # before the transaction, so that a bad row stops the tables too
            contract: _whole_or_none(cast_to_contract(frame, contract), contract)
            for contract, frame in output.ledgers.items()
        }
        # Whole-table outputs are hashed before the lock is taken: nobody waits for it.
        whole = {
            contract.table: frame_version(frame, contract)
            for contract, frame in judged.kept.items()
            if not contract.append_only and contract.slice_by is None
        }
        with self.warehouse.transaction() as connection:
            done = commit_frames(connection, judged.kept, distinct=True)
            for contract, frame in ledgers.items():
                append_new(connection, contract, frame)
            append_new(connection, quarantine.ROWS, judged.refused)
            data_versions = {
                contract.table: whole.get(contract.table)
                or _grown_version(connection, contract, done[contract.table])
                for contract in self.outputs
            }
            mark = self.mark.fingerprint if closed else UNFINISHED
            rows = self.rows(mark, data_versions, done, judged.answers)
            upsert(connection, house.PROVENANCE, rows)
        counts = {
            table: {name: value for name, value in facts.items() if name != "added"}
            for table, facts in done.items()
        }
        told = replace(output, frames={}, rejected=None, ledgers={})
        return Committed(told, judged.n_refused, judged.answers, counts, data_versions)

    def close(self) -> None:
        """Say that all parts are stored, so that nothing need be done until something changes."""
        with self.warehouse.transaction() as connection:
            for contract in self.outputs:
                connection.execute(
                    f"UPDATE {house.PROVENANCE.table} SET fingerprint = ? WHERE table_name = ?",
                    [self.mark.fingerprint, contract.table],
                )

    def begin_replacing(self) -> PartsBeside:
        """Start writing all tables beside those they will replace."""
        beside = {contract: Replacement(contract) for contract in self.outputs}
        with self.warehouse.transaction() as connection:
            for replacement in beside.values():
                replacement.begin(connection)
        return PartsBeside(self, beside)

    def rows(
        self,
        mark: str,
        data_versions: Mapping[str, str],
        counts: Mapping[str, Mapping[str, object]],
        answers: Sequence[Answer],
    ) -> pl.DataFrame:
        """What the books say of every table of the step."""
        rows = [
            {
                "table_name": contract.table,
                "fingerprint": mark,
                "data_version": data_versions[contract.table],
                "code_version": self.mark.code,
                "config_hash": self.mark.config,
                "inputs_json": to_json(dict(self.mark.inputs)),
                "checks_json": to_json(
                    {
                        spec.name: {"passed": outcome.passed, "message": outcome.message}
                        for owner, spec, outcome in answers
                        if owner is contract
                    }
                ),
                "run_id": self.mark.run_id,
                "n_rows": int(str(counts[contract.table]["n_rows"])),
                "committed_at": self.mark.now,
            }
            for contract in self.outputs
        ]
        return pl.DataFrame(rows, schema=house.PROVENANCE.schema)


@dataclass(frozen=True)
class PartsBeside:
    """Parts written beside the tables they will replace together, once the last one has passed."""

    books: Books
    beside: Mapping[TableContract, Replacement]
    done: list[Committed] = field(default_factory=list)

    def commit(self, judged: Judged) -> Committed:
        """Write a part beside the tables it belongs to."""
        with self.books.warehouse.transaction() as connection:
            for contract, frame in judged.kept.items():
                self.beside[contract].add(connection, frame)
            append_new(connection, quarantine.ROWS, judged.refused)
        committed = Committed(
            replace(judged.output, frames={}, rejected=None, made_from={}),
            judged.n_refused,
            judged.answers,
            {contract.table: {"n_rows": one.n_rows} for contract, one in self.beside.items()},
            {contract.table: one.version for contract, one in self.beside.items()},
        )
        self.done.append(committed)
        return committed

    def take_place(self) -> None:
        """Swap all tables for what was written beside them, in one transaction with the books."""
        answers = worst(answer for committed in self.done for answer in committed.answers)
        last = self.done[-1]
        with self.books.warehouse.transaction() as connection:
            for replacement in self.beside.values():
                replacement.take_place(connection)
            rows = self.books.rows(
                self.books.mark.fingerprint, last.data_versions, last.counts, answers
            )
            upsert(connection, house.PROVENANCE, rows)


def summed(parts: Sequence[Committed]) -> Committed:
    """The parts of one step as one: what they added and refused in all, the rest from the last."""
    last = parts[-1]
    if len(parts) == 1:
        return last
    counts = {
        table: {
            name: sum(int(str(part.counts[table][name])) for part in parts)
            if name == "rows_added"
            else value
            for name, value in facts.items()
        }
        for table, facts in last.counts.items()
    }
    n_refused = {c: sum(part.n_refused[c] for part in parts) for c in last.n_refused}
    return replace(last, counts=counts, n_refused=n_refused)


def _grown_version(
    connection: duckdb.DuckDBPyConnection, contract: TableContract, done: Mapping[str, object]
) -> str:
    """Version of a table that was written in part: from its books where they fit, else read anew.

    A session added to ten years is hashed alone. The books do not fit where somebody wrote beside
    us: then the number of rows they state is wrong.
    """
    added = done.get("added")
    if contract.append_only and isinstance(added, pl.DataFrame):
        row = None
        if table_exists(connection, house.PROVENANCE):
            row = connection.execute(
                f"SELECT data_version, n_rows FROM {house.PROVENANCE.table} WHERE table_name = ?",
                [contract.table],
            ).fetchone()
        before = int(str(done["n_rows"])) - added.height
        if before == 0:
            return frame_version(added, contract)
        if row is not None and row[1] == before and is_additive(row[0]):
            return added_version(row[0], added, contract)
    return stored_extent(connection, contract)[1]
