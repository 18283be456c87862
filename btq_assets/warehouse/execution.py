"""One execution of one `TableAsset`: compute, check, commit, or re-use.

Order of work: compare fingerprints → read inputs → compute → cast → refuse impossible rows →
answer every check on the frame in memory → commit all tables in one transaction, or raise.
Nothing is written before every blocking check has passed.

Belongs here: that order. Does not belong here: reading (`inputs`), judging (`judging`), storing
(`committing`), what Dagster is told (`telling`).
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from btq_assets.contracts.base import TableContract
from btq_assets.warehouse import metadata as md
from btq_assets.warehouse.committing import Books, Committed, Mark, PartsBeside
from btq_assets.warehouse.database import Warehouse
from btq_assets.warehouse.inputs import StepInputs, StoredBooks, read_inputs
from btq_assets.warehouse.judging import Judge, Judged
from btq_assets.warehouse.resources import ConfigResource, DeviceResource, WarehouseResource
from btq_assets.warehouse.step import Step, TableOutput
from btq_assets.warehouse.telling import Teller
from btq_assets.warehouse.versions import code_version, fingerprint

if TYPE_CHECKING:
    from btq_assets.warehouse.asset_factory import TableAsset


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Linear algebra of NumPy and SciPy on one thread.

    Sums over several threads differ in their last bit from sums over one: with as many as there are
    cores, the hash of the results would hang on the machine. Steps run beside each other anyway.
    """
    import scipy.linalg  # noqa: F401  its library counts only once it is loaded
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield


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
        self.now = datetime.now(UTC)
        self.code = code_version(asset.code)
        self.tell = Teller(asset, context, resource.paths().root, time.monotonic())

    def events(
        self,
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult | dg.AssetMaterialization]:
        """Work, and tell Dagster what happened."""
        with one_blas_thread():
            yield from self._events()

    def _events(
        self,
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult | dg.AssetMaterialization]:
        asset = self.asset
        keys = self._partition_keys()
        inputs = read_inputs(asset, self.warehouse)
        mark = self._mark(inputs)
        if self._unchanged(mark.fingerprint, inputs.books):
            yield from self.tell.reused(inputs.books)
            return
        judge = Judge(asset, self.warehouse, self.config, inputs, self.context.run_id, self.now)
        books = Books(self.warehouse, asset.outputs, mark)
        done: list[Committed] = []
        given_up: list[str] = []
        for key in keys:
            try:
                output = asset.compute(self._step(inputs.versions, key), **inputs.frames)
            except asset.spares as error:
                # One month of a provider that is down is no reason to lose the others.
                if len(keys) == 1:
                    raise
                given_up.append(f"{key}: {error}")
                self.tell.progress(f"{key} given up")
                continue
            if isinstance(output, TableOutput):
                yield from self._store(output, key, judge, books, done)
            elif asset.sliced:
                yield from self._replace_by_parts(output, key, judge, books, done)
            else:
                yield from self._append_parts(output, key, judge, books, done)
            if len(keys) > 1:
                yield from self.tell.partition_stored(key, done[-1])
                self.tell.headway(done, len(given_up), len(keys))
        if given_up:
            raise dg.Failure(
                f"{len(given_up)} of {len(keys)} partitions of {asset.name} failed, the other "
                f"{len(done)} are stored. Run the failed ones again: " + "; ".join(given_up)
            )
        yield from self.tell.stored(done, len(keys))

    def _store(
        self,
        part: TableOutput,
        key: str | None,
        judge: Judge,
        books: Books,
        done: list[Committed],
        *,
        closed: bool = True,
        beside: PartsBeside | None = None,
    ) -> Iterator[dg.AssetCheckResult]:
        """Judge an output, or a part of one, and store it, or say why not."""
        judged = judge.judge(part)
        if judged.failed:
            books.keep_refused(judged)
            yield from self.tell.refused(judged)
            raise self._failure(judged, key)
        done.append(beside.commit(judged) if beside else books.commit(judged, closed=closed))

    def _append_parts(
        self,
        parts: Iterator[TableOutput],
        key: str | None,
        judge: Judge,
        books: Books,
        done: list[Committed],
    ) -> Iterator[dg.AssetCheckResult]:
        """Store each part before the next is made; the books are closed after the last one.

        A step broken off must not pass for unchanged.
        """
        closed = False
        for part in parts:
            closed = part.last
            yield from self._store(part, key, judge, books, done, closed=closed)
            if not closed:
                # Suites leave frames in cycles, which nobody would look for in a long while.
                gc.collect()
        if not closed:
            books.close()

    def _replace_by_parts(
        self,
        parts: Iterator[TableOutput],
        key: str | None,
        judge: Judge,
        books: Books,
        done: list[Committed],
    ) -> Iterator[dg.AssetCheckResult]:
        """Write each part beside the tables, which are swapped once the last one has passed."""
        beside = books.begin_replacing()
        for part in parts:
            yield from self._store(part, key, judge, books, done, beside=beside)
            gc.collect()
        beside.take_place()

    def _failure(self, judged: Judged, key: str | None) -> dg.Failure:
        return dg.Failure(
            f"{self.asset.name} is not committed{f' for {key}' if key else ''}: "
            + "; ".join(
                f"{contract.table}.{spec.name}: {outcome.message or 'failed'}"
                for contract, spec, outcome in judged.failed
            ),
            allow_retries=False,
        )

    def _partition_keys(self) -> list[str | None]:
        """Partitions to compute; one nameless one of an asset that has none.

        Raises
        ------
        dagster.Failure
            The asset is fetched by partitions and nobody said which.
        """
        asset, context = self.asset, self.context
        if asset.partitions is None:
            return [None]
        if not context.has_partition_key and not context.has_partition_key_range:
            raise dg.Failure(
                f"{asset.name} is fetched by {asset.partitions}: run it with a partition key or range, "
                "for example from the asset page, or with the job's schedule"
            )
        return list(context.partition_keys)

    def _mark(self, inputs: StepInputs) -> Mark:
        """What the books will say this execution was computed from."""
        asset = self.asset
        config_hash = self.config.fingerprint(asset.config)
        mark = fingerprint(
            inputs={**inputs.versions, **inputs.ledgers},
            code=self.code,
            config=config_hash,
            source=asset.source_version(self.config) if asset.source_version else "",
            contracts=asset.outputs,
        )
        return Mark(mark, self.code, config_hash, inputs.versions, self.context.run_id, self.now)

    def _unchanged(self, mark: str, books: StoredBooks) -> bool:
        reuse = self.asset.reuse
        if self.config.warehouse.force_recompute or self.asset.partitions or not reuse:
            return False
        if callable(reuse) and not reuse(self.resource.paths()):
            return False
        return all(
            books.get(contract.table, {}).get("fingerprint") == mark
            for contract in self.asset.outputs
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
