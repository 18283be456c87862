"""A provider of one monthly series, as small as one can be, and a process that ingests it.

Run as a script it fetches a range of months and commits them one by one: what a test kills.
"""

from __future__ import annotations

import datetime as dt
import sys
from dataclasses import replace
from pathlib import Path

import dagster as dg
import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import raw
from btq_assets.sources.assets import provider_asset
from btq_assets.sources.http import HttpClient
from btq_assets.sources.provider import Fetched, ProviderEntry, Window
from btq_assets.sources.rows import REJECTED_SCHEMA
from btq_assets.warehouse.resources import ConfigResource, DeviceResource, WarehouseResource

#: The provider borrows the settings of a partitioned one; the table is its own.
CONTRACT = replace(raw.MACRO_TREASURY, name="macro_local", description="A test's own table.")


class Monthly:
    """``GET /month?start=2024-01-01`` answers ``{"rows": [[day, value], ...]}``."""

    def __init__(self, settings, client: HttpClient) -> None:
        self.client = client.at("http://127.0.0.1:9")

    def fetch(self, window: Window, now: dt.datetime) -> Fetched:
        answer = self.client.get_json(
            "month",
            {"start": window.start.date().isoformat()},
            secret_params={"api_key": self.client.key} if self.client.key else None,
            secret_headers={"X-Api-Key": self.client.key} if self.client.key else None,
        )
        if "rows" not in answer:
            raise self.client.shape_error("'rows'", answer)
        read, unread = [], []
        for day, value in answer["rows"]:
            if isinstance(value, (int, float)):
                read.append((dt.date.fromisoformat(day), float(value)))
            else:
                unread.append((f"value {value!r} is not a number", self.client.blot(str(day))))
        values = pl.DataFrame(read, schema={"period": pl.Date, "value": pl.Float64}, orient="row")
        rows = values.select(
            "period",
            "value",
            series_id=pl.lit("S"),
            known_at=pl.col("period").cast(pl.Datetime("us", "UTC")) + pl.duration(hours=40),
            known_at_basis=pl.lit("assumed_lag"),
            unit=pl.lit("points"),
            revision=pl.lit("REVISED"),
            dataset=pl.lit("local"),
        )
        rejected = pl.DataFrame(unread, schema=REJECTED_SCHEMA, orient="row")
        return Fetched({CONTRACT.table: rows}, rejected, {"said": answer.get("note", "")})


ENTRY = ProviderEntry(
    name="treasury",
    kind="macro",
    contracts=(CONTRACT,),
    opener="local_provider:Monthly",
    partitions="month",
    key="LOCAL_PROVIDER_KEY",
    key_page="https://example.org/keys",
)


def config_of(url: str, **settings) -> TradingConfig:
    replay = settings.pop("replay", False)
    section = {
        "enabled": True, "base_url": url, "start_month": "2020-01", "max_attempts": 1,
        "calls_per_minute": 6_000, "timeout_s": 10,
    } | settings  # fmt: skip
    return TradingConfig(sources={"treasury": section, "replay": replay})


def ingest(
    root: Path,
    config: TradingConfig,
    first: str,
    last: str,
    *,
    entry: ProviderEntry = ENTRY,
    environment: dict[str, str] | None = None,
    instance: dg.DagsterInstance | None = None,
) -> dg.ExecuteInProcessResult:
    """Fetch the months from `first` to `last` (``2024-01``) in one run."""
    months = dg.MonthlyPartitionsDefinition(start_date="2020-01-01", end_offset=1)
    return dg.materialize(
        [provider_asset(entry, environment or {}).definition(config, months)],
        resources={
            "trading": ConfigResource.of(config),
            "warehouse": WarehouseResource(path=str(root), lock_timeout_s=5),
            "device": DeviceResource(device="cpu"),
        },
        tags={
            "dagster/asset_partition_range_start": f"{first}-01",
            "dagster/asset_partition_range_end": f"{last}-01",
        },
        raise_on_error=False,
        instance=instance,
    )


if __name__ == "__main__":
    folder, address, start, end = sys.argv[1:5]
    done = ingest(Path(folder), config_of(address), start, end)
    sys.exit(0 if done.success else 1)
