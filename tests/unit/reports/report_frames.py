"""Small SYNTHETIC tables in the shape of every contract a report reads."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import numpy as np
import polars as pl
from backtest_frames import add_backtest, add_curves
from comparison_frames import add_comparison
from regime_frames import add_bars, add_feature_quality, add_regimes
from why_frames import add_why

from btq_assets.config import TradingConfig
from btq_assets.contracts import features, models
from btq_assets.contracts.base import TableContract, cast_to_contract
from btq_assets.evidence.verdict import CandidateVerdict, Verdict
from btq_assets.reports.frames import CONTRACTS, ReportContext, ReportFrames

CANDIDATES = ("ridge", "ridge_macro", "lightgbm", "transformer_gnn", "hrp", "ppo")
BASELINES = ("one_over_n", "buy_and_hold", "momentum_12_1", "risk_parity")
INDEX = "sp500_price_index"
SYMBOLS = tuple(f"S{n:02d}" for n in range(8))
NOW = dt.datetime(2024, 5, 17, 12, 30, tzinfo=dt.UTC)


VERDICT = Verdict(
    "At least 14 trials were made, 6 candidates judged: nothing beats 1/N.",
    (),
    14,
    tuple(CandidateVerdict(name, False, ("deflated Sharpe ratio 0.310",)) for name in CANDIDATES),
)


def fill(contract: TableContract, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows of a table; text and number columns nobody cares about are filled in."""
    plain: dict[Any, Any] = {
        pl.String: "", pl.Int64: 1, pl.Float64: None, pl.Boolean: True, pl.Date: dt.date(2005, 1, 3)
    }  # fmt: skip
    defaults = {
        column.name: None if column.nullable else plain.get(column.dtype, NOW)
        for column in contract.columns
    }
    frame = pl.DataFrame([defaults | row for row in rows], schema=contract.schema)
    return cast_to_contract(frame, contract)


def sessions(n: int) -> list[dt.datetime]:
    days, day = [], dt.datetime(2005, 1, 3, 21, tzinfo=dt.UTC)
    while len(days) < n:
        if day.weekday() < 5:
            days.append(day)
        day += dt.timedelta(days=1)
    return days


def make_frames(n_sessions: int = 700, seed: int = 3) -> ReportFrames:
    """Tables of one run over `n_sessions` sessions."""
    random = np.random.default_rng(seed)
    stamps = sessions(n_sessions)
    names = (*CANDIDATES, *BASELINES, INDEX)
    market = random.standard_t(4, n_sessions) * 0.007 + 3e-4
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTRACTS}
    for strategy in names:
        role = _role(strategy)
        returns = market + random.normal(0, 0.002, n_sessions)
        returns[0] = 0.0
        equity = 1e6 * np.cumprod(1 + returns)
        tables["runs"].append(
            {"run_id": f"run-{strategy}", "strategy": strategy, "universe": "us20", "role": role,
             "first_ts": stamps[0], "last_ts": stamps[-1], "initial_cash": 1e6,
             "identity_error": 1e-13, "n_rejected_orders": 0, "costs_json": "{}",
             "notes": "impact is null, raw volume is unknown" if role != "benchmark" else ""}
        )  # fmt: skip
        for i, ts in enumerate(stamps):
            gross = 0.0 if i < 3 else 0.7 + 0.3 * np.sin(i / 90) ** 2
            tables["equity"].append(
                {"run_id": f"run-{strategy}", "strategy": strategy, "ts": ts, "equity": equity[i],
                 "cash": equity[i] * (1 - gross), "gross_exposure": gross, "net_exposure": gross,
                 "turnover": 0.01, "cost": 3.0, "net_return": None if i == 0 else returns[i]}
            )  # fmt: skip
        _add_figures(tables, strategy, returns)
        if role != "benchmark":
            _add_risk(tables, strategy, stamps, returns, random)
        if role == "candidate":
            tables["trials"].append(
                {"trial_id": f"trial-{strategy}", "strategy": strategy, "universe": "us20",
                 "question": "q", "purpose": "candidate", "recorded_at": NOW}
            )  # fmt: skip
            tables["deflated_sharpe"].append(
                {"strategy": strategy, "trial_id": f"trial-{strategy}", "question": "q",
                 "n_trials": 14, "n_returns": n_sessions, "sharpe_per_period": 0.04,
                 "expected_maximum_sharpe": 0.05, "probabilistic_sharpe": 0.97,
                 "deflated_sharpe": 0.31}
            )  # fmt: skip
    for strategy in (*CANDIDATES, *BASELINES):
        for ts in stamps[4::5]:
            weights = random.dirichlet(np.ones(len(SYMBOLS)))
            tables["positions"] += [
                {"run_id": f"run-{strategy}", "strategy": strategy, "symbol": symbol, "ts": ts,
                 "shares": 10.0, "value": 100.0, "weight": float(weight)}
                for symbol, weight in zip(SYMBOLS, weights, strict=True)
            ]  # fmt: skip
    _add_the_rest(tables, stamps, random)
    add_comparison(tables)
    add_why(tables, SYMBOLS)
    frames = {name: fill(CONTRACTS[name], rows) for name, rows in tables.items() if rows}
    frames["training_set"], forecasts = _training_set(stamps, random)
    return ReportFrames(frames, forecasts)


