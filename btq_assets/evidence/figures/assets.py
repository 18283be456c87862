"""Dagster side of promised and measured figures: thin, no logic."""

from __future__ import annotations

from btq_assets.config import TradingConfig
from btq_assets.contracts.figures import FIGURES
from btq_assets.warehouse import Step, TableOutput, table_asset


def _record() -> str:
    """What the benchmarks wrote, by whoever ran them last and meant to keep it."""
    from importlib import resources

    return resources.files("btq_assets.evidence.figures").joinpath("measured.jsonl").read_text()


def _record_version(_: TradingConfig) -> str:
    import hashlib

    return hashlib.sha256(_record().encode()).hexdigest()


@table_asset(
    outputs=(FIGURES,),
    code=("btq_assets.evidence.figures.promised", "btq_assets.contracts.figures"),
    group="mart",
    source_version=_record_version,
)
def promised_figures(step: Step) -> TableOutput:
    """Put each promised figure beside the last one a benchmark wrote down, with the verdict."""
    from btq_assets.evidence.figures.promised import figures

    table = figures(_record())
    verdicts = table.group_by("verdict").len("figures").sort("verdict")
    step.log(", ".join(f"{n} {verdict}" for verdict, n in verdicts.iter_rows()))
    return TableOutput(
        table,
        metadata={
            "verdicts": verdicts,
            "figures": table.select("figure", "promised", "measured", "verdict"),
        },
    )
