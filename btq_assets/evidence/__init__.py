"""Evidence: trials and their count, deflated Sharpe ratios, bootstrap intervals, leak gates.

The room takes callables, returns and tables; it knows no model and no strategy. The Dagster part
is in `assets`, everything else is pure.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_EXPORTS = {
    "truncation_check": "truncation",
    "stationary_bootstrap_indices": "bootstrap",
    "paired_block_bootstrap": "bootstrap",
    "PairedDifference": "bootstrap",
    "trial_rows": "trials",
    "trial_id": "trials",
    "question_id": "trials",
    "count_trials": "trials",
    "sharpe_moments": "sharpe",
    "probabilistic_sharpe": "sharpe",
    "expected_maximum_sharpe": "sharpe",
    "deflated_sharpe": "sharpe",
    "minimum_track_record_length": "sharpe",
    "deflated_sharpe_table": "deflation",
    "minimum_backtest_length_years": "sharpe",
    "probability_of_overfitting": "overfitting",
    "Overfitting": "overfitting",
    "superior_ability": "superiority",
    "Superiority": "superiority",
    "false_discovery_q": "superiority",
    "effective_trials": "independence",
    "EffectiveTrials": "independence",
    "shuffled_labels": "null_markets",
    "permuted_assets": "null_markets",
    "phase_randomised": "null_markets",
    "bootstrapped": "null_markets",
    "diagnose": "diagnosis",
    "Finding": "diagnosis",
    "gate_rows": "gates",
    "Verdict": "verdict",
}

__all__ = list(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_EXPORTS[name]}")
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
