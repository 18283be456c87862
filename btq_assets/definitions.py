"""The code location: `build_definitions(**overrides)` and `defs`. Nothing else.

Loading it imports no torch, scikit-learn, Great Expectations, statsmodels or plotting library.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection
from dataclasses import replace
from functools import reduce
from typing import Any

import dagster as dg

from btq_assets.automation import executors, jobs, partitions, reproduction, schedules, sensors
from btq_assets.config import TradingConfig
from btq_assets.contracts import all_contracts, core_ticks
from btq_assets.contracts.base import TableContract
from btq_assets.execution.live.sensors import paper_sensor
from btq_assets.features.assets import configured as with_custom
from btq_assets.features.assets import custom_assets
from btq_assets.models.assets import configured as with_chosen_families
from btq_assets.models.deep.assets import configured as with_documents
from btq_assets.models.ensembles.assets import configured as with_members
from btq_assets.sources.market.sensors import file_drop_sensor
from btq_assets.sources.stream.inbox import inbox_folder
from btq_assets.sources.stream.sensors import stream_sensor
from btq_assets.warehouse.asset_factory import TableAsset, table_assets_of
from btq_assets.warehouse.dbt_layer import DbtLayer, dbt_resource
from btq_assets.warehouse.dbt_project import tables_read
from btq_assets.warehouse.metadata import table_schema
from btq_assets.warehouse.published_asset import published_asset
from btq_assets.warehouse.resources import ConfigResource, DeviceResource, WarehouseResource

#: Rooms that own assets, in the order data flow through them.
ASSET_MODULES = (
    "btq_assets.sources.assets",
    "btq_assets.sources.market.assets",
    "btq_assets.sources.macro.assets",
    "btq_assets.sources.sentiment.assets",
    "btq_assets.sources.alternative.assets",
    "btq_assets.sources.synthetic.assets",
    "btq_assets.sources.stream.assets",
    "btq_assets.sources.repairs.assets",
    "btq_assets.features.assets",
    "btq_assets.regimes.assets",
    "btq_assets.models.assets",
    "btq_assets.models.deep.assets",
    "btq_assets.models.ensembles.assets",
    "btq_assets.models.search.assets",
    "btq_assets.models.explanation.assets",
    "btq_assets.models.comparison.assets",
    "btq_assets.portfolio.assets",
    "btq_assets.agents.assets",
    "btq_assets.backtest.assets",
    "btq_assets.backtest.controls.assets",
    "btq_assets.backtest.comparison.assets",
    "btq_assets.backtest.robustness.assets",
    "btq_assets.execution.assets",
    "btq_assets.execution.live.assets",
    "btq_assets.evidence.assets",
    "btq_assets.evidence.figures.assets",
    "btq_assets.risk.assets",
    "btq_assets.reports.assets",
)


#: Providers asked after the closing bell of `automation.exchange_calendar`; others once a day.
CLOSES_WITH_THE_EXCHANGE = ("yahoo", "alpha_vantage", "cboe")


def declared_assets() -> list[TableAsset]:
    """Every `TableAsset` of every room, whatever the configuration."""
    return [
        asset
        for module in ASSET_MODULES
        for asset in table_assets_of(importlib.import_module(module))
    ]


def configured_assets(config: TradingConfig) -> list[TableAsset]:
    """Every `TableAsset` as a configuration has it: own features, families of models, documents."""
    assets = (*declared_assets(), *custom_assets(config))
    ways = (with_custom, with_chosen_families, with_members, with_documents, executors.with_gpu)
    return [reduce(lambda made, way: way(made, config), ways, asset) for asset in assets]


def dbt_layers(
    written: Collection[str] = (), own: tuple[TableContract, ...] = ()
) -> list[DbtLayer]:
    """The dbt steps: core after raw, marts after everything else.

    Parameters
    ----------
    written
        Tables that enabled assets write. Views of ticks are left out where none of them holds any.
    own
        Tables of the user's features, which the panel reads beside those of the contracts.
    """
    core = _dbt_layer("dbt_core", writes=("core",), reads_also=("staging",), exclude=_TICKS)
    ticks = _dbt_layer("dbt_ticks", writes=("core",), reads_also=("staging",), tag=_TICKS)
    mart = _dbt_layer("dbt_mart", writes=("mart", "features"))
    mart = replace(mart, inputs=(*mart.inputs, *own))
    events = {c.table for c in ticks.inputs if c.name.startswith(_TICK_TABLES)}
    return [core, ticks, mart] if events & set(written) else [core, mart]


#: Tag of the dbt models of ticks, and how the raw tables they unite are called.
_TICKS = "ticks"
_TICK_TABLES = ("trades_", "quotes_", "book_")


def _dbt_layer(
    name: str,
    *,
    writes: tuple[str, ...],
    reads_also: tuple[str, ...] = (),
    tag: str | None = None,
    exclude: str | None = None,
) -> DbtLayer:
    """A layer whose inputs are what its SQL reads, by dbt's own account."""
    schemas = (*reads_also, *writes)
    read = tables_read(schemas, tag)
    contracts = all_contracts()
    return DbtLayer(
        name,
        f"tag:{tag}" if tag else " ".join(schemas),
        tuple(contract for contract in contracts if contract.table in read),
        tuple(
            c
            for c in contracts
            if c.layer in writes
            and c.writer == "dbt"
            and (c in core_ticks.TICKS) == (tag == _TICKS)
        ),
        exclude=f"tag:{exclude}" if exclude else None,
    )


