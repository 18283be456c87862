"""One execution of one dbt layer: build under the writers' lock, or re-use what is there.

Belongs here: calling dbt, what it says on its way to Dagster, and the books about what it wrote. Does
not belong here: how a layer appears in the graph (`dbt_layer`).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
from dagster_dbt import DbtCliResource
from dagster_dbt.errors import DagsterDbtCliRuntimeError

from btq_assets.config import TradingConfig
from btq_assets.contracts import house
from btq_assets.contracts.base import TableContract
from btq_assets.warehouse.database import Warehouse
from btq_assets.warehouse.dbt_project import dbt_folder
from btq_assets.warehouse.metadata import progress, table_schema
from btq_assets.warehouse.reading import (
    count_rows,
    is_view,
    read_table,
    stored_extent,
    table_exists,
)
from btq_assets.warehouse.versions import (
    code_version,
    digest,
    fingerprint,
    folder_files,
    to_json,
)
from btq_assets.warehouse.writing import ensure_table, upsert

if TYPE_CHECKING:
    import duckdb

    from btq_assets.warehouse.dbt_layer import DbtLayer

DBT_FILE_VARIABLE = "BTQ_WAREHOUSE_FILE"

#: Modules whose source a built layer depends on.
_CODE = ("btq_assets.warehouse.dbt_execution", "btq_assets.warehouse.dbt_layer")


def dbt_variables(config: TradingConfig) -> dict[str, Any]:
    """Settings of the configuration that models and tests read."""
    return {
        "main_universe": config.universe.main,
        "benchmark": config.universe.benchmark,
        "max_position_size": config.trading.max_position_size,
        "max_gross_exposure": config.portfolio.max_gross_exposure,
        "tick_bar": config.features.tick_bar,
        "custom_modules": bool(config.features.custom_modules),
    }


class DbtExecution:
    """One execution of one `DbtLayer`."""

    def __init__(
        self,
        layer: DbtLayer,
        context: dg.AssetExecutionContext,
        dbt: DbtCliResource,
        config: TradingConfig,
        warehouse: Warehouse,
    ) -> None:
        self.layer = layer
        self.context = context
        self.dbt = dbt
        self.config = config
        self.warehouse = warehouse
        self.started = time.monotonic()

    def events(self) -> Iterator[Any]:
        """Build, or say that nothing changed."""
        variables = dbt_variables(self.config)
        code = digest(
            code_version(_CODE),
            *(file.read_text() for file in sorted(folder_files(dbt_folder()))),
        )
        config_hash = digest(to_json(variables))
        inputs, stored = self._books()
        mark = fingerprint(
            inputs=inputs, code=code, config=config_hash, source="", contracts=self.layer.outputs
        )
        if not self.config.warehouse.force_recompute and all(
            stored.get(contract.table, {}).get("fingerprint") == mark
            for contract in self.layer.outputs
        ):
            yield from self._reused(stored)
            return
        with self.warehouse.writer_lock():
            built, failure = self._build(variables)
        answers = {
            f"{event.asset_key.to_user_string()}:{event.check_name}": {
                "passed": event.passed,
                "message": event.description or "",
            }
            for event in built
            if isinstance(event, dg.AssetCheckResult) and event.asset_key is not None
        }
        if failure is not None:
            yield from built
            raise failure
        rows = self._record(mark, code, config_hash, inputs, answers)
        yield from (self._described(event, rows) for event in built)
        progress(
            f"{self.layer.name + ' (dbt)':<58.58} {len(self.layer.outputs):>6} tables  {self._seconds()}"
        )

    def _seconds(self) -> str:
        return f"{time.monotonic() - self.started:6.1f} s"

    def _build(self, variables: Mapping[str, Any]) -> tuple[list[Any], Exception | None]:
        """Everything dbt said, and the error it ended with.

        Events are kept until dbt has let go of the file: only then can rows be counted. Row counts
        are ours, for dagster-dbt's own counting leaves a connection open in this process. What dbt
        says line by line is shown where it fails; dbt keeps its own log of every run.
        """
        os.environ[DBT_FILE_VARIABLE] = str(self.warehouse.paths.working_file)
        arguments = ["build", "--vars", json.dumps(dict(variables))]
        built: list[Any] = []
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):
                built.extend(self.dbt.cli(arguments, context=self.context).stream())
        except DagsterDbtCliRuntimeError as error:
            sys.stdout.write(said.getvalue())
            return built, error
        return built, None

    def _described(self, event: Any, rows: Mapping[str, int]) -> Any:
        """Add row count and column schema to the materialization of a table."""
        if isinstance(event, dg.Output):
            table = event.output_name.replace("__", ".", 1)
        elif isinstance(event, dg.MaterializeResult) and event.asset_key is not None:
            table = ".".join(dg.AssetKey.from_coercible(event.asset_key).path)
        else:
            return event
        contract = next((c for c in self.layer.outputs if c.table == table), None)
        if contract is None:
            return event
        metadata = {
            **(event.metadata or {}),
            "dagster/row_count": rows[table],
            "dagster/column_schema": table_schema(contract),
        }
        if isinstance(event, dg.Output):
            return event.with_metadata(metadata)
        return event._replace(metadata=metadata)

    def _books(self) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
        with self.warehouse.transaction() as connection:
            for contract in self.layer.inputs:
                if not table_exists(connection, contract):
                    ensure_table(connection, contract)
            ensure_table(connection, house.PROVENANCE)
            books = {
                row["table_name"]: row
                for row in read_table(connection, house.PROVENANCE).iter_rows(named=True)
            }
            inputs = {
                contract.table: books[contract.table]["data_version"]
                if contract.table in books
                else stored_extent(connection, contract)[1]
                for contract in self.layer.inputs
            }
        return inputs, books

    def _reused(self, stored: Mapping[str, Mapping[str, Any]]) -> Iterator[Any]:
        answers = json.loads(stored[self.layer.outputs[0].table]["checks_json"])
        for key in self.context.selected_asset_check_keys:
            known = answers.get(
                f"{key.asset_key.to_user_string()}:{key.name}", {"passed": True, "message": ""}
            )
            yield dg.AssetCheckResult(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=known["passed"],
                description=known["message"] or None,
                metadata={"reused": True},
            )
        for key in self._parents_first():
            row = stored.get(".".join(key.path), {})
            metadata: dict[str, Any] = {"reused": True}
            if row:
                metadata["dagster/row_count"] = row["n_rows"]
            yield dg.MaterializeResult(asset_key=key, metadata=metadata)
        progress(f"{self.layer.name + ' (dbt)':<58.58} unchanged, re-used  {self._seconds()}")

    def _parents_first(self) -> list[dg.AssetKey]:
        """Selected models, each after those it reads: Dagster refuses any other order."""
        waiting = sorted(self.context.selected_asset_keys)
        parents = self.context.assets_def.asset_deps
        ordered: list[dg.AssetKey] = []
        while waiting:
            key = next(k for k in waiting if not parents[k] & (set(waiting) - {k}))
            ordered.append(key)
            waiting.remove(key)
        return ordered

    def _record(
        self,
        mark: str,
        code: str,
        config_hash: str,
        inputs: Mapping[str, str],
        answers: Mapping[str, Mapping[str, Any]],
    ) -> dict[str, int]:
        now = datetime.now(UTC)
        with self.warehouse.transaction() as connection:
            rows: list[dict[str, Any]] = []
            for contract in self.layer.outputs:
                n_rows, version = self._extent(connection, contract, mark)
                rows.append(
                    {
                        "table_name": contract.table,
                        "fingerprint": mark,
                        "data_version": version,
                        "code_version": code,
                        "config_hash": config_hash,
                        "inputs_json": to_json(dict(inputs)),
                        "checks_json": to_json(dict(answers)),
                        "run_id": self.context.run_id,
                        "n_rows": n_rows,
                        "committed_at": now,
                    }
                )
            upsert(connection, house.PROVENANCE, pl.DataFrame(rows, schema=house.PROVENANCE.schema))
        return {row["table_name"]: row["n_rows"] for row in rows}

    def _extent(
        self, connection: duckdb.DuckDBPyConnection, contract: TableContract, mark: str
    ) -> tuple[int, str]:
        """Rows and version of a table: a view's version is that of what it was made from."""
        if is_view(connection, contract):
            return count_rows(connection, contract), digest(mark, contract.table)
        return stored_extent(connection, contract)