def make_context(config: TradingConfig | None = None, verdict: Any = VERDICT) -> ReportContext:
    versions = {contract.table: f"{n:016x}" for n, contract in enumerate(CONTRACTS.values())}
    return ReportContext(
        config=config or TradingConfig(backtest={"bootstrap_samples": 100}),
        verdict=verdict,
        run_id="0f3c9a52-synthetic-run",
        generated_at=NOW,
        code_version="0123456789abcdef",
        data_versions=versions,
        libraries={"numpy": "2.4.6", "polars": "2.1.0"},
        results_hash="ab" * 32,
    )


def _role(strategy: str) -> str:
    if strategy == INDEX:
        return "benchmark"
    return "candidate" if strategy in CANDIDATES else "baseline"


def _add_figures(tables: dict, strategy: str, returns: np.ndarray) -> None:
    sharpe = float(returns.mean() / returns.std() * 252**0.5)
    for metric, value, width in (
        ("annual_return", 0.08, 0.05), ("annual_volatility", 0.14, 0.01), ("sharpe", sharpe, 0.4),
        ("sortino", 0.9, 0.5), ("calmar", 0.3, None), ("max_drawdown", 0.31, None),
        ("win_rate", 0.53, 0.01), ("turnover_annual", 4.2, None), ("cost_annual", 0.0013, None),
        ("information_ratio", None, None),
    ):  # fmt: skip
        tables["metrics"].append(
            {"run_id": f"run-{strategy}", "strategy": strategy, "metric": metric, "value": value,
             "ci_low": None if width is None or value is None else value - width,
             "ci_high": None if width is None or value is None else value + width,
             "unit": "annualised", "note": "undefined for this run" if value is None else ""}
        )  # fmt: skip
    if strategy == INDEX:
        return
    for against, role in (("one_over_n", "one_over_n"), ("risk_parity", "best_baseline")):
        if strategy != against:
            shift = (len(strategy) - 9) / 200
            tables["comparisons"].append(
                {"strategy": strategy, "against": against, "against_role": role, "n": 699,
                 "mean_difference_annual": shift, "ci_low_annual": shift - 0.02,
                 "ci_high_annual": shift + 0.02, "sharpe_difference": 3 * shift,
                 "sharpe_difference_ci_low": 3 * shift - 0.1,
                 "sharpe_difference_ci_high": 3 * shift + 0.1, "significant": False}
            )  # fmt: skip


