"""Settings of every room but the sources: bounds and defaults.

Belongs here: one class per section of ``btq.yaml``. Does not belong here: the sources
(`config.sources`), the regimes (`config.regimes`), labels (`config.labelling`), networks
(`config.networks`), and anything that acts on a setting.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from btq_assets.config.base import Device, Executor, Section
from btq_assets.config.combining import EnsemblesSection, IntervalsSection, SearchSection
from btq_assets.config.comparison import ComparisonSection
from btq_assets.config.compute import GpuSection, TrainingSection
from btq_assets.config.feature_families import DEFAULT_FAMILIES
from btq_assets.config.fitted import ExplanationSection, ReproductionSection
from btq_assets.config.labelling import FractionalSection, LabelsSection
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


class TradingSection(Section):
    """Money and limits."""

    initial_cash: float = Field(1_000_000.0, gt=0, description="Cash at the start, in currency.")
    max_position_size: float = Field(
        0.25, gt=0, le=1, description="Largest share of equity in one asset."
    )
    max_drawdown_threshold: float = Field(
        0.15, gt=0, lt=1, description="Drawdown at which limits bite."
    )
    device: Device = Field("auto", description="Where models are trained.")


class UniverseSection(Section):
    """Which instruments are traded, and which are only looked at."""

    main: str = Field("us20", description="Universe the strategies trade.")
    ohlcv: str = Field(
        "us_ohlcv", description="Universe with real open, high, low, close and volume."
    )
    cross_asset: str = Field("fx", description="Universe read by cross-asset features.")
    benchmark: str = Field(
        "^SP500", description="Index shown beside the strategies, not comparable."
    )


class QuantumFeaturesSection(Section):
    """Quantum-inspired family."""

    enable: bool = True
    harmonic_oscillator: bool = True
    wave_function_collapse: bool = True
    entanglement: bool = True
    window_sessions: int = Field(63, ge=20, le=504)


class AlternativeDataSection(Section):
    """Families that need more than prices."""

    sentiment_analysis: bool = True
    macro_indicators: bool = True


class GarchSection(Section):
    """When GARCH, GJR-GARCH and EGARCH are fitted, and on what."""

    min_fit_sessions: int = Field(504, ge=100, description="Returns before the first fit.")
    refit_every_sessions: int = Field(252, ge=1, description="Returns between fits.")
    window_sessions: int | None = Field(
        None, ge=100, description="Returns fitted; null for all so far."
    )
    failed_fit: Literal["previous", "null"] = Field(
        "previous",
        description="In force after a fit that did not converge: the one before, or none.",
    )


class FeaturesSection(Section):
    """Feature families and their parameters."""

    quantum_features: QuantumFeaturesSection = QuantumFeaturesSection()
    alternative_data: AlternativeDataSection = AlternativeDataSection()
    garch: GarchSection = GarchSection()
    har_window_sessions: int = Field(
        1000, ge=20, le=2520, description="Past sessions a HAR regression is fitted on."
    )
    fractional: FractionalSection = FractionalSection()
    labels: LabelsSection = LabelsSection()
    sentiment_half_life_sessions: float = Field(5.0, gt=0, le=252)
    correlation_window_sessions: int = Field(126, ge=40, le=756)
    custom_modules: tuple[
        Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")], ...
    ] = Field((), description="Modules with features of one's own: table `features.custom`.")
    named_sets: tuple[Literal["alpha101", "alpha158", "alpha360", "talib"], ...] = Field(
        ("alpha158",), description="Published sets of features that are computed."
    )
    onchain_coins: dict[str, str] = Field(
        {
            "BTC-USD": "btc", "BTCUSDT": "btc", "BTC/USDT": "btc",
            "ETH-USD": "eth", "ETHUSDT": "eth", "ETH/USDT": "eth",
        },
        description="Coin of the on-chain metrics behind each symbol, as the source spells it.",
    )  # fmt: skip
    onchain_chains: dict[str, str] = Field(
        {
            "ETH-USD": "Ethereum", "ETHUSDT": "Ethereum", "ETH/USDT": "Ethereum",
            "SOL-USD": "Solana", "SOLUSDT": "Solana", "SOL/USDT": "Solana",
        },
        description="Chain whose locked value belongs to each symbol, as the source spells it.",
    )  # fmt: skip
    option_underlyings: dict[str, str] = Field(
        {
            "BTC-USD": "BTC", "BTCUSDT": "BTC", "BTC/USDT": "BTC",
            "ETH-USD": "ETH", "ETHUSDT": "ETH", "ETH/USDT": "ETH",
            "^GSPC": "SPX", "^SP500": "SPX",
        },
        description="Underlying of the options on each symbol where it is not the symbol itself.",
    )  # fmt: skip
    tick_bar: Literal["1m", "5m", "15m"] = Field(
        "1m", description="Bars that features of ticks are gathered in."
    )
    tick_window_bars: int = Field(
        30, ge=5, le=1_000, description="Bars that impact and deviation of ticks are measured over."
    )
    tick_horizon_seconds: float = Field(
        300.0, gt=0, le=7_200, description="From a trade to the price that says what it cost."
    )
    truncation_dates: int = Field(
        3, ge=1, le=20, description="Seeded dates of the truncation check."
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


class AgentsSection(Section):
    """Trading environment."""

    window_sessions: int = Field(21, ge=2, le=252)
    cost_multiplier: float = Field(1.0, ge=0, le=10)
    reward_scale: float = Field(100.0, gt=0)


class PortfolioSection(Section):
    """From forecasts to weights."""

    target_volatility_annual: float = Field(0.15, gt=0, le=1)
    covariance_window_sessions: int = Field(252, ge=60, le=1260)
    max_gross_exposure: float = Field(1.0, gt=0, le=4)
    rank_tilt: float = Field(
        1.0, ge=0, le=1, description="0 is 1/N; 1 gives the worst rank no weight."
    )
    turbulent_scale: float = Field(0.5, gt=0, le=1, description="Exposure in the turbulent state.")
    kelly_fraction: float = Field(0.25, gt=0, le=1)
    regime_strategies: tuple[str, ...] = Field(
        ("one_over_n",),
        description="Strategies that are also run under the parameters of the regime in force "
        "(regimes.parameters), as candidates called <strategy>_regime; each is one more trial.",
    )

    @field_validator("regime_strategies")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError(f"regime_strategies names a strategy twice: {list(value)}")
        return value


class CostEra(Section):
    """Half-spread in force until a date."""

    until: str | None = Field(
        None, description="First date it no longer holds; null for the last era."
    )
    half_spread_bps: float = Field(ge=0, le=1_000)
    reason: str


class BacktestSection(Section):
    """Costs. The fill rule is fixed: a decision at t fills at the next bar."""

    commission_bps: float = Field(1.0, ge=0, le=1_000)
    commission_per_share: float = Field(
        0.0, ge=0, le=10, description="Needs raw prices; else null with a note."
    )
    impact_coefficient: float = Field(
        0.1, ge=0, le=10, description="Square-root impact; needs raw price and volume."
    )
    spread_eras: tuple[CostEra, ...] = (
        CostEra(until="1997-06-24", half_spread_bps=15.0, reason="quotes in eighths of a dollar"),
        CostEra(until="2001-04-09", half_spread_bps=10.0, reason="quotes in sixteenths"),
        CostEra(until=None, half_spread_bps=2.0, reason="decimal quotes"),
    )
    bootstrap_samples: int = Field(1_000, ge=100, le=100_000)
    bootstrap_mean_block_sessions: int = Field(21, ge=1, le=252)
    factor_file: str | None = Field(
        None,
        description="CSV of factor returns in the format of Kenneth French's data library (percent, YYYYMM or YYYYMMDD) to attribute returns to, besides the bundled factors.",
    )
    overfitting_blocks: int = Field(
        16,
        ge=4,
        le=20,
        multiple_of=2,
        description="Blocks of the cross-validation that tells overfitting; 16 make 12,870 splits.",
    )
    stress_cost_bps: tuple[float, ...] = Field(
        (0.0, 5.0, 10.0, 20.0, 50.0),
        min_length=2,
        description="All-in costs per traded value, in place of commission, spread and impact.",
    )
    stress_delay_bars: tuple[int, ...] = Field(
        (1, 2, 3, 4, 5), description="Bars by which decisions come later."
    )
    stress_universe_draws: int = Field(
        5, ge=0, le=100, description="Seeded draws of symbols that are left out."
    )
    stress_universe_share: float = Field(
        0.2, gt=0, lt=1, description="Share of the symbols left out in each draw."
    )
    deep_control_seeds: int = Field(
        100,
        ge=1,
        le=1_000,
        description="Planted edges of the job `controls_deep`; twice as many nulls, a fifth as many leaks.",
    )
    seed: int = Field(12_345, ge=0)

    @field_validator("stress_cost_bps", "stress_delay_bars")
    @classmethod
    def _ascending(cls, values: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        least, most = (0.0, 1_000.0) if info.field_name == "stress_cost_bps" else (1, 60)
        if list(values) != sorted(set(values)) or any(not least <= v <= most for v in values):
            raise ValueError(
                f"{values}: must ascend without repeats and lie between {least} and {most}"
            )
        return values


class RiskSection(Section):
    """Risk measures."""

    levels: tuple[float, ...] = (0.95, 0.99)
    window_sessions: int = Field(500, ge=500)
    window_sessions_99: int = Field(1_000, ge=1_000)
    monte_carlo_paths: int = Field(10_000, ge=100, le=1_000_000)
    monte_carlo_horizon_sessions: int = Field(252, ge=1, le=2_520)
    seed: int = Field(4_321, ge=0)


class ExecutionSection(Section):
    """How steps are run, and what orders must obey besides `trading` and `portfolio`."""

    executor: Executor = "in_process"
    max_concurrent: int = Field(2, ge=1, le=256)
    gpu: GpuSection = GpuSection()
    paper_folder: str = Field(
        "",
        description="Folder of paper accounts, one folder each, in the data folder; empty: their tables are absent.",
    )
    max_net_exposure: float = Field(
        1.0, gt=0, le=4, description="Largest absolute sum of weights after an order."
    )
    max_turnover_per_session: float = Field(
        2.0, gt=0, le=100, description="Largest value traded in a session, as share of equity."
    )
    price_collar: float = Field(
        0.10,
        gt=0,
        lt=1,
        description="Largest distance of an order's price from the price of its decision.",
    )
    max_orders_per_minute: int = Field(300, ge=1, le=100_000)


class AutomationSection(Section):
    """Schedules and sensors; each is visible and stopped until a person starts it."""

    exchange_calendar: str = "XNYS"
    ingest_minutes_after_close: int = Field(45, ge=0, le=720)
    retrain_cron: str = "0 6 * * 6"
    timezone: str = "America/New_York"
    ingest_cron: str = Field(
        "15 6 * * *", description="When remote providers without a closing bell are asked."
    )


class WarehouseSection(Section):
    """Where data lie."""

    path: str = Field("data", description="Folder, relative to the project or absolute.")
    lock_timeout_s: float = Field(120.0, gt=0)
    force_recompute: bool = False
