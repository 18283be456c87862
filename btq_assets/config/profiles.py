"""What a profile changes, and short names of settings.

Belongs here: `PROFILES`, the flat names of the notebook API. Does not belong here: defaults, which stand
beside each setting.
"""

from __future__ import annotations

from typing import Any

#: Settings of each profile, laid over the defaults and under the user's file.
PROFILES: dict[str, dict[str, Any]] = {
    "quick": {},
    "full": {
        "models": {
            "seeds": (7, 11, 13, 17, 19),
            "walk_forward": {"test_months": 24, "max_folds": 9},
            "transformer": {
                "model_dim": 128,
                "num_heads": 8,
                "num_layers": 3,
                "lookback_sessions": 60,
                "epochs": 40,
                "patience": 6,
            },
            "gat": {"model_dim": 128, "graph_heads": 8, "lookback_sessions": 60, "epochs": 40},
            "tgn": {"model_dim": 128, "graph_heads": 8, "lookback_sessions": 60, "epochs": 40},
            "hetero_gnn": {
                "model_dim": 128,
                "num_heads": 8,
                "graph_heads": 8,
                "lookback_sessions": 60,
                "epochs": 40,
            },
            "xlstm": {
                "model_dim": 128,
                "num_heads": 4,
                "num_layers": 6,
                "lookback_sessions": 60,
                "epochs": 40,
                "patience": 6,
            },
            "lstm": {"model_dim": 128, "num_layers": 2, "lookback_sessions": 60, "epochs": 40},
            "mlp": {"model_dim": 256, "lookback_sessions": 60, "epochs": 40},
            "ft_transformer": {"model_dim": 192, "num_heads": 8, "num_layers": 3, "epochs": 40},
            "comparison": {"epochs": None, "ablation_seeds": 5, "resamples": 10_000},
            "lightgbm": {"n_estimators": 1_000},
            "rl": {"total_timesteps": 500_000},
            "ablations": ("quantum",),
        },
        "features": {"truncation_dates": 5, "garch": {"refit_every_sessions": 21}},
        "regimes": {"refit_every_sessions": 63},
        "backtest": {"bootstrap_samples": 10_000},
        "execution": {"executor": "multiprocess"},
    },
}

#: Flat names of the notebook API → path in the sections.
ALIASES: dict[str, tuple[str, ...]] = {
    "init_cash": ("trading", "initial_cash"),
    "initial_cash": ("trading", "initial_cash"),
    "max_position_size": ("trading", "max_position_size"),
    "max_drawdown_threshold": ("trading", "max_drawdown_threshold"),
    "transformer_dim": ("models", "transformer", "model_dim"),
    "num_heads": ("models", "transformer", "num_heads"),
    "num_layers": ("models", "transformer", "num_layers"),
    "learning_rate": ("models", "transformer", "learning_rate"),
    "use_sentiment": ("features", "alternative_data", "sentiment_analysis"),
    "use_macro": ("features", "alternative_data", "macro_indicators"),
    "use_quantum_features": ("features", "quantum_features", "enable"),
    "use_regime_detection": ("regimes", "enable"),
}
