"""The report in the asset graph: everything computed, on one page."""

from __future__ import annotations

import hashlib
import json

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import (
    backtest,
    core,
    evidence,
    features,
    house,
    models,
    portfolio,
    quality,
    quarantine,
    regimes,
    report,
    risk,
)
from btq_assets.reports.checks import CHECKS
from btq_assets.warehouse import DataPaths, Step, TableOutput, table_asset

REPORT_NAME = "risk_report"

_FORECASTS = {
    "ridge": models.FORECASTS_RIDGE,
    "lightgbm": models.FORECASTS_LIGHTGBM,
    "transformer_gnn": models.FORECASTS_TRANSFORMER_GNN,
}

#: Their versions are part of the results hash.
_TARGETS = {
    "targets_rank": portfolio.TARGETS_RANK,
    "targets_kelly": portfolio.TARGETS_KELLY,
    "targets_hrp": portfolio.TARGETS_HRP,
    "targets_ppo": portfolio.TARGETS_PPO,
    "targets_baselines": portfolio.TARGETS_BASELINES,
    "targets_regime": portfolio.TARGETS_REGIME,
}

_INPUTS = {
    "runs": backtest.RUNS,
    "equity": backtest.EQUITY,
    "metrics": backtest.METRICS,
    "comparisons": backtest.COMPARISONS,
    "positions": backtest.POSITIONS,
    "deflated_sharpe": evidence.DEFLATED_SHARPE,
    "measures": risk.MEASURES,
    "exceedances": risk.EXCEEDANCES,
    "drawdowns": risk.DRAWDOWNS,
    "stress": risk.STRESS,
    "simulations": risk.SIMULATIONS,
    "splits": models.SPLITS,
    "training_set": models.TRAINING_SET,
    "states": regimes.STATES,
    "instruments": core.INSTRUMENTS,
    "bars": core.BARS_1D,
    "macro": core.MACRO_VINTAGES,
    "documents": core.DOCUMENTS,
    "catalogue": features.CATALOGUE,
    "repairs": quality.REPAIRS,
    **_FORECASTS,
    **_TARGETS,
}


def _library_versions(_: TradingConfig) -> str:
    from btq_assets.warehouse import library_versions

    return json.dumps(library_versions(), sort_keys=True)


def _is_written(paths: DataPaths) -> bool:
    """Whether the page is still where the last run wrote it."""
    return (paths.reports / f"{REPORT_NAME}.html").is_file()


@table_asset(
    outputs=(report.RISK_REPORT,),
    inputs=_INPUTS,
    config=("profile", "universe", "sources", "regimes", "models", "backtest", "risk"),
    code=(
        "btq_assets.reports",
        "btq_assets.plots",
        "btq_assets.evidence.verdict",
        "btq_assets.sources.credits",
    ),
    checks=CHECKS,
    group="report",
    source_version=_library_versions,
    # The house's books are read too, but say nothing that the versions of the inputs do not.
    ledgers=(evidence.TRIALS, evidence.GATES, quarantine.ROWS),
    reuse=_is_written,
)
def risk_report(
    step: Step,
    runs: pl.DataFrame,
    equity: pl.DataFrame,
    metrics: pl.DataFrame,
    comparisons: pl.DataFrame,
    positions: pl.DataFrame,
    deflated_sharpe: pl.DataFrame,
    measures: pl.DataFrame,
    exceedances: pl.DataFrame,
    drawdowns: pl.DataFrame,
    stress: pl.DataFrame,
    simulations: pl.DataFrame,
    splits: pl.DataFrame,
    training_set: pl.DataFrame,
    states: pl.DataFrame,
    instruments: pl.DataFrame,
    bars: pl.DataFrame,
    macro: pl.DataFrame,
    documents: pl.DataFrame,
    catalogue: pl.DataFrame,
    repairs: pl.DataFrame,
    ridge: pl.DataFrame,
    lightgbm: pl.DataFrame,
    transformer_gnn: pl.DataFrame,
    targets_rank: pl.DataFrame,
    targets_kelly: pl.DataFrame,
    targets_hrp: pl.DataFrame,
    targets_ppo: pl.DataFrame,
    targets_baselines: pl.DataFrame,
    targets_regime: pl.DataFrame,
) -> TableOutput:
    """Write the self-contained HTML report; a page that fails a check replaces no earlier one."""
    from btq_assets.evidence.verdict import verdict
    from btq_assets.reports.assemble import assemble, results_hash
    from btq_assets.reports.caveats import null_families
    from btq_assets.reports.checks import examine
    from btq_assets.reports.frames import ReportContext, ReportFrames
    from btq_assets.reports.images import images
    from btq_assets.reports.render import render
    from btq_assets.sources.credits import attributions
    from btq_assets.warehouse import library_versions

    frames = ReportFrames(
        {
            "runs": runs,
            "equity": equity,
            "metrics": metrics,
            "comparisons": comparisons,
            "positions": positions,
            "deflated_sharpe": deflated_sharpe,
            "measures": measures,
            "exceedances": exceedances,
            "drawdowns": drawdowns,
            "stress": stress,
            "simulations": simulations,
            "splits": splits,
            "training_set": training_set,
            "states": states,
            "instruments": instruments,
            "bars": bars,
            "macro": macro,
            "documents": documents,
            "catalogue": catalogue,
            "repairs": repairs,
            "trials": step.read_ledger(evidence.TRIALS),
            "gates": step.read_ledger(evidence.GATES),
            "quarantine": step.read_ledger(quarantine.ROWS),
            "provenance": step.read_ledger(house.PROVENANCE),
        },
        {"ridge": ridge, "lightgbm": lightgbm, "transformer_gnn": transformer_gnn},
    )
    versions = {_INPUTS[name].table: version for name, version in step.data_versions.items()}
    judged = verdict(comparisons, deflated_sharpe, runs)
    computed = results_hash(versions)
    view = assemble(
        frames,
        ReportContext(
            config=step.config,
            verdict=judged,
            run_id=step.run_id,
            generated_at=step.now,
            code_version=step.code_version,
            data_versions=versions,
            libraries=library_versions(),
            results_hash=computed,
            attributions=attributions() if step.config.sources.sample.enabled else pl.DataFrame(),
        ),
    )
    html = render(view)
    families = [name for name, _, _ in null_families(frames, step.config.universe.main)]
    answers = examine(html, view, families)
    refused = "" if all(answer.passed for answer in answers) else ".refused"
    path = step.artifacts.write_report(f"{REPORT_NAME}{refused}.html", html)
    row = {
        "report": REPORT_NAME,
        "path": path,
        "sha256": hashlib.sha256(html.encode()).hexdigest(),
        "verdict": judged.sentence,
        "n_caveats": len(view.caveats),
        "results_hash": computed,
    }
    return TableOutput(
        pl.DataFrame([row], schema=report.RISK_REPORT.schema),
        metadata={
            "report_path": path,
            "verdict": judged.sentence,
            "n_caveats": len(view.caveats),
            "results_hash": computed,
            "size_kib": round(len(html.encode()) / 1024),
        },
        plots=images(frames),
        answers=answers,
    )
