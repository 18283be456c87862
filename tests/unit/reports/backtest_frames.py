"""SYNTHETIC rows of slices, scenarios, stresses, attribution, parameters and costs of trading.

Values are chosen so that a reader can follow them: strategy number ``k`` is ``k`` steps from the first.
"""

from __future__ import annotations

import datetime as dt
from itertools import product
from typing import Any

_FACTORS = (("alpha", 0.02, 0.01), ("Mkt-RF", 0.8, 0.1), ("SMB", -0.1, 0.2))


def add_backtest(
    tables: dict[str, list[dict[str, Any]]], strategies: tuple[str, ...], now: dt.datetime
) -> None:
    """Rows of every table behind the parts on slices, scenarios and costs."""
    for k, name in enumerate(strategies):
        own = {"run_id": f"run-{name}", "strategy": name}
        _add_scenarios(tables, own, k)
        _add_stresses(tables, own, k)
        _add_slices(tables, own, k)
        for factor, slope, error in _FACTORS:
            tables["attribution"].append(
                own | {"model": "fama_french_3", "factor": factor, "coefficient": slope,
                       "standard_error": error, "t_value": slope / error, "p_value": 0.04,
                       "contribution_annual": slope / 10, "r_squared": 0.5, "n": 63, "lags": 4,
                       "frequency": "month", "first_ts": now, "last_ts": now,
                       "note": "made up"}
            )  # fmt: skip
        _add_costs(tables, own, k, now)
    for number, (lookback, top) in enumerate(product((21, 63), (1, 3))):
        tables["sensitivity"].append(
            {"family": "momentum_top_ranked", "number": number, "universe": "us20",
             "score": f"momentum_{lookback}", "lookback_sessions": lookback, "top_k": top,
             "every_sessions": 5, "threshold": 0.0, "sharpe": 0.5, "annual_return": 0.1,
             "max_drawdown": 0.3, "turnover_annual": 4.0, "excess_annual": (0.04, -0.01)[number % 2],
             "n_neighbours": 2, "same_sign_share": 0.5, "neighbour_excess_annual": 0.015}
        )  # fmt: skip


def add_curves(tables: dict[str, list[dict[str, Any]]]) -> None:
    """Ranks behind a probability of overfitting of 42 %, and curves of deflation."""
    for rank, logit, n_splits in ((1.0, -1.79, 3_000), (3.5, 0.0, 2_405), (6.0, 1.79, 7_465)):
        tables["overfitting_ranks"].append(
            {"question": "q", "universe": "us20", "rank": rank, "logit": logit,
             "n_splits": n_splits, "share": n_splits / 12_870, "loss_share": 0.0}
        )  # fmt: skip
    for row in tables["deflated_sharpe"]:
        for n_trials, value in ((10, 0.4), (14, 0.31), (100, 0.05)):
            tables["deflation_curves"].append(
                {"strategy": row["strategy"], "trial_id": row["trial_id"], "n_trials": n_trials,
                 "counted": n_trials == 14, "expected_maximum_sharpe": 0.05,
                 "deflated_sharpe": value}
            )  # fmt: skip


def _add_scenarios(tables: dict, own: dict, k: int) -> None:
    for dimension, state, n_days in (
        ("market", "bull", 300), ("market", "bear", 40), ("market", "unknown", 0),
        ("volatility", "low", 340), ("market_volatility", "bull_low_volatility", 300),
        ("market_volatility", "bear_low_volatility", 40),
    ):  # fmt: skip
        enough = n_days >= 60
        figures = {"sharpe": 1.0 - 0.1 * k, "annual_return": 0.1 + 0.01 * k,
                   "annual_volatility": 0.15, "max_drawdown": 0.2, "win_rate": 0.55}  # fmt: skip
        tables["scenarios"].append(
            own | {"dimension": dimension, "scenario": state, "n_days": n_days, "n_episodes": 3,
                   "log_growth": 0.1,
                   "note": "" if enough else f"too few days: {n_days}, at least 60 are needed"}
            | (figures if enough else {})
        )  # fmt: skip
    for crisis, year, covered in (("covid_2020", 2020, True), ("asia_1997", 1997, False)):
        tables["crises"].append(
            own | {"crisis": crisis, "description": "made up", "covered": covered,
                   "first_day": dt.date(year, 2, 19), "last_day": dt.date(year, 3, 23),
                   "n_days": 23 if covered else 0,
                   "window_return": -0.3 + 0.01 * k if covered else None,
                   "max_drawdown": 0.31 if covered else None,
                   "worst_day": -0.1 if covered else None,
                   "note": "" if covered else "not covered by the run"}
        )  # fmt: skip


