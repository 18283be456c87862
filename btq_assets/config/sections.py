"""Settings of trading and of the rooms with few of them: bounds and defaults.

Belongs here: sections of ``btq.yaml`` that are too short for a file of their own. Does not belong here:
the sections with one (`features`, `models`, `backtesting`, `regimes`, `sources`), and anything that acts
on a setting.
"""

from __future__ import annotations

from pydantic import Field, field_validator

from btq_assets.config.base import Device, Executor, Section
from btq_assets.config.compute import GpuSection


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
