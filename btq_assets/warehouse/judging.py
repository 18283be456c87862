"""Whether what a step handed over may be stored: contract, checks, and what is refused.

Belongs here: casting to the contracts, parting possible rows from impossible ones, answering every
check on the frames in memory. Does not belong here: writing (`committing`), what a check asks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts.base import TableContract, cast_to_contract
from btq_assets.contracts.checks import CheckContext, CheckOutcome
from btq_assets.warehouse.database import Warehouse
from btq_assets.warehouse.inputs import StepInputs
from btq_assets.warehouse.outcomes import CONTRACT_CHECK, Answer, contract_outcome
from btq_assets.warehouse.quarantine import quarantine_rows, split_violations
from btq_assets.warehouse.step import TableOutput

if TYPE_CHECKING:
    from btq_assets.warehouse.asset_factory import TableAsset


@dataclass(frozen=True)
class Judged:
    """What a step handed over, judged.

    Parameters
    ----------
    output
        As it was handed over.
    kept
        Rows that may be stored, in the contract's types, by table.
    n_refused
        Rows the contract refused, by table.
    refused
        The same, and those refused while parsing, as rows of the quarantine.
    answers
        Every check with its outcome.
    """

    output: TableOutput
    kept: Mapping[TableContract, pl.DataFrame]
    n_refused: Mapping[TableContract, int]
    refused: pl.DataFrame
    answers: tuple[Answer, ...]

    @property
    def failed(self) -> list[Answer]:
        """Blocking checks that did not pass: with any of them nothing is stored."""
        return [a for a in self.answers if not a[2].passed and a[1].blocking]


@dataclass(frozen=True)
class Judge:
    """Judges the parts of one execution of `asset`, beside what is stored."""

    asset: TableAsset
    warehouse: Warehouse
    config: TradingConfig
    inputs: StepInputs
    run_id: str
    now: datetime

    def judge(self, output: TableOutput) -> Judged:
        """Cast, part and check what was handed over.

        Raises
        ------
        dagster.Failure
            The tables are not those the asset declares.
        """
        kept, rejected = self._parted(output)
        answers = tuple(
            (contract, spec, self._standing(contract, outcome, kept[contract]))
            for contract, spec, outcome in self._answers(output, kept, rejected)
        )
        return Judged(
            output,
            kept,
            {contract: frame.height for contract, frame in rejected.items()},
            self._quarantined(output, rejected),
            answers,
        )

    def _parted(
        self, output: TableOutput
    ) -> tuple[dict[TableContract, pl.DataFrame], dict[TableContract, pl.DataFrame]]:
        """Possible and impossible rows of each table."""
        outputs = self.asset.outputs
        frames = output.frames
        if isinstance(frames, pl.DataFrame):
            frames = {outputs[0].table: frames}
        missing = [contract.table for contract in outputs if contract.table not in frames]
        if missing or len(frames) != len(outputs):
            raise dg.Failure(
                f"{self.asset.name} must return {[c.table for c in outputs]}, "
                f"it returned {sorted(frames)}"
            )
        kept, rejected = {}, {}
        for contract in outputs:
            cast = cast_to_contract(frames[contract.table], contract)
            kept[contract], rejected[contract] = split_violations(cast, contract)
        return kept, rejected

    def _answers(
        self,
        output: TableOutput,
        kept: Mapping[TableContract, pl.DataFrame],
        rejected: Mapping[TableContract, pl.DataFrame],
    ) -> list[Answer]:
        by_name: dict[tuple[str, str], CheckOutcome] = {}
        first = self.asset.outputs[0].table
        for contract in self.asset.outputs:
            by_name[contract.table, CONTRACT_CHECK] = contract_outcome(
                contract, kept[contract], rejected[contract]
            )
        context = CheckContext(
            frames={contract.table: frame for contract, frame in kept.items()},
            inputs={**self.inputs.frames, **output.made_from},
            config=self.config,
            answers={outcome.name: outcome for outcome in output.answers},
            stored=self._stored_rows,
        )
        for group in self.asset.checks:
            for outcome in group.answer(context):
                by_name[first, outcome.name] = outcome
        return [
            (contract, spec, by_name[contract.table, spec.name])
            for contract, spec in self.asset.check_specs
        ]

    def _stored_rows(self, table: str, spans: pl.DataFrame, order: str) -> pl.DataFrame:
        """What a check may see of a table that only grows, beside the rows about to be added."""
        contract = next(contract for contract in self.asset.outputs if contract.table == table)
        if not contract.append_only:
            return contract.empty()
        return self.warehouse.read_spans(contract, spans, order)

    def _standing(
        self, contract: TableContract, outcome: CheckOutcome, fresh: pl.DataFrame
    ) -> CheckOutcome:
        """The answer about what is stored, where nothing was appended that could be judged.

        Every check holds of no rows: without this, a recomputation that finds nothing new would
        clear the warnings about the rows that are there.
        """
        row = self.inputs.books.get(contract.table)
        if not contract.append_only or fresh.height or row is None:
            return outcome
        known = json.loads(row["checks_json"]).get(outcome.name)
        if known is None or outcome.name == CONTRACT_CHECK or not outcome.passed:
            return outcome
        return CheckOutcome(outcome.name, known["passed"], known["message"], {"rows_judged": 0})

    def _quarantined(
        self, output: TableOutput, rejected: Mapping[TableContract, pl.DataFrame]
    ) -> pl.DataFrame:
        parts = [
            quarantine_rows(frame, contract.table, self.run_id, self.now)
            for contract, frame in rejected.items()
        ]
        if output.rejected is not None:
            parts.append(
                quarantine_rows(output.rejected, self.asset.outputs[0].table, self.run_id, self.now)
            )
        return pl.concat(parts)
