"""Settings of what is fitted, on which folds, and of the models that are no networks.

Belongs here: the section `models`, put together. Does not belong here: networks (`config.networks`),
what stands on several models (`config.combining`), comparisons (`config.comparison`), what is asked of
fitted models (`config.fitted`).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from btq_assets.config.base import Section
from btq_assets.config.combining import EnsemblesSection, IntervalsSection, SearchSection
from btq_assets.config.comparison import ComparisonSection
from btq_assets.config.compute import TrainingSection
from btq_assets.config.feature_families import DEFAULT_FAMILIES
from btq_assets.config.fitted import ExplanationSection, ReproductionSection
from btq_assets.config.networks import (
    FTTransformerSection,
    GATSection,
    HeterogeneousSection,
    LSTMSection,
    PerceptronSection,
    TextSection,
    TGNSection,
    TransformerSection,
    XLSTMSection,
)


class WalkForwardSection(Section):
    """Folds. Boundaries follow from these settings alone, not from where the data end."""

    first_test: str = Field("2005-01-01", pattern=r"^\d{4}-\d{2}-\d{2}$")
    test_months: int = Field(54, ge=1, le=120)
    max_folds: int = Field(4, ge=1, le=100)
    train_years: int = Field(10, ge=1, le=60)
    validation_months: int = Field(18, ge=1, le=60)


class RidgeSection(Section):
    """Ridge regression; the penalty is chosen on the validation segment."""

    alphas: tuple[float, ...] = (10.0, 100.0, 1_000.0, 10_000.0, 100_000.0)


class LightGBMSection(Section):
    """LightGBM trees with early stopping on the validation segment."""

    objective: Literal["regression", "rank"] = Field(
        "regression",
        description="What trees make small: squared errors of labels, or pairs of a date in the wrong "
        "order (LambdaMART).",
    )
    num_leaves: int = Field(15, ge=2, le=1024)
    learning_rate: float = Field(0.03, gt=0, le=1)
    n_estimators: int = Field(300, ge=1, le=10_000)
    min_child_samples: int = Field(200, ge=1)
    feature_fraction: float = Field(0.6, gt=0, le=1)
    early_stopping_rounds: int = Field(30, ge=1)


class RLSection(Section):
    """Reinforcement-learning agent."""

    algorithm: Literal["PPO"] = "PPO"
    learning_rate: float = Field(3e-4, gt=0, le=1)
    total_timesteps: int = Field(16_000, ge=128, description="Steps over all folds and seeds.")
    n_steps: int = Field(256, ge=16)
    batch_size: int = Field(64, ge=8)
    gamma: float = Field(0.9, ge=0, le=1)


class ModelsSection(Section):
    """What is fitted, on which folds."""

    horizon_sessions: int = Field(5, ge=1, le=63)
    horizons_sessions: tuple[int, ...] = Field(
        (),
        max_length=8,
        description="All horizons that are learnt and forecast, ascending, `horizon_sessions`, which "
        "strategies read, among them; empty for that one alone. Folds are purged by the longest.",
    )
    label: Literal["forward_return", "volatility_scaled", "triple_barrier", "trend_scanning"] = (
        Field(
            "forward_return",
            description="What is learnt, less its mean over the universe: the fill-to-fill return, "
            "the same over the volatility known at the decision, or a label of `features.labels`.",
        )
    )
    sample_weights: Literal["none", "uniqueness"] = Field(
        "none", description="What weighs rows in a fit: `average_uniqueness` of `features.labels`."
    )
    pretraining: Literal["none", "masked", "next_return"] = Field(
        "none",
        description="What windows of a training segment teach a network with an encoder before labels do.",
    )
    decision_every: Literal["week", "month"] = "week"
    seeds: tuple[int, ...] = Field((7, 11), min_length=1)
    walk_forward: WalkForwardSection = WalkForwardSection()
    ridge: RidgeSection = RidgeSection()
    lightgbm: LightGBMSection = LightGBMSection()
    transformer: TransformerSection = TransformerSection()
    text: TextSection = TextSection()
    gat: GATSection = GATSection()
    tgn: TGNSection = TGNSection()
    hetero_gnn: HeterogeneousSection = HeterogeneousSection()
    xlstm: XLSTMSection = XLSTMSection()
    lstm: LSTMSection = LSTMSection()
    mlp: PerceptronSection = PerceptronSection()
    ft_transformer: FTTransformerSection = FTTransformerSection()
    training: TrainingSection = TrainingSection()
    rl: RLSection = RLSection()
    feature_families: tuple[str, ...] = Field(
        DEFAULT_FAMILIES,
        min_length=1,
        description="Families of features that the training set is made of, in its column order; "
        "named sets and `custom` (features of one's own) among them.",
    )
    ablations: tuple[str, ...] = Field(
        (), description="Families whose worth is measured by fitting without them."
    )
    comparison: ComparisonSection = ComparisonSection()
    explanation: ExplanationSection = ExplanationSection()
    reproduction: ReproductionSection = ReproductionSection()
    ensembles: EnsemblesSection = EnsemblesSection()
    intervals: IntervalsSection = IntervalsSection()
    search: SearchSection = SearchSection()

    @model_validator(mode="after")
    def _horizons_are_possible(self) -> ModelsSection:
        horizons = self.horizons_sessions
        if horizons and (
            list(horizons) != sorted(set(horizons))
            or not all(1 <= one <= 252 for one in horizons)
            or self.horizon_sessions not in horizons
        ):
            raise ValueError(
                f"models.horizons_sessions = {list(horizons)}: ascending, without repeats, 1 to 252, "
                f"horizon_sessions = {self.horizon_sessions} among them"
            )
        if len(horizons) > 1 and self.label in ("triple_barrier", "trend_scanning"):
            raise ValueError(
                f"models.label {self.label} has a path of its own (features.labels) and no second "
                "horizon; leave models.horizons_sessions empty"
            )
        return self

    @property
    def further_horizons(self) -> tuple[int, ...]:
        """Horizons that are forecast beside `horizon_sessions`."""
        return tuple(one for one in self.horizons_sessions if one != self.horizon_sessions)
