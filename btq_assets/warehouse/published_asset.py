"""The last asset of every job: publish the working database once everything before it passed."""

# No postponed annotations here: Dagster reads the annotation of `context` as an object.

from collections.abc import Iterable
from datetime import UTC, datetime

import dagster as dg

from btq_assets.warehouse.metadata import progress
from btq_assets.warehouse.publishing import publish
from btq_assets.warehouse.resources import WarehouseResource

PUBLISHED_KEY = dg.AssetKey(["published", "btq"])


def published_asset(tables: Iterable[dg.AssetKey]) -> dg.AssetsDefinition:
    """Asset that depends on every table of the graph and publishes the database.

    It is skipped, and the previous file stays, when any selected table or blocking check failed.
    """

    @dg.asset(
        key=PUBLISHED_KEY,
        deps=sorted(tables),
        group_name="published",
        owners=["team:platform"],
        kinds={"duckdb"},
        description="The database people open: a verified, read-only copy of the working one.",
    )
    def btq(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> dg.MaterializeResult:
        published = publish(warehouse.warehouse(), datetime.now(UTC))
        if published.set_aside is not None:
            message = (
                f"a session had left {published.set_aside.name.split('.set-aside')[0]} beside the published "
                f"file; it was moved to {published.set_aside.name}, for DuckDB would have replayed it "
                "into the new file"
            )
            context.log.warning(message)
            progress(f"    warning: {message}")
        progress(f"published {published.n_tables} tables and views to {published.file}")
        return dg.MaterializeResult(
            metadata={
                "file": dg.MetadataValue.path(str(published.file)),
                "n_tables": published.n_tables,
                "size_bytes": published.size_bytes,
                "write_ahead_log_set_aside": str(published.set_aside or "none"),
            }
        )

    return btq
