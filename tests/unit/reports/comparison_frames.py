"""SYNTHETIC rows of a comparison of four architectures; gat leads, ridge is second."""

from __future__ import annotations

from typing import Any

MODELS = {"ridge": (0.02, (0,)), "lightgbm": (0.005, (7, 11)), "gat": (0.03, (7, 11)), "mlp": (0.01, (7, 11))}  # fmt: skip


def add_comparison(tables: dict[str, list[dict[str, Any]]]) -> None:
    """Rows of every table behind the part on architectures."""
    for model, (ic, seeds) in MODELS.items():
        own = {"universe": "us20", "model": model}
        several = len(seeds) > 1
        tables["comparison"].append(
            own | {"n_seeds": len(seeds), "n_decisions": 938, "ic": ic, "rank_ic": ic,
                   "rank_ic_low": ic - 0.02, "rank_ic_high": ic + 0.02,
                   "rank_ic_spread": 0.004 if several else None, "rank_ic_of_mean": ic + 0.001,
                   "icir": 3 * ic, "icir_spread": 0.01 if several else None,
                   "calibration_intercept": 0.0, "calibration_slope": 0.5, "relative_slope": 0.6,
                   "relative_slope_low": 0.1, "relative_slope_high": 1.1,
                   "coverage_90": 0.893 if model == "gat" else None, "sharpe": 0.7,
                   "sharpe_spread": 0.03 if several else None, "turnover_annual": 14.0,
                   "cost_annual": 0.004, "n_trials": 57, "deflated_sharpe": 0.42,
                   "seconds": 12.5, "n_parameters": 15_585, "n_columns": 12}
        )  # fmt: skip
        for place, seed in enumerate(seeds):
            tables["comparison_seeds"].append(
                own | {"seed": seed, "ic": ic, "rank_ic": ic + 0.002 * place, "icir": 0.1,
                       "calibration_intercept": 0.0, "calibration_slope": 0.5,
                       "relative_slope": 0.6, "sharpe": 0.7, "turnover_annual": 14.0,
                       "cost_annual": 0.004, "trial_id": f"trial-{model}-{seed}"}
            )  # fmt: skip
        for horizon in (1, 5, 21):
            tables["comparison_decay"].append(
                own | {"horizon_sessions": horizon, "n_decisions": 938, "rank_ic": ic / horizon,
                       "rank_ic_low": -0.01, "rank_ic_high": 0.05}
            )  # fmt: skip
        for reference in ("ridge", "lightgbm"):
            if model in ("ridge", reference):
                continue
            for measure in ("rank_ic", "net_return_annual"):
                shown = (model, reference, measure) == ("gat", "lightgbm", "rank_ic")
                tables["comparison_pairs"].append(
                    own | {"against": reference, "measure": measure, "n": 938, "difference": 0.01,
                           "ci_low": 0.005 if shown else -0.01, "ci_high": 0.03,
                           "p_value": 0.001 if shown else 0.4, "p_adjusted": 0.006 if shown else 1.0,
                           "verdict": "better" if shown else "not shown"}
                )  # fmt: skip
        has = model == "gat"
        tables["comparison_ablations"].append(
            own | {"without": "graph", "n_seeds": 2 if has else 0, "n_decisions": 938 if has else 0,
                   "rank_ic_with": 0.03 if has else None, "rank_ic_without": 0.034 if has else None,
                   "difference": -0.004 if has else None, "ci_low": -0.02 if has else None,
                   "ci_high": 0.01 if has else None,
                   "verdict": "not shown" if has else "nothing to leave out",
                   "why": "" if has else "it has no edges between assets"}
        )  # fmt: skip
