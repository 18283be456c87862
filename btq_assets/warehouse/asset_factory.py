"""The one factory that turns a function over frames into a Dagster asset over tables.

Order of work in a step: compare fingerprints → read inputs → compute → cast → refuse impossible
rows → answer every check on the frame in memory → commit all tables in one transaction, or raise.
Nothing is written before every blocking check has passed.
"""

# No postponed annotations here: Dagster reads the annotation of `context` as an object.

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import dagster as dg

from btq_assets.config import TradingConfig
from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckGroup, CheckSpec
from btq_assets.warehouse import metadata as md
from btq_assets.warehouse.execution import Execution
from btq_assets.warehouse.outcomes import CONTRACT_CHECK, tolerance
from btq_assets.warehouse.paths import DataPaths
from btq_assets.warehouse.resources import ConfigResource, DeviceResource, WarehouseResource
from btq_assets.warehouse.step import TableOutput
from btq_assets.warehouse.versions import code_version

Compute = Callable[..., TableOutput | Iterator[TableOutput]]


@dataclass(frozen=True)
class TableAsset:
    """A compute function and everything Dagster must know of it.

    Parameters
    ----------
    compute
        ``compute(step, **input frames) -> TableOutput``; or a generator of several, each judged and
        committed by itself, where the whole would not fit in memory (append-only tables).
    outputs
        Tables it writes; it is their only writer.
    inputs
        Tables it reads, by parameter name.
    config
        Dotted configuration sections it depends on.
    code
        Modules and packages whose source it depends on.
    checks
        Checks on the frames before they are committed.
    group
        Group in the Dagster UI.
    pool
        Concurrency pool, such as ``gpu``.
    tags
        Step tags (GPU requests for Kubernetes, Docker or Ray).
    optional
        Whether the asset is in the graph under a configuration.
    source_version
        For assets without inputs: version of the files behind them.
    ledgers
        Ledgers it reads through `Step.read_ledger`; what they hold is part of the fingerprint.
    after
        Tables that must have been written before, though they are not handed over.
    reuse
        ``False`` where nothing can vouch for the result; or asked, given the folders, whether what
        the step wrote beside the warehouse is still there.
    partitions
        ``"month"`` or ``"day"`` for remote providers fetched piece by piece.
    remote
        Name of the remote provider behind it, which has a job of its own: whether it answers is
        nobody else's business.
    spares
        Errors of one partition that leave the other partitions of a range alone.
    needs_device
        Whether the step trains on the device (resolving it imports torch).
    absent_as_empty
        Whether a table it reads may be absent because its source is switched off; it arrives empty.
    sliced
        Inputs arrive as `slices.StoredTable`, to be read a slice at a time. If `compute` is a generator,
        its parts replace the tables together, once the last one has passed its checks.
    """

    compute: Compute
    outputs: tuple[TableContract, ...]
    inputs: Mapping[str, TableContract] = field(default_factory=dict)
    config: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    checks: tuple[CheckGroup, ...] = ()
    group: str = "default"
    pool: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    optional: Callable[[TradingConfig], bool] | None = None
    source_version: Callable[[TradingConfig], str] | None = None
    ledgers: tuple[TableContract, ...] = ()
    after: tuple[TableContract, ...] = ()
    reuse: bool | Callable[[DataPaths], bool] = True
    partitions: str | None = None
    remote: str | None = None
    spares: tuple[type[Exception], ...] = ()
    needs_device: bool = False
    absent_as_empty: bool = False
    sliced: bool = False

    @property
    def name(self) -> str:
        """Name of the Dagster op."""
        return "__".join(self.outputs[0].asset_key)

    @property
    def check_specs(self) -> list[tuple[TableContract, CheckSpec]]:
        """Every check with the table it is shown on; groups belong to the first table."""
        specs = [
            (
                contract,
                CheckSpec(
                    CONTRACT_CHECK,
                    "Columns, types, keys, nulls and possible values are those of the contract; "
                    + tolerance(contract),
                ),
            )
            for contract in self.outputs
        ]
        return specs + [(self.outputs[0], spec) for group in self.checks for spec in group.specs]

    def definition(
        self, config: TradingConfig, partitions_def: dg.PartitionsDefinition | None = None
    ) -> dg.AssetsDefinition | None:
        """Dagster definition, or ``None`` where the configuration leaves the asset out."""
        if self.optional is not None and not self.optional(config):
            return None
        deps = [
            dg.AssetKey(list(contract.asset_key))
            for contract in (*self.inputs.values(), *self.after)
        ]
        description = inspect.cleandoc(self.compute.__doc__ or "").split("\n\n")[0]
        specs = [
            dg.AssetSpec(
                key=list(contract.asset_key),
                deps=deps,
                description=f"{contract.description}\n\n{description}",
                group_name=self.group,
                owners=[contract.owner],
                kinds=set(contract.kinds),
                metadata={"dagster/column_schema": md.table_schema(contract)},
                code_version=code_version(self.code),
            )
            for contract in self.outputs
        ]
        check_specs = [
            dg.AssetCheckSpec(
                spec.name,
                asset=list(contract.asset_key),
                description=spec.description,
                blocking=spec.blocking,
            )
            for contract, spec in self.check_specs
        ]
        options: dict[str, Any] = {}
        if partitions_def is not None:
            options = {
                "partitions_def": partitions_def,
                "backfill_policy": dg.BackfillPolicy.single_run(),
            }

        @dg.multi_asset(
            name=self.name,
            specs=specs,
            check_specs=check_specs,
            pool=self.pool,
            op_tags=dict(self.tags),
            can_subset=False,
            **options,
        )
        def run_step(
            context: dg.AssetExecutionContext,
            trading: ConfigResource,
            warehouse: WarehouseResource,
            device: DeviceResource,
        ):
            yield from Execution(self, context, trading, warehouse, device).events()

        return run_step


