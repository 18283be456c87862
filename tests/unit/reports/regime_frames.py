"""Small SYNTHETIC tables of market states and of the quality of features."""

from __future__ import annotations

from typing import Any

import numpy as np

STATES = ("bull", "sideways", "bear", "crisis")


def add_regimes(tables: dict, stamps: list, random: Any) -> None:
    """Four regimes one after another, stress that rises once, one break of correlations."""
    n = len(stamps)
    for i, ts in enumerate(stamps):
        regime = STATES[4 * i // n]
        named = "bear" if regime == "crisis" else regime
        row = {"scope": "us20", "ts": ts, "converged": True, "fitted_until": stamps[0]}
        for table in ("market_states", "hidden_states"):
            tables[table].append(
                row
                | {f"p_{name}": 0.9 if name == named else 0.05 for name in STATES[:3]}
                | {"state": named, "state_mean_annual": 0.1, "state_volatility_annual": 0.2,
                   "n_states": 3, "matched_share": 0.8}
            )  # fmt: skip
        tables["volatility_states"].append(
            row
            | {"volatility_forecast_annual": 0.17, "low_threshold_annual": 0.1,
               "high_threshold_annual": 0.3, "state": "normal"}
        )  # fmt: skip
        tables["change_points"].append(
            {"scope": "us20", "ts": ts, "p_recent_change": 0.02, "expected_run_sessions": 90.0,
             "p_change_since_last": 0.1, "run_sessions": 90, "is_change": i == n // 2,
             "changed_at": stamps[n // 2 - 5] if i == n // 2 else None}
        )  # fmt: skip
        tables["stress_index"].append(
            {"scope": "us20", "ts": ts, "stress_index": 3 * np.sin(i / n * np.pi) ** 8,
             "n_components": 6, "is_crisis": regime == "crisis"}
        )  # fmt: skip
        tables["regime_parameters"].append(
            {"scope": "us20", "ts": ts, "regime": regime, "sessions_in_regime": 1 + i % (n // 4),
             "exposure_multiplier": 1.0 - STATES.index(regime) / 4, "max_position": 0.25,
             "rebalance_threshold": 0.01}
        )  # fmt: skip
    for i in range(100, n, 100):
        tables["correlation_breaks"].append(
            {"scope": "us20", "ts": stamps[i], "boundary": stamps[i - 63], "n_symbols": 8,
             "degrees_of_freedom": 28, "common_kurtosis": 0.1, "largest_change": 3.0,
             "largest_change_p_value": 0.2, "symbol_a": "S00", "symbol_b": "S01",
             "correlation_before": 0.2, "correlation_after": 0.4, "p_value": 0.01,
             "rejected": i == 200, "is_break": i == 200}
        )  # fmt: skip


def add_bars(tables: dict, stamps: list, symbols: tuple[str, ...], random: Any) -> None:
    """Adjusted closes of two symbols; two early bars of one were corrected later."""
    for symbol in symbols:
        level = 20 * np.exp(np.cumsum(random.normal(0, 0.01, len(stamps))))
        tables["bars"] += [
            {"universe": "us20", "symbol": symbol, "ts": stamp, "session": stamp.date(),
             "known_at": stamp, "adj_close": float(level[i]), "source": "sample",
             "revised_at": stamps[i + 9] if symbol == symbols[0] and i < 2 else None}
            for i, stamp in enumerate(stamps)
        ]  # fmt: skip


def add_feature_quality(tables: dict, stamps: list) -> None:
    """Five features of three families: one has drifted, two repeat one another, one is off."""
    for name, family, enabled in (
        ("return_1d", "technical", True), ("return_5d", "technical", True),
        ("rsi_14", "technical", True), ("parkinson_21_annual", "volatility", True),
        ("hidden", "quantum", False),
    ):  # fmt: skip
        tables["catalogue"].append(
            {"name": name, "family": family, "enabled": enabled, "lookback_sessions": 1,
             "formula": f"formula of {name} <b>", "source": "made up", "unit": "fraction",
             "requires": "close", "needs": "adj_close", "recursive": False,
             "scale_invariant": True}
        )  # fmt: skip
    for universe in ("us20", "us_ohlcv"):
        for name, family, psi, cluster, size in (
            ("return_1d", "technical", 0.05, "return_1d", 2),
            ("return_5d", "technical", 0.15, "return_1d", 2),
            ("rsi_14", "technical", 0.4, "rsi_14", 1),
            ("parkinson_21_annual", "volatility", 0.3, "parkinson_21_annual", 1),
        ):
            absent = family == "volatility" and universe == "us20"
            tables["feature_quality"].append(
                {"universe": universe, "freq": "1d", "feature": name, "family": family, "n_rows": 100,
                 "missing_share": 1.0 if absent else 0.1, "reference_start": stamps[0],
                 "reference_end": stamps[9], "n_reference": 300, "n_recent": 252,
                 "psi": None if absent else psi, "ks_statistic": None if absent else psi / 2,
                 "cluster": None if absent else cluster, "cluster_size": 0 if absent else size,
                 "nearest_feature": None if absent else "return_1d",
                 "nearest_correlation": None if absent else 0.9}
            )  # fmt: skip
    for model in ("ridge", "lightgbm"):
        tables[f"importances_{model}"] += [
            {"universe": "us20", "variant": "base", "seed": 0, "fold": fold, "feature": feature,
             "importance": share}
            for fold, shares in enumerate(((0.7, 0.3), (0.5, 0.5)))
            for feature, share in zip(("return_1d", "rsi_14"), shares, strict=True)
        ]  # fmt: skip
    tables["feature_plots"] += [
        {"feature": name, "place": place, "family": family, "universe": "us20" if n else None,
         "in_a_table": True, "freq": "1d", "n_symbols": 8, "n_values": n, "first_ts": stamps[0] if n else None,
         "last_ts": stamps[-1] if n else None, "stretch": "1q" if n else "",
         "shown": "median" if n else "", "lower": "##$" * (n > 0), "middle": "#0$" * (n > 0),
         "upper": "}}}" * (n > 0), "axis_low": -1.0, "axis_high": 1.0, "bars": "#}#" * (n > 0),
         "bars_low": -1.0, "bars_high": 1.0, "median": 0.0, "p10": -0.5, "p90": 0.5}
        for place, (name, family, n) in enumerate((
            ("return_1d", "technical", 90), ("return_5d", "technical", 90),
            ("rsi_14", "technical", 90), ("parkinson_21_annual", "volatility", 90),
            ("hidden", "quantum", 0),
        ))
    ]  # fmt: skip
