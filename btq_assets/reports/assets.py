"""The report in the asset graph: everything computed, on one page."""

from __future__ import annotations

import hashlib
import json

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import (
    backtest,
    comparison,
    controls,
    core,
    evidence,
    execution,
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
from btq_assets.reports.gallery.assets import feature_plots
from btq_assets.warehouse import DataPaths, Step, TableAsset, TableOutput

__all__ = ["feature_plots", "risk_report"]

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
    "scenarios": backtest.SCENARIOS,
    "crises": backtest.CRISES,
    "stresses": backtest.STRESSES,
    "slices": backtest.SLICES,
    "attribution": backtest.ATTRIBUTION,
    "transaction_costs": execution.TRANSACTION_COSTS,
    "deflated_sharpe": evidence.DEFLATED_SHARPE,
    "deflation_curves": evidence.DEFLATION_CURVES,
    "overfitting_ranks": evidence.OVERFITTING_RANKS,
    "discoveries": evidence.DISCOVERIES,
    "selection": evidence.SELECTION,
    "findings": evidence.FINDINGS,
    "measures": risk.MEASURES,
    "exceedances": risk.EXCEEDANCES,
    "drawdowns": risk.DRAWDOWNS,
    "stress": risk.STRESS,
    "simulations": risk.SIMULATIONS,
    "splits": models.SPLITS,
    "training_set": models.TRAINING_SET,
    "states": regimes.STATES,
    "market_states": regimes.MARKET_STATES,
    "hidden_states": regimes.HIDDEN_STATES,
    "volatility_states": regimes.VOLATILITY_STATES,
    "change_points": regimes.CHANGE_POINTS,
    "stress_index": regimes.STRESS_INDEX,
    "correlation_breaks": regimes.CORRELATION_BREAKS,
    "regime_parameters": regimes.PARAMETERS,
    "instruments": core.INSTRUMENTS,
    "bars": core.BARS_1D,
    "macro": core.MACRO_VINTAGES,
    "documents": core.DOCUMENTS,
    "catalogue": features.CATALOGUE,
    "feature_quality": features.QUALITY,
    "feature_plots": report.FEATURE_PLOTS,
    "importances_ridge": models.IMPORTANCES_RIDGE,
    "importances_lightgbm": models.IMPORTANCES_LIGHTGBM,
    "importance": models.IMPORTANCE,
    "weight_reasons": portfolio.WEIGHT_REASONS,
    "weight_contributions": portfolio.WEIGHT_CONTRIBUTIONS,
    "repairs": quality.REPAIRS,
    **_FORECASTS,
    **_TARGETS,
}


#: Made by jobs of their own, so they may be absent; the page then says so.
_OF_OTHER_JOBS = {
    "sensitivity": controls.SENSITIVITY,
    "comparison": comparison.COMPARISON,
    "comparison_seeds": comparison.SEEDS,
    "comparison_decay": comparison.DECAY,
    "comparison_pairs": comparison.PAIRS,
    "comparison_ablations": comparison.ABLATIONS,
}


def _library_versions(_: TradingConfig) -> str:
    from btq_assets.warehouse import library_versions

    return json.dumps(library_versions(), sort_keys=True)


def _version_of(provenance: pl.DataFrame, table: str) -> dict[str, str]:
    """Data version of a table that is no input, where the books know it."""
    rows = provenance.filter(pl.col("table_name") == table)
    return dict(rows.select("table_name", "data_version").iter_rows())


def _is_written(paths: DataPaths) -> bool:
    """Whether the page is still where the last run wrote it."""
    return (paths.reports / f"{REPORT_NAME}.html").is_file()


