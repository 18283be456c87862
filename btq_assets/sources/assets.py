"""Dagster side of every registered provider: one asset an entry, thin, no logic.

What a provider is stands in `provider.py`; the entries stand in the registry of each kind.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import polars as pl

from btq_assets.contracts.base import TableContract
from btq_assets.sources.errors import SourceError
from btq_assets.sources.provider import ProviderEntry
from btq_assets.sources.registry import PROVIDERS
from btq_assets.warehouse import Step, TableAsset, TableOutput, table_asset

_CODE = (
    "btq_assets.sources.blotting",
    "btq_assets.sources.http",
    "btq_assets.sources.patience",
    "btq_assets.sources.provider",
    "btq_assets.sources.rows",
    "btq_assets.sources.vintages",
)


def provider_asset(
    entry: ProviderEntry, environment: Mapping[str, str] | None = None
) -> TableAsset:
    """Asset that fetches a provider's window and appends what is new.

    Parameters
    ----------
    entry
        The provider.
    environment
        Where its key is looked up; the process's own by default.
    """

    def fetch(step: Step) -> TableOutput:
        from btq_assets.sources.fetching import fetch_window, key_of

        section = getattr(step.config.sources, entry.name)
        replay = step.config.sources.replay
        key = "" if replay else key_of(entry, os.environ if environment is None else environment)
        fetched, counts = fetch_window(
            entry,
            section,
            key=key,
            now=step.now,
            partition_key=step.partition_key,
            answers=step.artifacts.paths.answers / entry.name,
            replay=replay,
            stored=lambda: step.read_ledger(entry.contracts[0]),
        )
        fresh = {
            contract.table: _new_rows(entry, contract, step, fetched.frames[contract.table])
            for contract in entry.contracts
        }
        n_rows = sum(frame.height for frame in fetched.frames.values())
        n_new = sum(frame.height for frame in fresh.values())
        when = f"{step.partition_key[:7]}: " if step.partition_key else ""
        step.log(
            f"{entry.name} {when}{n_rows:,} rows in {counts['requests']} requests and "
            f"{counts['stored_answers']} stored answers, {n_new:,} new or changed"
        )
        return TableOutput(
            fresh,
            rejected=fetched.rejected,
            metadata={
                "rows_fetched": n_rows,
                "rows_new": n_new,
                **counts,
                **fetched.notes,
            },
        )

    fetch.__name__ = f"fetch_{entry.name}"
    fetch.__doc__ = (
        f"Ask {entry.homepage or entry.name} and append rows that are new or have changed."
    )
    return table_asset(
        outputs=entry.contracts,
        config=(f"sources.{entry.name}",),
        code=(*_CODE, *entry.code, entry.opener.split(":")[0]),
        checks=entry.checks,
        group="raw",
        optional=lambda config: getattr(config.sources, entry.name).enabled,
        partitions=entry.partitions,
        remote=entry.name,
        spares=(SourceError,),
        reuse=False,
    )(fetch)


def _new_rows(
    entry: ProviderEntry, contract: TableContract, step: Step, rows: pl.DataFrame
) -> pl.DataFrame:
    from btq_assets.contracts.base import cast_to_contract
    from btq_assets.sources.vintages import new_vintages

    key = tuple(name for name in contract.key if name != "known_at")
    rows = cast_to_contract(rows, contract)
    if "known_at_basis" not in contract.column_names:
        return rows
    return new_vintages(
        step.read_ledger(contract, beside=rows),
        rows,
        step.now,
        key=key,
        values=entry.compared,
        relative_tolerance=entry.tolerance,
    )


#: One asset for every registered provider, whether switched on or not.
PROVIDER_ASSETS = tuple(provider_asset(entry) for entry in PROVIDERS)
