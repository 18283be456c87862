"""How large the controls are, and the configuration their path runs under.

Belongs here: numbers of seeds, sizes, thresholds. Does not belong here: anything that runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from btq_assets.config import TradingConfig

#: Level at which a null market may make a champion, and the confidence of the limit on their count.
NULL_LEVEL, NULL_CONFIDENCE = 0.05, 0.99

#: Share of markets with a planted edge in which it must be found.
PLANTED_SHARE = 0.8

#: Kinds of markets without anything to find, taken in turn by seed.
NULLS = ("null_dates", "null_assets", "null_phases", "null_bootstrap")
PLANTED, LEAK = "planted", "leak"
CONTROLS = (*NULLS, PLANTED, LEAK)

#: Models of the job `controls`, and of the job `controls_deep`.
MODELS, DEEP_MODELS = ("ridge", "lightgbm"), ("transformer_gnn",)


@dataclass(frozen=True)
class ControlSettings:
    """Sizes of the controls.

    Parameters
    ----------
    null_seeds, planted_seeds, leak_seeds
        Markets of each sort, per model.
    planted_sharpe
        Annual Sharpe ratio, before costs, of the difference to 1/N that a portfolio has which ranks
        by the planted signal itself.
    n_sessions
        Length of a market.
    train_years, validation_months, test_months, max_folds
        Walk-forward folds; the test segments end with the market.
    horizon_sessions
        Of the labels.
    block_sessions
        Sessions per block that the nulls move.
    signal_persistence
        Correlation of the signal from one session to the next.
    bootstrap_samples
        Resamples of each paired difference.
    """

    null_seeds: int = 200
    planted_seeds: int = 100
    leak_seeds: int = 20
    planted_sharpe: float = 3.0
    n_sessions: int = 2_520
    train_years: int = 4
    validation_months: int = 12
    test_months: int = 30
    max_folds: int = 2
    horizon_sessions: int = 5
    block_sessions: int = 21
    signal_persistence: float = 0.95
    bootstrap_samples: int = 500

    @classmethod
    def of_size(cls, planted_seeds: int) -> ControlSettings:
        """So many planted edges, twice as many nulls and a fifth as many leaks.

        Parameters
        ----------
        planted_seeds
            At least 1; there is a leak at least.
        """
        return cls(
            null_seeds=2 * planted_seeds,
            planted_seeds=planted_seeds,
            leak_seeds=max(planted_seeds // 5, 1),
        )

    def config(self, universe: str, last: datetime, given: TradingConfig) -> TradingConfig:
        """Configuration of the path: small models and folds, costs and limits as given."""
        months = self.test_months * self.max_folds
        start = last.year * 12 + last.month - months
        return given.model_copy(
            update={
                "universe": given.universe.model_copy(update={"main": universe}),
                "models": given.models.model_copy(
                    update={
                        "feature_families": ("technical", "volatility"),
                        "decision_every": "week",
                        "horizon_sessions": self.horizon_sessions,
                        "seeds": (0,),
                        "walk_forward": given.models.walk_forward.model_copy(
                            update={
                                "first_test": f"{start // 12:04d}-{start % 12 + 1:02d}-01",
                                "test_months": self.test_months,
                                "max_folds": self.max_folds,
                                "train_years": self.train_years,
                                "validation_months": self.validation_months,
                            }
                        ),
                    }
                ),
                "backtest": given.backtest.model_copy(
                    update={"bootstrap_samples": self.bootstrap_samples}
                ),
            }
        )
