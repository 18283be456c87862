"""SYNTHETIC explanations: weights, what their scores are made of, what models lean on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

STAMP = dt.datetime(2006, 12, 25, 21, tzinfo=dt.UTC)

#: Contribution of each part to the score of the n-th asset, in label units.
PARTS = {"return_5d": 0.002, "momentum_12_1": -0.0005, "rsi_14": 0.0001, "baseline": 0.0002}


def add_why(tables: dict[str, list[dict[str, Any]]], symbols: Sequence[str]) -> None:
    """Strategies ridge and blend over `symbols`, the later the larger."""
    n = len(symbols)
    for strategy in ("ridge", "blend"):
        for place, symbol in enumerate(symbols):
            key = {"strategy": strategy, "universe": "us20", "symbol": symbol, "ts": STAMP}
            parts = (
                {name: (place + 1) * value for name, value in PARTS.items()}
                if strategy == "ridge"
                else dict.fromkeys(("ridge", "lightgbm"), place / (n - 1) / 2)
            )
            weight = 2 * place / n / (n - 1)
            tables["weight_reasons"].append(
                {**key, "score": sum(parts.values()), "rank": place + 1.0, "n_ranked": n,
                 "weight_ranked": weight, "weight_capped": weight, "weight_at_volatility": weight,
                 "weight_limited": weight, "exposure_scale": 0.5, "weight_explained": weight / 2,
                 "weight": weight / 2}
            )  # fmt: skip
            tables["weight_contributions"] += [
                {**key, "name": name, "contribution": value,
                 "weight_change": None if name == "baseline" else 10 * value}
                for name, value in parts.items()
            ]  # fmt: skip
    fit = {"universe": "us20", "variant": "base", "n_decisions": 52}
    for model, seed in (("ridge", 0), ("transformer_gnn", 7), ("transformer_gnn", 11)):
        own = {**fit, "model": model, "seed": seed}
        tables["importance"] += [
            {**own, "subject": "family", "name": name, "value": value + seed / 1000,
             "standard_error": 0.003}
            for name, value in (("technical", 0.02), ("volatility", -0.01))
        ]  # fmt: skip
        if seed:
            tables["importance"] += [
                {**own, "subject": "feature by session", "name": name, "beside": str(back),
                 "value": 1e-4 * (back + 1) * seed}
                for name in ("return_5d", "rsi_14") for back in (0, 1, 10)
            ]  # fmt: skip
            tables["importance"].append(
                {**own, "subject": "edge", "name": "S00", "beside": "S01", "value": 2e-4 * seed}
            )