def _add_risk(tables: dict, strategy: str, stamps: list, returns: np.ndarray, random: Any) -> None:
    for i in range(len(stamps) // 2, len(stamps)):
        past = returns[max(0, i - 250) : i]
        for level in (0.95, 0.99):
            for measure, scale in (("var", 1.0), ("cvar", 1.3)):
                for method in ("historical", "cornish_fisher"):
                    valid = method == "historical" or i % 7 > 0
                    value = float(-np.quantile(past, 1 - level)) * scale if valid else None
                    tables["measures"].append(
                        {"strategy": strategy, "ts": stamps[i], "measure": measure,
                         "method": method, "level": level, "value": value, "valid": valid,
                         "n_window": 500}
                    )  # fmt: skip
    for method in ("historical", "cornish_fisher"):
        tables["exceedances"] += [
            {"strategy": strategy, "method": method, "level": level, "n": 350,
             "expected": 350 * (1 - level), "observed": observed, "kupiec_p": p,
             "note": "quantile rule: linear interpolation"}
            for level, observed, p in ((0.95, 19, 0.71), (0.99, 9, 0.02))
        ]  # fmt: skip
    tables["drawdowns"] += [
        {"strategy": strategy, "rank": rank, "peak_ts": stamps[50 * rank],
         "trough_ts": stamps[50 * rank + 9],
         "recovered_ts": stamps[50 * rank + 30] if rank > 1 else None, "depth": 0.4 / rank,
         "n_sessions": 30}
        for rank in (1, 2, 3)
    ]  # fmt: skip
    windows = (("dot-com", 2000, 2002, False), ("2008 crash", 2007, 2009, True),
               ("Covid", 2020, 2020, True))  # fmt: skip
    tables["stress"] += [
        {"strategy": strategy, "scenario": name, "covered": covered,
         "window_start": dt.datetime(start, 2, 1, tzinfo=dt.UTC),
         "window_end": dt.datetime(end, 10, 1, tzinfo=dt.UTC),
         "window_return": -0.3 if covered else None, "max_drawdown": 0.4 if covered else None,
         "worst_day": -0.09 if covered else None,
         "note": "" if covered else "the data begin in 2005"}
        for name, start, end, covered in windows
    ]  # fmt: skip
    tables["simulations"] += [
        {"strategy": strategy, "method": "block_bootstrap", "n_paths": 10_000,
         "horizon_sessions": 252, "statistic": statistic, "value": value, "seed": 4321}
        for statistic, value in (
            ("terminal_return_p01", -0.3), ("terminal_return_p05", -0.17),
            ("terminal_return_p50", 0.09), ("terminal_return_p95", 0.4),
            ("probability_of_loss", 0.3), ("max_drawdown_p50", 0.12), ("max_drawdown_p95", 0.3),
        )
    ]  # fmt: skip


def _add_the_rest(tables: dict, stamps: list, random: Any) -> None:
    for fold in (0, 1):
        half = len(stamps) // 2
        tables["splits"].append(
            {"universe": "us20", "fold": fold, "test_start": stamps[fold * half],
             "test_end": stamps[(fold + 1) * half - 1]}
        )  # fmt: skip
    level = np.clip(np.abs(np.cumsum(random.normal(0, 0.08, len(stamps)))) % 1, 0, 1)
    tables["states"] = [
        {"scope": "us20", "ts": ts, "p_calm": float(1 - p), "p_turbulent": float(p),
         "state": "turbulent" if p > 0.5 else "calm", "trend": ("bull", "bear")[i // 200 % 2],
         "calm_volatility_annual": 0.11, "turbulent_volatility_annual": 0.31,
         "converged": i > 20}
        for i, (ts, p) in enumerate(zip(stamps, level, strict=True))
    ]  # fmt: skip
    tables["instruments"] = [
        {"universe": universe, "symbol": symbol, "source": "sample", "dataset": "synthetic_prices",
         "price_basis": basis, "caveat": caveat, "first_ts": stamps[0], "last_ts": stamps[-1],
         "n_bars": len(stamps)}
        for universe, symbol, basis, caveat in (
            *(("us20", s, "adjusted_close_only", "SURVIVORS: picked with hindsight; BSD-3 <licence>")
              for s in SYMBOLS),
            ("benchmark", "^SP500", "price_index", "price index without dividends"),
        )
    ]  # fmt: skip
    add_bars(tables, stamps, (SYMBOLS[2], SYMBOLS[3]), random)
    add_regimes(tables, stamps, random)
    add_feature_quality(tables, stamps)
    tables["macro"] = [
        {"series_id": series, "period": period, "known_at": NOW, "value": 1.0, "unit": "index",
         "revision": revision}
        for series, revision, period in (
            ("CPILFESL", "REVISED", dt.date(2005, 3, 1)), ("VIXCLS", "FINAL", dt.date(2005, 2, 1)),
            ("FRBNY:PAYEMS", "VINTAGE", stamps[-1].date()),
        )
    ]  # fmt: skip
    tables["documents"] = [
        {"doc_id": str(n), "symbol": SYMBOLS[n % 8], "published_at": stamps[n], "known_at": NOW,
         "headline": "made up", "label": "SYNTHETIC"}
        for n in range(30)
    ]  # fmt: skip
    tables["quarantine"] = [
        {"row_id": str(n), "table_name": "raw.bars_sample", "reason": "high < low",
         "row_json": "{}", "received_at": NOW}
        for n in range(4)
    ]  # fmt: skip
    tables["repairs"] = [
        {"table_name": "raw.bars_sample", "key_json": "{}", "column_name": "adj_close",
         "kind": "missed_split", "before": 1.0, "after": 3.0, "factor": 3.0, "source": "sample",
         "dataset": "closes", "symbol": SYMBOLS[0], "freq": "1d", "from_ts": stamps[0],
         "to_ts": stamps[9], "n_bars": 10, "confidence": 0.85, "evidence": "made up",
         "evidence_known_at": NOW, "proposed_at": NOW, "applied": False}
    ]  # fmt: skip
    _add_evidence(tables)
    add_curves(tables)
    add_backtest(tables, (*CANDIDATES, *BASELINES), NOW)
    tables["gates"] = [
        {"subject": "ridge", "gate": "deflated_sharpe", "run_id": "a", "passed": False,
         "recorded_at": NOW}
    ]  # fmt: skip
    answers = {
        "contract": {"passed": True, "message": ""},
        "stale_prices": {"passed": False, "message": "3 symbols stand still for 10 sessions"},
    }
    tables["provenance"] = [
        {"table_name": table, "data_version": "d" * 16, "code_version": "c" * 16,
         "run_id": "0f3c9a52-synthetic-run", "n_rows": 100, "committed_at": NOW,
         "checks_json": json.dumps(answers)}
        for table in ("raw.bars_sample", "backtest.equity")
    ]  # fmt: skip


def _add_evidence(tables: dict) -> None:
    """One question judged, another too small to be."""
    tables["selection"] = [
        {"question": "q", "universe": "us20", "n_trials": 14, "n_compared": 6, "n_returns": 700,
         "years": 2.8, "n_effective": 3, "n_effective_spectral": 2.4,
         "minimum_backtest_years": 3.1, "overfitting_probability": 0.42, "overfitting_blocks": 16,
         "overfitting_splits": 12_870, "loss_probability": 0.2, "degradation_slope": -0.35,
         "reality_check_p": 0.61, "spa_lower_p": 0.31, "spa_consistent_p": 0.52,
         "spa_upper_p": 0.61},
        {"question": "r", "universe": "us_ohlcv", "n_trials": 3, "n_compared": 3, "n_returns": 700,
         "years": 2.8, "note": "3 candidates, 10 are needed"},
    ]  # fmt: skip
    tables["discoveries"] = [
        {"trial_id": f"trial-{name}", "question": "q", "strategy": name, "cluster": place // 2,
         "p_value": 0.05 + place / 10, "q_value": 0.4 + place / 10, "superior": False}
        for place, name in enumerate(CANDIDATES)
    ]  # fmt: skip
    tables["findings"] = [
        {"run_id": f"run-{name}", "strategy": name, "symptom": symptom, "value": value,
         "threshold": threshold, "detail": detail}
        for name, symptom, value, threshold, detail in (
            ("ridge", "lucky_days", 0.12, 0.005, "without 3 days the gain is a loss"),
            ("ppo", "few_fills", 12.0, 30.0, "12 fills in all"),
            ("buy_and_hold", "few_fills", 20.0, 30.0, "20 fills in all"),
        )
    ]  # fmt: skip


def _training_set(stamps: list, random: Any) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    decisions = stamps[5::5]
    n = len(decisions) * len(SYMBOLS)
    keys = pl.DataFrame({"ts": decisions}, schema={"ts": pl.Datetime("us", "UTC")}).join(
        pl.DataFrame({"symbol": SYMBOLS}), how="cross"
    )
    label = random.normal(0, 0.02, n)
    contract = models.TRAINING_SET
    known = set(features.feature_names("technical"))
    frame = keys.with_columns(
        universe=pl.lit("us20"), is_decision=pl.lit(True), label=pl.Series(label)
    ).with_columns(
        [
            (pl.lit(0.5) if column.name in known else pl.lit(None, column.dtype)).alias(column.name)
            for column in contract.columns
            if column.name not in ("universe", "symbol", "ts", "is_decision", "label")
        ]
    )
    forecasts = {}
    for model, skill in (("ridge", 0.3), ("transformer_gnn", 0.0)):
        parts = [
            keys.with_columns(
                universe=pl.lit("us20"), horizon_sessions=pl.lit(5), variant=pl.lit(variant),
                seed=pl.lit(seed), model_id=pl.lit("m"),
                fold=(pl.col("ts") > stamps[len(stamps) // 2]).cast(pl.Int64),
                forecast=pl.Series(skill * label + random.normal(0, 0.02, n)),
                **{column.name: pl.lit(None, column.dtype) for column in models.DISTRIBUTION},
            )
            for variant in ("base", "macro")
            for seed in (7, 11)
        ]  # fmt: skip
        forecasts[model] = cast_to_contract(pl.concat(parts), models.FORECASTS_RIDGE)
    return cast_to_contract(frame, contract), forecasts