def _add_stresses(tables: dict, own: dict, k: int) -> None:
    cases: list[tuple[str, str, float | None, float]] = [("none", "as_run", None, 0.7)]
    cases += [("cost", f"cost_{b}bps", float(b), 0.8 - b / 100) for b in (0, 5, 10, 20, 50)]
    cases += [("delay", f"delay_{d}", float(d), 0.7 - d / 50) for d in range(1, 6)]
    cases += [("liquidity", "half_liquidity", 0.5, 0.65)]
    cases += [("universe", f"draw_{d}", float(d), 0.6 + d / 10) for d in range(3)]
    cases += [("bootstrap", f"quantile_{q}", q, q) for q in (0.05, 0.5, 0.95)]
    for kind, case, parameter, sharpe in cases:
        tables["stresses"].append(
            own | {"kind": kind, "case": case, "parameter": parameter, "n_returns": 519,
                   "sharpe": sharpe - 0.01 * k, "annual_return": 0.08, "annual_volatility": 0.15,
                   "max_drawdown": 0.3, "sharpe_change": None if kind == "bootstrap" else -0.05,
                   "mean_above_one_over_n_annual": -0.02, "note": f"{case} of it"}
        )  # fmt: skip


def _add_slices(tables: dict, own: dict, k: int) -> None:
    rows = [("year", str(year), metric, value, 252)
            for year, value in ((2005, 0.1), (2006, -0.05))
            for metric in ("total_return", "excess_return")]  # fmt: skip
    rows += [("month", f"2005-{m:02d}", "excess_return", 0.01 * (m - 6), 21) for m in range(1, 13)]
    rows += [("calendar_month", f"{m:02d}", "mean_annual", 0.02 * m, 42) for m in range(1, 13)]
    rows += [("symbol", s, "return_on_initial_cash", v, 60) for s, v in (("A", 0.2), ("B", -0.1))]
    rows += [("side", "long", metric, value, 90)
             for metric, value in (("return_on_initial_cash", 0.1 + 0.01 * k), ("cost", 1234.0),
                                   ("trip_win_rate", 0.6), ("trip_profit_factor", None))]  # fmt: skip
    tables["slices"] += [
        own | {"dimension": dimension, "slice": part, "metric": metric, "value": value, "n": n,
               "note": "" if value is not None else "undefined in this slice"}
        for dimension, part, metric, value, n in rows
    ]  # fmt: skip


def _add_costs(tables: dict, own: dict, k: int, now: dt.datetime) -> None:
    """Fills of 10,000 in the quarters of two years: 2 bps of spread, 1 of fees, `k` of waiting."""
    for quarter in range(8):
        at = dt.datetime(2005 + quarter // 4, 1 + 3 * (quarter % 4), 10, 21, tzinfo=dt.UTC)
        tables["transaction_costs"] += [
            own | {"symbol": f"S{n:02d}", "decided_at": at, "filled_at": at, "shares": 100.0,
                   "unfilled_shares": 0.0, "value": 10_000.0, "decision_price": 100.0,
                   "fill_price": 100.0, "waiting_cost": float(k), "spread_cost": 2.0,
                   "impact_cost": None, "commission": 1.0, "opportunity_cost": 0.0,
                   "shortfall_cost": 3.0 + k, "shortfall_bps": 3.0 + k, "unknown": "impact"}
            for n in range(13)
        ]  # fmt: skip