def _risk_report(step: Step, **tables: pl.DataFrame) -> TableOutput:
    """Write the self-contained HTML report; a page that fails a check replaces no earlier one."""
    from btq_assets.evidence.verdict import verdict
    from btq_assets.models.stages import stage_changes
    from btq_assets.reports.assemble import assemble, results_hash
    from btq_assets.reports.caveats import null_families
    from btq_assets.reports.checks import examine
    from btq_assets.reports.frames import CONTRACTS, ReportContext, ReportFrames, label
    from btq_assets.reports.images import images
    from btq_assets.reports.numbers import numbers
    from btq_assets.reports.render import render
    from btq_assets.sources.credits import attributions
    from btq_assets.warehouse import library_versions

    frames = ReportFrames(
        {
            **{name: frame for name, frame in tables.items() if name in CONTRACTS},
            **{name: step.read_ledger(table) for name, table in _OF_OTHER_JOBS.items()},
            "trials": step.read_ledger(evidence.TRIALS),
            "gates": step.read_ledger(evidence.GATES),
            "quarantine": step.read_ledger(quarantine.ROWS),
            "provenance": step.read_ledger(house.PROVENANCE),
        },
        {
            name: tables[name].filter(
                pl.col("horizon_sessions") == step.config.models.horizon_sessions
            )
            for name in _FORECASTS
        },
    )
    versions = {_INPUTS[name].table: version for name, version in step.data_versions.items()}
    for table in _OF_OTHER_JOBS.values():
        versions |= _version_of(frames["provenance"], table.table)
    judged = verdict(
        frames["comparisons"],
        frames["deflated_sharpe"],
        frames["runs"],
        tables["discoveries"],
    )
    computed = results_hash(versions)
    context = ReportContext(
        config=step.config,
        verdict=judged,
        run_id=step.run_id,
        generated_at=step.now,
        code_version=step.code_version,
        data_versions=versions,
        lineage={
            table: (run, code)
            for table, run, code in frames["provenance"]
            .select("table_name", "run_id", "code_version")
            .iter_rows()
        },
        libraries=library_versions(),
        results_hash=computed,
        attributions=attributions() if step.config.sources.sample.enabled else pl.DataFrame(),
    )
    view = assemble(frames, context)
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
    shown = numbers(
        view,
        REPORT_NAME,
        {label(strategy): trial for strategy, trial in frames.trial_ids.items()},
        context.source(
            "comparisons", "deflated_sharpe", "selection", "discoveries", "findings", "metrics"
        ),
    )
    return TableOutput(
        {
            report.RISK_REPORT.table: pl.DataFrame([row], schema=report.RISK_REPORT.schema),
            report.NUMBERS.table: shown,
        },
        metadata={
            "report_path": path,
            "verdict": judged.sentence,
            "n_caveats": len(view.caveats),
            "n_numbers": shown.height,
            "results_hash": computed,
            "size_kib": round(len(html.encode()) / 1024),
        },
        plots=images(frames),
        ledgers={
            models.STAGES: stage_changes(
                step.read_ledger(models.REGISTRY),
                step.read_ledger(models.STAGES),
                judged,
                frames["gates"],
                run_id=step.run_id,
                at=step.now,
            )
        },
        answers=answers,
    )


risk_report = TableAsset(
    compute=_risk_report,
    outputs=(report.RISK_REPORT, report.NUMBERS),
    inputs=_INPUTS,
    config=("profile", "universe", "sources", "regimes", "models", "backtest", "risk"),
    code=(
        "btq_assets.reports",
        "btq_assets.plots",
        "btq_assets.evidence.verdict",
        "btq_assets.models.stages",
        "btq_assets.models.comparison.conclusion",
        "btq_assets.regimes.panel",
        "btq_assets.execution.cost_analysis",
        "btq_assets.backtest.sensitivity",
        "btq_assets.sources.credits",
        __name__,
    ),
    checks=CHECKS,
    group="report",
    source_version=_library_versions,
    # The house's books are read too, but say nothing that the versions of the inputs do not. The
    # ledger of stages is written here: counting it would have the page made again after itself.
    ledgers=(
        *_OF_OTHER_JOBS.values(),
        evidence.TRIALS,
        evidence.GATES,
        models.REGISTRY,
        quarantine.ROWS,
    ),
    reuse=_is_written,
)
