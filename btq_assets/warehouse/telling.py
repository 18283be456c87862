"""What Dagster and the person at the terminal are told of an execution.

Belongs here: events, their metadata, lines of progress. Does not belong here: deciding anything.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckOutcome
from btq_assets.warehouse import metadata as md
from btq_assets.warehouse.committing import Committed, summed
from btq_assets.warehouse.headway import how_far
from btq_assets.warehouse.inputs import StoredBooks
from btq_assets.warehouse.judging import Judged
from btq_assets.warehouse.outcomes import check_result, worst

if TYPE_CHECKING:
    from btq_assets.warehouse.asset_factory import TableAsset


@dataclass(frozen=True)
class Teller:
    """Tells of one execution of `asset`.

    Parameters
    ----------
    asset, context
        What is executed, and Dagster's context of it.
    data_root
        Folder below which reports lie.
    started
        `time.monotonic` at the start.
    """

    asset: TableAsset
    context: dg.AssetExecutionContext
    data_root: Path
    started: float

    def progress(self, text: str) -> None:
        """Print a line with the tables and the seconds since the start."""
        table = " + ".join(contract.table for contract in self.asset.outputs)
        md.progress(f"{table:<58.58} {text}  {self._seconds():6.1f} s")

    def headway(self, done: Sequence[Committed], n_given_up: int, n_all: int) -> None:
        """Print which partitions of a range are stored, and how long the others will take."""
        share = (len(done) + n_given_up) / n_all
        told = how_far(share, summed(done).n_added, self._seconds(), "new rows")
        self.progress(f"{len(done)} of {n_all} {self.asset.partitions}s stored, {told};")

    def refused(self, judged: Judged) -> Iterator[dg.AssetCheckResult]:
        """Every answer about an output that is not stored."""
        for contract, spec, outcome in judged.answers:
            yield check_result(contract, spec, outcome)

    def partition_stored(
        self, key: str | None, committed: Committed
    ) -> Iterator[dg.AssetMaterialization]:
        """Tell Dagster at once, so that a range broken off goes on where it ended.

        Yielded, not logged through the context: what is logged waits for the next event, and is
        lost when the step fails.
        """
        for contract in self.asset.outputs:
            yield dg.AssetMaterialization(
                asset_key=list(contract.asset_key),
                partition=key,
                metadata=self._metadata(contract, committed),
            )

    def stored(
        self, done: Sequence[Committed], n_keys: int
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
        """Answers and materializations of an execution that stored all it computed."""
        last = done[-1]
        for contract, spec, outcome in worst(
            answer for committed in done for answer in committed.answers
        ):
            yield check_result(contract, spec, outcome)
        self.progress(f"{last.n_rows:>9,} rows")
        told = summed(done) if n_keys == 1 else last
        for contract in self.asset.outputs:
            yield dg.MaterializeResult(
                asset_key=list(contract.asset_key),
                metadata=self._metadata(contract, told),
                data_version=dg.DataVersion(last.data_versions[contract.table]),
            )

    def reused(self, books: StoredBooks) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
        """Answers and materializations of an execution that found nothing to do."""
        for contract, spec in self.asset.check_specs:
            answers = json.loads(books[contract.table]["checks_json"])
            known = answers.get(spec.name, {"passed": True, "message": ""})
            outcome = CheckOutcome(spec.name, known["passed"], known["message"], {"reused": True})
            yield check_result(contract, spec, outcome)
        self.progress("unchanged, re-used")
        for contract in self.asset.outputs:
            row = books[contract.table]
            key = dg.AssetKey(list(contract.asset_key))
            latest = self.context.instance.get_latest_materialization_event(key)
            yield dg.MaterializeResult(
                asset_key=key,
                metadata={
                    **md.carried(latest, row["data_version"]),
                    "dagster/row_count": row["n_rows"],
                    "reused": True,
                    "computed_by_run": dg.MetadataValue.dagster_run(row["run_id"]),
                    "computed_at": row["committed_at"].isoformat(),
                },
                data_version=dg.DataVersion(row["data_version"]),
            )

    def _metadata(self, contract: TableContract, committed: Committed) -> dict[str, Any]:
        output, counts = committed.output, committed.counts[contract.table]
        first = contract is self.asset.outputs[0]
        return {
            **md.convert(output.metadata if first else {}, self.data_root),
            **(md.images(output.plots) if first else {}),
            "dagster/row_count": int(str(counts["n_rows"])),
            **{k: md.value(v) for k, v in counts.items() if k != "n_rows"},
            "rows_refused": committed.n_refused[contract],
            "seconds": round(self._seconds(), 2),
            "reused": False,
        }

    def _seconds(self) -> float:
        return time.monotonic() - self.started
