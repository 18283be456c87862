"""dbt models as assets: one step per layer, under the writers' lock, re-used when unchanged.

Belongs here: how dbt's models and tests appear in Dagster. Does not belong here: what happens when a
layer runs (`dbt_execution`), where the project lies (`dbt_project`). The SQL lies in `dbt_project/`.
"""

# No postponed annotations here: Dagster reads the annotation of `context` as an object.

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliResource,
    dbt_assets,
)

from btq_assets.contracts.base import TableContract
from btq_assets.warehouse.dbt_execution import DbtExecution
from btq_assets.warehouse.dbt_project import dbt_executable, dbt_folder, dbt_manifest
from btq_assets.warehouse.resources import ConfigResource, WarehouseResource


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
            yield from DbtExecution(
                self, context, dbt, trading.config(), warehouse.warehouse()
            ).events()

        return build_layer


def dbt_resource() -> DbtCliResource:
    """Resource that runs this environment's dbt on this project."""
    folder = str(dbt_folder())
    return DbtCliResource(project_dir=folder, profiles_dir=folder, dbt_executable=dbt_executable())
