"""Dagster side of promised and measured figures: thin, no logic."""

from __future__ import annotations

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import backtest
from btq_assets.contracts.figures import FIGURES
from btq_assets.warehouse import Step, TableOutput, code_version, table_asset


def _record() -> str:
    """What the benchmarks wrote, by whoever ran them last and meant to keep it."""
    from importlib import resources

    return resources.files("btq_assets.evidence.figures").joinpath("measured.jsonl").read_text()


def _code() -> dict[str, str]:
    """Version of the code each figure speaks of."""
    from btq_assets.evidence.figures.promises import PROMISES

    return {one.figure: code_version(one.code) for one in PROMISES if one.code}


def _record_version(_: TradingConfig) -> str:
    import hashlib

    return hashlib.sha256(f"{_record()}{sorted(_code().items())}".encode()).hexdigest()


@table_asset(
    outputs=(FIGURES,),
    inputs={"runs": backtest.RUNS, "metrics": backtest.METRICS},
    code=("btq_assets.evidence.figures", "btq_assets.contracts.figures"),
    group="mart",
    source_version=_record_version,
)
def promised_figures(step: Step, runs: pl.DataFrame, metrics: pl.DataFrame) -> TableOutput:
    """Put each promised figure beside the last one measured, with the verdict."""
    from btq_assets.evidence.figures.promised import figures
    from btq_assets.evidence.figures.returns import figures_of_returns

    table = pl.concat([figures(_record(), _code()), figures_of_returns(runs, metrics)])
    table = table.sort(FIGURES.key)
    verdicts = table.group_by("verdict").len("figures").sort("verdict")
    step.log(", ".join(f"{n} {verdict}" for verdict, n in verdicts.iter_rows()))
    return TableOutput(
        table,
        metadata={
            "verdicts": verdicts,
            "figures": table.select("figure", "promised", "measured", "verdict", "note"),
        },
    )
