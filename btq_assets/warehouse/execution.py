"""One execution of one `TableAsset`: compute, check, commit, or re-use.

Order of work: compare fingerprints → read inputs → compute → cast → refuse impossible rows →
answer every check on the frame in memory → commit all tables in one transaction, or raise.
Nothing is written before every blocking check has passed.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from btq_assets.contracts import house, quarantine
from btq_assets.contracts.base import TableContract, cast_to_contract
from btq_assets.contracts.checks import CheckContext, CheckOutcome, CheckSpec
from btq_assets.warehouse import metadata as md
from btq_assets.warehouse.database import (
    Warehouse,
    append_new,
    commit_frames,
    read_table,
    table_exists,
    upsert,
)
from btq_assets.warehouse.headway import how_far
from btq_assets.warehouse.outcomes import (
    CONTRACT_CHECK,
    check_result,
    contract_outcome,
    worst,
)
from btq_assets.warehouse.quarantine import quarantine_rows, split_violations
from btq_assets.warehouse.resources import ConfigResource, DeviceResource, WarehouseResource
from btq_assets.warehouse.slices import Replacement, StoredTable
from btq_assets.warehouse.step import Step, TableOutput
from btq_assets.warehouse.versions import (
    added_version,
    code_version,
    fingerprint,
    frame_version,
    is_additive,
    to_json,
)

if TYPE_CHECKING:
    from btq_assets.warehouse.asset_factory import TableAsset

#: Fingerprint in the books while a step that hands over parts has not handed over the last.
UNFINISHED = "unfinished"


@dataclass(frozen=True)
class Committed:
    """What one computation stored, without the rows themselves."""

    output: TableOutput
    n_refused: Mapping[TableContract, int]
    outcomes: tuple[tuple[TableContract, CheckSpec, CheckOutcome], ...]
    counts: Mapping[str, Mapping[str, object]]
    data_versions: Mapping[str, str]


class Execution:
    """One execution of one `TableAsset`."""

    def __init__(
        self,
        asset: TableAsset,
        context: dg.AssetExecutionContext,
        trading: ConfigResource,
        resource: WarehouseResource,
        device: DeviceResource,
    ) -> None:
        self.asset = asset
        self.context = context
        self.config = trading.config()
        self.resource = resource
        self.warehouse: Warehouse = resource.warehouse()
        self.device = device
        self.started = time.monotonic()
        self.now = datetime.now(UTC)
        self.code = code_version(asset.code)

    def events(
        self,
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult | dg.AssetMaterialization]:
        """Work, and tell Dagster what happened."""
        asset = self.asset
        if asset.partitions and not self.context.has_partition_key and not self._has_range():
            raise dg.Failure(
                f"{asset.name} is fetched by {asset.partitions}: run it with a partition key or range, "
                "for example from the asset page, or with the job's schedule"
            )
        frames, versions, ledgers, stored = self._read()
        config_hash = self.config.fingerprint(asset.config)
        source = asset.source_version(self.config) if asset.source_version else ""
        mark = fingerprint(
            inputs={**versions, **ledgers},
            code=self.code,
            config=config_hash,
            source=source,
            contracts=asset.outputs,
        )
        if self._unchanged(mark, stored):
            yield from self._reused(stored)
            return
        done: list[Committed] = []
        given_up: list[str] = []
        keys = self._partition_keys()
        for key in keys:
            try:
                output = asset.compute(self._step(versions, key), **frames)
            except asset.spares as error:
                # One month of a provider that is down is no reason to lose the others.
                if len(keys) == 1:
                    raise
                given_up.append(f"{key}: {error}")
                self._progress(f"{key} given up")
                continue
            # A step may hand over its rows in parts, each committed before the next is made. Books
            # are closed after the last one: a step broken off must not pass for unchanged.
            whole = isinstance(output, TableOutput)
            closed = whole
            beside = self._begin_replacing(output)
            for part in (output,) if isinstance(output, TableOutput) else output:
                closed = whole or part.last
                produced, rejected = self._conform(part)
                outcomes = [
                    (contract, spec, self._standing(contract, outcome, produced[contract], stored))
                    for contract, spec, outcome in self._answers(part, produced, frames, rejected)
                ]
                refused = self._quarantine_frame(part, rejected)
                failed = [
                    (contract, spec, outcome)
                    for contract, spec, outcome in outcomes
                    if not outcome.passed and spec.blocking
                ]
                if failed:
                    self._keep_refused(refused)
                    for contract, spec, outcome in outcomes:
                        yield check_result(contract, spec, outcome)
                    raise dg.Failure(
                        f"{asset.name} is not committed{f' for {key}' if key else ''}: "
                        + "; ".join(
                            f"{contract.table}.{spec.name}: {outcome.message or 'failed'}"
                            for contract, spec, outcome in failed
                        ),
                        allow_retries=False,
                    )
                committed = (
                    self._set_aside(part, produced, rejected, refused, outcomes, beside)
                    if beside
                    else self._commit(
                        part,
                        produced,
                        rejected,
                        refused,
                        outcomes,
                        mark if closed else UNFINISHED,
                        versions,
                        config_hash,
                    )
                )
                done.append(committed)
                if not closed:
                    # Suites leave frames in cycles, which nobody would look for in a long while.
                    gc.collect()
            if beside:
                self._take_place(beside, done, mark, versions, config_hash)
            elif not closed:
                self._close_books(mark)
            if len(keys) > 1:
                yield from self._said_committed(key, committed)
                self._tell_headway(len(done), len(given_up), len(keys), _summed(done))
        if given_up:
            raise dg.Failure(
                f"{len(given_up)} of {len(keys)} partitions of {asset.name} failed, the other "
                f"{len(done)} are stored. Run the failed ones again: " + "; ".join(given_up)
            )
        for contract, spec, outcome in worst(
            answer for committed in done for answer in committed.outcomes
        ):
            yield check_result(contract, spec, outcome)
        rows = sum(int(str(d["n_rows"])) for d in done[-1].counts.values())
        self._progress(f"{rows:>9,} rows")
        for contract in asset.outputs:
            yield dg.MaterializeResult(
                asset_key=list(contract.asset_key),
                metadata=self._metadata(contract, _summed(done) if len(keys) == 1 else done[-1]),
                data_version=dg.DataVersion(done[-1].data_versions[contract.table]),
            )

    def _metadata(self, contract: TableContract, committed: Committed) -> dict[str, Any]:
        output, counts = committed.output, committed.counts[contract.table]
        first = contract is self.asset.outputs[0]
        return {
            **md.convert(output.metadata if first else {}, self.resource.paths().root),
            **(md.images(output.plots) if first else {}),
            "dagster/row_count": int(str(counts["n_rows"])),
            **{k: md.value(v) for k, v in counts.items() if k != "n_rows"},
            "rows_refused": committed.n_refused[contract],
            "seconds": round(time.monotonic() - self.started, 2),
            "reused": False,
        }

    def _said_committed(
        self, key: str | None, committed: Committed
    ) -> Iterator[dg.AssetMaterialization]:
        """Tell Dagster at once, so that a range broken off goes on where it ended.

        Yielded, not logged through the context: what is logged waits for the next event, and is
        lost when the step fails.
        """
        for contract in self.asset.outputs:
            yield dg.AssetMaterialization(
                asset_key=list(contract.asset_key),
                partition=key,
                metadata=self._metadata(contract, committed),
            )

    def _tell_headway(self, n_done: int, n_given_up: int, n_all: int, so_far: Committed) -> None:
        """Partitions of a range that are stored, and how long the others will take."""
        rows = sum(int(str(facts.get("rows_added", 0))) for facts in so_far.counts.values())
        told = how_far(
            (n_done + n_given_up) / n_all, rows, time.monotonic() - self.started, "new rows"
        )
        self._progress(f"{n_done} of {n_all} {self.asset.partitions}s stored, {told};")

    def _close_books(self, mark: str) -> None:
        """Say that all parts are stored, so that nothing need be done until something changes."""
        with self.warehouse.transaction() as connection:
            for contract in self.asset.outputs:
                connection.execute(
                    f"UPDATE {house.PROVENANCE.table} SET fingerprint = ? WHERE table_name = ?",
                    [mark, contract.table],
                )

    def _begin_replacing(
        self, output: TableOutput | Iterator[TableOutput]
    ) -> dict[TableContract, Replacement]:
        """Tables to be written beside those they will replace; none where rows are added."""
        if isinstance(output, TableOutput) or not self.asset.sliced:
            return {}
        found = {contract: Replacement(contract) for contract in self.asset.outputs}
        with self.warehouse.transaction() as connection:
            for replacement in found.values():
                replacement.begin(connection)
        return found

    def _set_aside(
        self,
        output: TableOutput,
        produced: Mapping[TableContract, pl.DataFrame],
        rejected: Mapping[TableContract, pl.DataFrame],
        refused: pl.DataFrame,
        outcomes: Sequence[tuple[TableContract, CheckSpec, CheckOutcome]],
        beside: Mapping[TableContract, Replacement],
    ) -> Committed:
        """Write a part beside the tables it belongs to."""
        with self.warehouse.transaction() as connection:
            for contract, frame in produced.items():
                beside[contract].add(connection, frame)
            append_new(connection, quarantine.ROWS, refused)
        return Committed(
            replace(output, frames={}, rejected=None, made_from={}),
            {contract: frame.height for contract, frame in rejected.items()},
            tuple(outcomes),
            {contract.table: {"n_rows": one.n_rows} for contract, one in beside.items()},
            {contract.table: one.version for contract, one in beside.items()},
        )

    def _take_place(
        self,
        beside: Mapping[TableContract, Replacement],
        done: Sequence[Committed],
        mark: str,
        inputs: Mapping[str, str],
        config_hash: str,
    ) -> None:
        """Swap all tables for what was written beside them, in one transaction."""
        outcomes = list(worst(answer for committed in done for answer in committed.outcomes))
        last = done[-1]
        with self.warehouse.transaction() as connection:
            for replacement in beside.values():
                replacement.take_place(connection)
            rows = self._book_rows(
                last.data_versions, last.counts, outcomes, mark, inputs, config_hash
            )
            upsert(connection, house.PROVENANCE, rows)

    def _partition_keys(self) -> list[str | None]:
        if self.asset.partitions is None:
            return [None]
        return list(self.context.partition_keys)

    def _has_range(self) -> bool:
        return self.context.has_partition_key_range

    def _read(
        self,
    ) -> tuple[dict[str, Any], dict[str, str], dict[str, str], dict[str, dict[str, Any]]]:
        """Inputs, their versions, those of the ledgers read, and the books of all of them."""
        inputs = self.asset.inputs
        names = [contract.table for contract in (*inputs.values(), *self.asset.outputs)]
        stored: dict[str, dict[str, Any]] = {}
        frames: dict[str, Any] = {}
        ledgers: dict[str, str] = {}
        if inputs or self.warehouse.paths.working_file.exists():
            with self.warehouse.reader() as connection:
                if table_exists(connection, house.PROVENANCE):
                    books = read_table(connection, house.PROVENANCE)
                    stored = {
                        row["table_name"]: row
                        for row in books.filter(pl.col("table_name").is_in(names)).iter_rows(
                            named=True
                        )
                    }
                frames = {
                    name: StoredTable(self.warehouse, contract)
                    if self.asset.sliced
                    and (self.asset.absent_as_empty or table_exists(connection, contract))
                    else contract.empty()
                    if self.asset.absent_as_empty and not table_exists(connection, contract)
                    else read_table(connection, contract)
                    for name, contract in inputs.items()
                }
                ledgers = {
                    contract.table: frame_version(read_table(connection, contract), contract)
                    for contract in self.asset.ledgers
                    if table_exists(connection, contract)
                }
        versions = {
            name: stored[contract.table]["data_version"]
            if contract.table in stored
            else _version_of(frames[name], contract)
            for name, contract in inputs.items()
        }
        return frames, versions, ledgers, stored

    def _unchanged(self, mark: str, stored: Mapping[str, Mapping[str, Any]]) -> bool:
        reuse = self.asset.reuse
        if self.config.warehouse.force_recompute or self.asset.partitions or not reuse:
            return False
        if callable(reuse) and not reuse(self.resource.paths()):
            return False
        return all(
            stored.get(contract.table, {}).get("fingerprint") == mark
            for contract in self.asset.outputs
        )

    def _reused(
        self, stored: Mapping[str, Mapping[str, Any]]
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
        for contract, spec in self.asset.check_specs:
            answers = json.loads(stored[contract.table]["checks_json"])
            known = answers.get(spec.name, {"passed": True, "message": ""})
            outcome = CheckOutcome(spec.name, known["passed"], known["message"], {"reused": True})
            yield check_result(contract, spec, outcome)
        self._progress("unchanged, re-used")
        for contract in self.asset.outputs:
            row = stored[contract.table]
            key = dg.AssetKey(list(contract.asset_key))
            latest = self.context.instance.get_latest_materialization_event(key)
            yield dg.MaterializeResult(
                asset_key=key,
                metadata={
                    **md.carried(latest, row["data_version"]),
                    "dagster/row_count": row["n_rows"],
                    "reused": True,
                    "computed_by_run": dg.MetadataValue.dagster_run(row["run_id"]),
                    "computed_at": row["committed_at"].isoformat(),
                },
                data_version=dg.DataVersion(row["data_version"]),
            )

    def _step(self, versions: Mapping[str, str], partition_key: str | None) -> Step:
        def read_ledger(
            contract: TableContract,
            since: datetime | date | None = None,
            until: datetime | date | None = None,
            *,
            beside: pl.DataFrame | None = None,
        ) -> pl.DataFrame:
            return self.warehouse.read_or_empty(contract, since, until, beside=beside)

        return Step(
            config=self.config,
            run_id=self.context.run_id,
            now=self.now,
            log=lambda message: md.progress(f"    {message}"),
            code_version=self.code,
            data_versions=versions,
            read_ledger=read_ledger,
            artifacts=self.resource.artifacts(),
            device=self.device.resolve() if self.asset.needs_device else "cpu",
            partition_key=partition_key,
        )

    def _conform(
        self, output: TableOutput
    ) -> tuple[dict[TableContract, pl.DataFrame], dict[TableContract, pl.DataFrame]]:
        frames = output.frames
        if isinstance(frames, pl.DataFrame):
            frames = {self.asset.outputs[0].table: frames}
        missing = [
            contract.table for contract in self.asset.outputs if contract.table not in frames
        ]
        if missing or len(frames) != len(self.asset.outputs):
            raise dg.Failure(
                f"{self.asset.name} must return {[c.table for c in self.asset.outputs]}, "
                f"it returned {sorted(frames)}"
            )
        kept, rejected = {}, {}
        for contract in self.asset.outputs:
            cast = cast_to_contract(frames[contract.table], contract)
            kept[contract], rejected[contract] = split_violations(cast, contract)
        return kept, rejected

    def _answers(
        self,
        output: TableOutput,
        produced: Mapping[TableContract, pl.DataFrame],
        inputs: Mapping[str, pl.DataFrame],
        rejected: Mapping[TableContract, pl.DataFrame],
    ) -> list[tuple[TableContract, CheckSpec, CheckOutcome]]:
        by_name: dict[tuple[str, str], CheckOutcome] = {}
        first = self.asset.outputs[0].table
        for contract in self.asset.outputs:
            by_name[contract.table, CONTRACT_CHECK] = contract_outcome(
                contract, produced[contract], rejected[contract]
            )
        context = CheckContext(
            frames={contract.table: frame for contract, frame in produced.items()},
            inputs={**inputs, **output.made_from},
            config=self.config,
            answers={outcome.name: outcome for outcome in output.answers},
            stored=self._stored_rows,
        )
        for group in self.asset.checks:
            for outcome in group.answer(context):
                by_name[first, outcome.name] = outcome
        return [
            (contract, spec, by_name[contract.table, spec.name])
            for contract, spec in self.asset.check_specs
        ]

    def _stored_rows(self, table: str, spans: pl.DataFrame, order: str) -> pl.DataFrame:
        """What a check may see of a table that only grows, beside the rows about to be added."""
        contract = next(contract for contract in self.asset.outputs if contract.table == table)
        if not contract.append_only:
            return contract.empty()
        return self.warehouse.read_spans(contract, spans, order)

    def _standing(
        self,
        contract: TableContract,
        outcome: CheckOutcome,
        fresh: pl.DataFrame,
        stored: Mapping[str, Mapping[str, Any]],
    ) -> CheckOutcome:
        """The answer about what is stored, where nothing was appended that could be judged.

        Every check holds of no rows: without this, a recomputation that finds nothing new would
        clear the warnings about the rows that are there.
        """
        row = stored.get(contract.table)
        if not contract.append_only or fresh.height or row is None:
            return outcome
        known = json.loads(row["checks_json"]).get(outcome.name)
        if known is None or outcome.name == CONTRACT_CHECK or not outcome.passed:
            return outcome
        return CheckOutcome(outcome.name, known["passed"], known["message"], {"rows_judged": 0})

    def _quarantine_frame(
        self, output: TableOutput, rejected: Mapping[TableContract, pl.DataFrame]
    ) -> pl.DataFrame:
        parts = [
            quarantine_rows(frame, contract.table, self.context.run_id, self.now)
            for contract, frame in rejected.items()
        ]
        if output.rejected is not None:
            parts.append(
                quarantine_rows(
                    output.rejected, self.asset.outputs[0].table, self.context.run_id, self.now
                )
            )
        return pl.concat(parts)

    def _keep_refused(self, refused: pl.DataFrame) -> None:
        if refused.height:
            with self.warehouse.transaction() as connection:
                append_new(connection, quarantine.ROWS, refused)

    def _commit(
        self,
        output: TableOutput,
        produced: Mapping[TableContract, pl.DataFrame],
        rejected: Mapping[TableContract, pl.DataFrame],
        refused: pl.DataFrame,
        outcomes: Sequence[tuple[TableContract, CheckSpec, CheckOutcome]],
        mark: str,
        inputs: Mapping[str, str],
        config_hash: str,
    ) -> Committed:
        ledgers = {
            contract: cast_to_contract(frame, contract)
            for contract, frame in output.ledgers.items()
        }
        # Whole-table outputs are hashed before the lock is taken: nobody waits for it.
        whole = {
            contract.table: frame_version(frame, contract)
            for contract, frame in produced.items()
            if not contract.append_only and contract.slice_by is None
        }
        with self.warehouse.transaction() as connection:
            done = commit_frames(connection, produced, distinct=True)
            for contract, frame in ledgers.items():
                append_new(connection, contract, frame)
            append_new(connection, quarantine.ROWS, refused)
            data_versions = {
                contract.table: whole.get(contract.table)
                or _grown_version(connection, contract, done[contract.table])
                for contract in self.asset.outputs
            }
            rows = self._book_rows(data_versions, done, outcomes, mark, inputs, config_hash)
            upsert(connection, house.PROVENANCE, rows)
        counts = {
            table: {name: value for name, value in facts.items() if name != "added"}
            for table, facts in done.items()
        }
        n_refused = {contract: frame.height for contract, frame in rejected.items()}
        told = replace(output, frames={}, rejected=None, ledgers={})
        return Committed(told, n_refused, tuple(outcomes), counts, data_versions)

    def _book_rows(
        self,
        data_versions: Mapping[str, str],
        counts: Mapping[str, Mapping[str, object]],
        outcomes: Sequence[tuple[TableContract, CheckSpec, CheckOutcome]],
        mark: str,
        inputs: Mapping[str, str],
        config_hash: str,
    ) -> pl.DataFrame:
        """What the books say of every table of the step."""
        rows = [
            {
                "table_name": contract.table,
                "fingerprint": mark,
                "data_version": data_versions[contract.table],
                "code_version": self.code,
                "config_hash": config_hash,
                "inputs_json": to_json(dict(inputs)),
                "checks_json": to_json(
                    {
                        spec.name: {"passed": outcome.passed, "message": outcome.message}
                        for owner, spec, outcome in outcomes
                        if owner is contract
                    }
                ),
                "run_id": self.context.run_id,
                "n_rows": int(str(counts[contract.table]["n_rows"])),
                "committed_at": self.now,
            }
            for contract in self.asset.outputs
        ]
        return pl.DataFrame(rows, schema=house.PROVENANCE.schema)

    def _progress(self, text: str) -> None:
        table = " + ".join(contract.table for contract in self.asset.outputs)
        md.progress(f"{table:<58.58} {text}  {time.monotonic() - self.started:6.1f} s")


def _version_of(table: pl.DataFrame | StoredTable, contract: TableContract) -> str:
    if isinstance(table, pl.DataFrame):
        return frame_version(table, contract)
    version = frame_version(contract.empty(), contract)
    for rows in table.slices([name for name in contract.key if contract.schema[name] == pl.String]):
        version = added_version(version, rows, contract)
    return version


def _grown_version(connection: Any, contract: TableContract, done: Mapping[str, object]) -> str:
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
    return frame_version(read_table(connection, contract), contract)


def _summed(parts: Sequence[Committed]) -> Committed:
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
