"""What a report is made from: the tables it reads and the facts of the run.

Belongs here: the two containers and the few questions every part asks of them. Does not belong
here: what any part says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

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
from btq_assets.contracts.base import TableContract

if TYPE_CHECKING:
    from btq_assets.evidence.verdict import Verdict

#: Strategy every other is compared with.
REFERENCE = "one_over_n"

#: Roles in the order of every table.
ROLES = ("candidate", "baseline", "benchmark")

#: How a strategy is called in running text and legends, where its own name is unwieldy.
LABELS = {REFERENCE: "1/N", "one_over_n_60_cash_40": "60 % 1/N + 40 % cash"}

#: Contract of each frame a `ReportFrames` holds, by field name.
CONTRACTS: dict[str, TableContract] = {
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
    "sensitivity": controls.SENSITIVITY,
    "transaction_costs": execution.TRANSACTION_COSTS,
    "deflated_sharpe": evidence.DEFLATED_SHARPE,
    "deflation_curves": evidence.DEFLATION_CURVES,
    "selection": evidence.SELECTION,
    "overfitting_ranks": evidence.OVERFITTING_RANKS,
    "discoveries": evidence.DISCOVERIES,
    "findings": evidence.FINDINGS,
    "measures": risk.MEASURES,
    "exceedances": risk.EXCEEDANCES,
    "drawdowns": risk.DRAWDOWNS,
    "stress": risk.STRESS,
    "simulations": risk.SIMULATIONS,
    "comparison": comparison.COMPARISON,
    "comparison_seeds": comparison.SEEDS,
    "comparison_decay": comparison.DECAY,
    "comparison_pairs": comparison.PAIRS,
    "comparison_ablations": comparison.ABLATIONS,
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
    "trials": evidence.TRIALS,
    "gates": evidence.GATES,
    "quarantine": quarantine.ROWS,
    "repairs": quality.REPAIRS,
    "provenance": house.PROVENANCE,
}


@dataclass(frozen=True)
class ReportFrames:
    """Tables of one report; a table that does not exist is empty.

    Parameters
    ----------
    tables
        Frames by the names of `CONTRACTS`.
    forecasts
        Model → rows of ``models.forecasts_<model>``.

    Raises
    ------
    KeyError
        A frame has a name that is not in `CONTRACTS`.
    """

    tables: Mapping[str, pl.DataFrame]
    forecasts: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.tables) - set(CONTRACTS)):
            raise KeyError(f"no table of a report is called {unknown}; known: {sorted(CONTRACTS)}")

    def __getitem__(self, name: str) -> pl.DataFrame:
        found = self.tables.get(name)
        return CONTRACTS[name].empty() if found is None else found

    @cached_property
    def figures(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Rows of ``backtest.metrics`` by strategy and metric."""
        return {
            (row["strategy"], row["metric"]): row for row in self["metrics"].iter_rows(named=True)
        }

    def figure(self, strategy: str, metric: str) -> float | None:
        """One figure; null where it is undefined or was not computed."""
        return self.figures.get((strategy, metric), {}).get("value")

    @property
    def span(self) -> tuple[datetime, datetime]:
        """First and last bar of the backtest."""
        first, last = (
            self["equity"].select(first=pl.col("ts").min(), last=pl.col("ts").max()).row(0)
        )
        return first, last

    def strategies(self, role: str) -> list[str]:
        """Strategies of a role, best Sharpe ratio first, undefined ones last."""
        names = self["runs"].filter(pl.col("role") == role)["strategy"].unique().sort().to_list()
        return sorted(names, key=lambda name: -(self.figure(name, "sharpe") or -1e9))

    @cached_property
    def everyone(self) -> list[str]:
        """All strategies: candidates, baselines, indices, each by Sharpe ratio."""
        return [name for role in ROLES for name in self.strategies(role)]

    @cached_property
    def shown(self) -> list[str]:
        """The two a table has room for: the leader and 1/N."""
        pair = [name for name in (self.leader, REFERENCE) if name in self.everyone]
        return [name for name in dict.fromkeys(pair) if name is not None]

    @cached_property
    def trial_ids(self) -> dict[str, str]:
        """Trial of each strategy: the one that was deflated, else its newest in the ledger."""
        newest = self["trials"].sort("recorded_at").unique("strategy", keep="last")
        found = dict(newest.select("strategy", "trial_id").iter_rows())
        return found | dict(self["deflated_sharpe"].select("strategy", "trial_id").iter_rows())

    @cached_property
    def leader(self) -> str | None:
        """Candidate with the highest Sharpe ratio; chosen to be looked at, not to be believed."""
        return next(iter(self.strategies("candidate")), None)

    @cached_property
    def best_baseline(self) -> str | None:
        """Baseline the comparisons name as the best one."""
        rows = self["comparisons"].filter(pl.col("against_role").str.contains("best_baseline"))
        return rows["against"][0] if rows.height else None


@dataclass(frozen=True)
class ReportContext:
    """Facts of the run.

    Parameters
    ----------
    config
        Configuration of the run.
    verdict
        Answer of `evidence.verdict.verdict`.
    run_id, generated_at
        Run, and its clock (UTC).
    code_version
        Hash of the report's own code.
    data_versions
        ``schema.table`` → hash of its content.
    lineage
        ``schema.table`` → run that computed it, and hash of the code of its asset.
    libraries
        Library → version.
    results_hash
        Hash over forecasts, targets, equity and metrics.
    attributions
        ``dataset``, ``package``, ``license``, ``attribution``, ``caveat`` of each source file.
    """

    config: TradingConfig
    verdict: Verdict
    run_id: str
    generated_at: datetime
    code_version: str
    data_versions: Mapping[str, str] = field(default_factory=dict)
    lineage: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    libraries: Mapping[str, str] = field(default_factory=dict)
    results_hash: str = ""
    attributions: pl.DataFrame = field(default_factory=pl.DataFrame)

    def source(self, *names: str) -> str:
        """Tables with data version, run and code, as the small print below a figure says them.

        Parameters
        ----------
        names
            Names in `CONTRACTS`, or ``schema.table``.
        """
        tables = [CONTRACTS[name].table if name in CONTRACTS else name for name in names]
        return ", ".join(self._version_of(table) for table in tables)

    def _version_of(self, table: str) -> str:
        text = table
        if table in self.data_versions:
            text += f" @ {self.data_versions[table][:12]}"
        if table in self.lineage:
            run, code = self.lineage[table]
            text += f" (run {run[:8]}, code {code[:8]})"
        return text


def label(strategy: str) -> str:
    """How a strategy is called in text and legends."""
    return LABELS.get(strategy, strategy)


def order_in(order: list[str], table: pl.DataFrame) -> list[str]:
    """Those of `order` that have rows in `table`, in that order."""
    have = set(table["strategy"].unique())
    return [name for name in order if name in have]