def table_asset(
    *,
    outputs: Sequence[TableContract],
    inputs: Mapping[str, TableContract] | None = None,
    config: Sequence[str] = (),
    code: Sequence[str] = (),
    checks: Sequence[CheckGroup] = (),
    group: str = "default",
    pool: str | None = None,
    tags: Mapping[str, str] | None = None,
    optional: Callable[[TradingConfig], bool] | None = None,
    source_version: Callable[[TradingConfig], str] | None = None,
    ledgers: Sequence[TableContract] = (),
    after: Sequence[TableContract] = (),
    reuse: bool | Callable[[DataPaths], bool] = True,
    partitions: str | None = None,
    remote: str | None = None,
    spares: Sequence[type[Exception]] = (),
    needs_device: bool | None = None,
    sliced: bool = False,
) -> Callable[[Compute], TableAsset]:
    """Declare the asset of one or several tables; see `TableAsset` for the parameters.

    Raises
    ------
    ValueError
        The function's parameters are not ``step`` and the names of `inputs`.
    """

    def decorate(compute: Compute) -> TableAsset:
        have = list(inspect.signature(compute).parameters)
        want = ["step", *(inputs or {})]
        if sorted(have) != sorted(want):
            raise ValueError(f"{compute.__name__} takes {have}, its inputs are {want}")
        return TableAsset(
            compute=compute,
            outputs=tuple(outputs),
            inputs=dict(inputs or {}),
            config=tuple(config),
            code=(*code, compute.__module__),
            checks=tuple(checks),
            group=group,
            pool=pool,
            tags=dict(tags or {}),
            optional=optional,
            source_version=source_version,
            ledgers=tuple(ledgers),
            after=tuple(after),
            reuse=reuse,
            partitions=partitions,
            remote=remote,
            spares=tuple(spares),
            needs_device=pool == "gpu" if needs_device is None else needs_device,
            sliced=sliced,
        )

    return decorate


def table_assets_of(module: ModuleType) -> list[TableAsset]:
    """Every `TableAsset` a module declares, alone or in a tuple, in order."""
    found: list[TableAsset] = []
    for value in vars(module).values():
        values = value if isinstance(value, tuple) else (value,)
        found += [item for item in values if isinstance(item, TableAsset)]
    return found
