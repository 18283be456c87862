"""Job `reproduce`: fit a registered model again and say whether it came out the same."""

# No postponed annotations here: Dagster reads the annotations of ops as objects.

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import dagster as dg
import polars as pl

from btq_assets.contracts import house, models
from btq_assets.warehouse import metadata as md
from btq_assets.warehouse.resources import ConfigResource, DeviceResource, WarehouseResource
from btq_assets.warehouse.versions import code_version, frame_version

DESCRIPTION = (
    "Fits a registered model again, named by its model_id in the run configuration, and compares it "
    "with what is stored; the answer is a row of models.reproductions. It publishes nothing."
)


class Reproduce(dg.Config):
    """Which model."""

    model_id: str


def reproduce_job(code: Mapping[str, tuple[str, ...]]) -> dg.JobDefinition:
    """The job.

    Parameters
    ----------
    code
        Model family → modules whose source its forecasts depend on.
    """

    @dg.op(
        name="fit_again",
        description="Fit one registered model again and compare.",
        pool="gpu",
        out=dg.Out(dg.Nothing),
    )
    def fit_again(
        context: dg.OpExecutionContext,
        config: Reproduce,
        trading: ConfigResource,
        warehouse: WarehouseResource,
        device: DeviceResource,
    ) -> None:
        _fit_again(context, config.model_id, code, trading, warehouse, device)

    @dg.job(name="reproduce", description=DESCRIPTION)
    def reproduce() -> None:
        fit_again()

    return reproduce


def _fit_again(
    context: dg.OpExecutionContext,
    wanted: str,
    code: Mapping[str, tuple[str, ...]],
    trading: ConfigResource,
    resource: WarehouseResource,
    device: DeviceResource,
) -> None:
    from btq_assets.models import reproduction
    from btq_assets.models.catalogue import FAMILIES
    from btq_assets.models.chosen import training_set_table
    from btq_assets.warehouse.artifacts import ArtifactError, folder_hash
    from btq_assets.warehouse.writing import append_new

    config, warehouse = trading.config(), resource.warehouse()
    try:
        row = reproduction.registered(warehouse.read_or_empty(models.REGISTRY), wanted)
    except reproduction.UnknownModelError as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    name = f"{row['model']} {row['variant']}, fold {row['fold']}, seed {row['seed']}"
    md.progress(f"reproduce: {wanted} is {name}")
    table = training_set_table(config)
    training_set, folds = warehouse.read(table), warehouse.read(models.SPLITS)
    data_hash = frame_version(training_set, table)
    found = reproduction.why_not(
        row,
        folds,
        data_hash=data_hash,
        code_version=code_version(code[row["model"]]),
        fitted_on=_fitted_on(warehouse.read_or_empty(house.PROVENANCE), row["model"]),
    )
    if found is None:
        objection = ""
        try:
            resource.artifacts().path(row["artifact_path"], sha256=row["artifact_hash"])
        except ArtifactError as error:
            objection = str(error)
        fit = reproduction.fit_again(
            row,
            training_set,
            folds,
            config,
            data_hash=data_hash,
            device=device.resolve() if FAMILIES[row["model"]].is_deep else "cpu",
        )
        forecasts = warehouse.read_or_empty(models.forecasts_contract(row["model"], ""))
        found = reproduction.judge(
            row,
            fit,
            forecasts.filter(pl.col("model_id") == wanted),
            config,
            hash_of_folder=folder_hash,
            objection=objection,
        )
    with warehouse.transaction() as connection:
        append_new(
            connection,
            models.REPRODUCTIONS,
            found.row(row, run_id=context.run_id, at=datetime.now(UTC)),
        )
    md.progress(f"reproduce: {found.verdict}: {found.reason}")
    told = {key: value for key, value in vars(found).items() if value is not None}
    context.log_event(
        dg.AssetObservation(
            asset_key=list(models.REPRODUCTIONS.asset_key),
            metadata={key: md.value(value) for key, value in {"model_id": wanted, **told}.items()},
        )
    )
    if not found.passed:
        raise dg.Failure(f"{wanted} ({name}): {found.verdict}: {found.reason}", allow_retries=False)


def _fitted_on(books: pl.DataFrame, model: str) -> str | None:
    """Version of the training set behind the stored forecasts of a model, by the books."""
    rows = books.filter(pl.col("table_name") == f"models.forecasts_{model}")
    if rows.is_empty():
        return None
    found: str | None = json.loads(rows["inputs_json"][0]).get("training_set")
    return found
