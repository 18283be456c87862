"""dbt models as assets: one step per layer, under the writers' lock, re-used when unchanged.

Belongs here: how dbt is called and how its models and tests appear in Dagster. The SQL lies in
`dbt_project/`.
"""

# No postponed annotations here: Dagster reads the annotation of `context` as an object.

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliResource,
    dbt_assets,
)
from dagster_dbt.errors import DagsterDbtCliRuntimeError

from btq_assets.config import TradingConfig
from btq_assets.contracts import house
from btq_assets.contracts.base import TableContract
from btq_assets.warehouse.database import (
    Warehouse,
    ensure_table,
    is_view,
    read_table,
    table_exists,
    upsert,
)
from btq_assets.warehouse.metadata import progress, table_schema
from btq_assets.warehouse.paths import project_root
from btq_assets.warehouse.resources import ConfigResource, WarehouseResource
from btq_assets.warehouse.versions import (
    code_version,
    digest,
    fingerprint,
    folder_files,
    frame_version,
    to_json,
)

DBT_FILE_VARIABLE = "BTQ_WAREHOUSE_FILE"


class DbtError(RuntimeError):
    """The dbt project cannot be parsed."""


def dbt_folder() -> Path:
    """Folder of the dbt project."""
    return project_root() / "dbt_project"


def dbt_executable() -> str:
    """`dbt` of this very environment, so that no PATH has to be set."""
    return str(Path(sys.executable).with_name("dbt"))


def dbt_manifest() -> Path:
    """Path of the manifest, made anew when a source file of the project is newer.

    Raises
    ------
    DbtError
        The project does not parse; the message ends with what dbt said.
    """
    folder = dbt_folder()
    manifest = folder / "target" / "manifest.json"
    newest = max(file.stat().st_mtime for file in folder_files(folder))
    if not manifest.exists() or manifest.stat().st_mtime < newest:
        done = subprocess.run(  # noqa: S603
            [
                dbt_executable(),
                "--quiet",
                "parse",
                "--project-dir",
                str(folder),
                "--profiles-dir",
                str(folder),
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
        )
        if done.returncode != 0:
            raise DbtError(f"dbt parse failed in {folder}:\n{done.stdout}{done.stderr}")
        manifest.touch()
    return manifest


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


class SchemaTableTranslator(DagsterDbtTranslator):
    """Asset keys are ``[schema, table]``, equal to what SQL queries."""

    def __init__(self) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_asset_checks=True))

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Key of a model or source."""
        return dg.AssetKey([dbt_resource_props["schema"], dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """Group of a model: its layer, staging views beside core."""
        return "mart" if dbt_resource_props["schema"] in ("mart", "features") else "core"


@dataclass(frozen=True)
class DbtLayer:
    """One dbt selection as one step.

    Parameters
    ----------
    name
        Name of the step.
    select
        dbt selection.
    inputs
        Tables it reads; created empty where no enabled asset writes them.
    outputs
        Tables it writes.
    exclude
        dbt selection of what is left out.
    """

    name: str
    select: str
    inputs: tuple[TableContract, ...]
    outputs: tuple[TableContract, ...]
    exclude: str | None = None

    def definition(self) -> dg.AssetsDefinition:
        """Dagster definition of the layer."""

        @dbt_assets(
            manifest=dbt_manifest(),
            select=self.select,
            exclude=self.exclude,
            name=self.name,
            dagster_dbt_translator=SchemaTableTranslator(),
        )
        def build_layer(
            context: dg.AssetExecutionContext,
            dbt: DbtCliResource,
            trading: ConfigResource,
            warehouse: WarehouseResource,
        ):
            yield from _DbtExecution(
                self, context, dbt, trading.config(), warehouse.warehouse()
            ).events()

        return build_layer


def dbt_variables(config: TradingConfig) -> dict[str, Any]:
    """Settings of the configuration that models and tests read."""
    return {
        "main_universe": config.universe.main,
        "benchmark": config.universe.benchmark,
        "max_position_size": config.trading.max_position_size,
        "max_gross_exposure": config.portfolio.max_gross_exposure,
    }


class _DbtExecution:
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
            code_version(("btq_assets.warehouse.dbt_layer",)),
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
                else frame_version(read_table(connection, contract), contract)
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

    def _extent(self, connection: Any, contract: TableContract, mark: str) -> tuple[int, str]:
        """Rows and version of a table: a view's version is that of what it was made from."""
        if is_view(connection, contract):
            found = connection.execute(f"SELECT count(*) FROM {contract.table}").fetchone()
            return found[0], digest(mark, contract.table)
        frame = read_table(connection, contract)
        return frame.height, frame_version(frame, contract)


def dbt_resource() -> DbtCliResource:
    """Resource that runs this environment's dbt on this project."""
    folder = str(dbt_folder())
    return DbtCliResource(project_dir=folder, profiles_dir=folder, dbt_executable=dbt_executable())