def build_definitions(config: TradingConfig | None = None, **overrides: Any) -> dg.Definitions:
    """Build the code location.

    Parameters
    ----------
    config
        Default: `TradingConfig.load()`, that is ``btq.yaml`` and the environment.
    **overrides
        ``resources`` replaces resources by name; ``executor`` replaces the executor.

    Returns
    -------
    dagster.Definitions
        Fresh definitions: tests and odd deployments override instead of patching.
    """
    config = config or TradingConfig.load()
    warehouse = WarehouseResource(
        path=config.warehouse.path, lock_timeout_s=config.warehouse.lock_timeout_s
    )
    tables: list[dg.AssetsDefinition] = []
    remote: dict[str, list[dg.AssetKey]] = {}
    cuts: dict[str, dg.PartitionsDefinition | None] = {}
    for asset in configured_assets(config):
        cut = partitions.partitions_of(asset, config)
        definition = asset.definition(config, cut)
        if definition is None:
            continue
        tables.append(definition)
        if asset.remote:
            remote.setdefault(asset.remote, []).extend(definition.keys)
            cuts[asset.remote] = cut
    written = {".".join(key.path) for table in tables for key in table.keys}
    own = tuple(contract for asset in custom_assets(config) for contract in asset.outputs)
    tables += [layer.definition() for layer in dbt_layers(written, own)]
    elsewhere = {key for keys in remote.values() for key in keys}
    keys = [key for table in tables for key in table.keys if key not in elsewhere]
    research, *staged = jobs.local_jobs(sorted(elsewhere))
    ingest = next(job for job in staged if job.name == "ingest")
    trained = [key for table in tables if _trains(table) for key in table.keys]
    all_jobs: list[Any] = [
        research,
        *staged,
        jobs.train_gpu_job(trained, executors.gpu_executor_for(config)),
        reproduction.reproduce_job(_code_of_models()),
    ]
    all_schedules: list[Any] = [schedules.weekly_retrain(config, research)]
    all_sensors = [
        file_drop_sensor(config, ingest),
        sensors.run_failure_recorder(warehouse.paths()),
    ]
    if config.execution.paper_folder:
        accounts = warehouse.paths().root / config.execution.paper_folder
        all_sensors.append(paper_sensor(accounts, dg.AssetKey(["execution", "account"])))
    for name, provided in sorted(remote.items()):
        job = jobs.provider_job(name, provided, cuts[name])
        all_jobs.append(job)
        all_schedules.append(
            schedules.after_close(config, job, cuts[name])
            if name in CLOSES_WITH_THE_EXCHANGE
            else schedules.daily(config, job, cuts[name])
        )
        if name == "stream":
            inbox = inbox_folder(config.sources.stream.folder, warehouse.paths().root)
            all_sensors.append(stream_sensor(config, inbox, job))
    return dg.Definitions(
        assets=[*tables, published_asset(keys), *_ledger_specs()],
        jobs=all_jobs,
        schedules=all_schedules,
        sensors=all_sensors,
        resources={
            "trading": ConfigResource.of(config),
            "warehouse": warehouse,
            "device": DeviceResource(device=config.trading.device),
            "dbt": dbt_resource(),
            **overrides.get("resources", {}),
        },
        executor=overrides.get("executor") or executors.executor_for(config),
    )


def _trains(table: dg.AssetsDefinition) -> bool:
    """Whether it is the forecasts of a network."""
    op = table.op
    in_pool = isinstance(op, dg.OpDefinition) and op.pool == executors.GPU_POOL
    return in_pool and all(key.path[-1].startswith("forecasts_") for key in table.keys)


def _code_of_models() -> dict[str, tuple[str, ...]]:
    """Model family → the code its fits depend on, as the asset of its forecasts says."""
    prefix = "models.forecasts_"
    return {
        asset.outputs[0].table.removeprefix(prefix): asset.code
        for asset in declared_assets()
        if asset.outputs[0].table.startswith(prefix)
    }


def _ledgers() -> list[TableContract]:
    return [contract for contract in all_contracts() if contract.writer == "ledger"]


def _ledger_specs() -> list[dg.AssetSpec]:
    """Ledgers that many steps write to, shown as external assets."""
    return [
        dg.AssetSpec(
            key=list(contract.asset_key),
            description=contract.description,
            group_name="ledgers",
            owners=[contract.owner],
            kinds={"duckdb"},
            metadata={"dagster/column_schema": table_schema(contract)},
        )
        for contract in _ledgers()
    ]


defs = build_definitions()
