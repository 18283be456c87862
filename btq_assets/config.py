"""The one configuration object: `btq.yaml` plus environment, validated, with two profiles.

Belongs here: what can be set, its bounds, its default, and how files and environment are laid
over one another. Does not belong here: anything that acts on a setting. Importing this module
reads nothing; only `TradingConfig.load` touches a file or the environment.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Profile = Literal["quick", "full"]
Executor = Literal["in_process", "multiprocess", "docker", "k8s", "ray"]
Device = Literal["auto", "cpu", "cuda", "mps"]

ENV_PREFIX = "BTQ_"
SECRET_NAMES = (
    "ALPHA_VANTAGE_KEY",
    "QUANDL_KEY",
    "TWITTER_API_KEY",
    "FRED_API_KEY",
    "WANDB_API_KEY",
)


class ConfigError(ValueError):
    """A setting is unknown, of the wrong type, or outside its allowed range."""


class Section(BaseModel):
    """A frozen group of settings that refuses unknown keys."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False
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


class SampleSourceSection(Section):
    """Real data that ships inside Python packages."""

    enabled: bool = True
    synthetic_documents_seed: int = Field(20_240_101, ge=0)
    synthetic_documents_per_symbol_year: int = Field(12, ge=0, le=366)


class FolderSourceSection(Section):
    """Any CSV or Parquet dropped in a folder."""

    enabled: bool = False
    path: str = "inbox"
    timezone: str | None = Field(None, description="Zone of naive times; null refuses them.")
    columns: dict[str, str] = Field(
        default_factory=dict, description="File column → contract column."
    )
    calendar: str = "XNYS"
    currency: str = "USD"
    freq: Literal["1m", "5m", "15m", "1h", "1d"] = "1d"


class YahooSourceSection(Section):
    """Yahoo Finance through yfinance."""

    enabled: bool = False
    symbols: tuple[str, ...] = ("SPY", "AAPL", "MSFT")
    start_month: str = Field("2020-01", pattern=r"^\d{4}-(0[1-9]|1[0-2])$")
    timeout_s: float = Field(20.0, gt=0, le=300)
    max_attempts: int = Field(4, ge=1, le=10)


class SourcesSection(Section):
    """Where data come from."""

    sample: SampleSourceSection = SampleSourceSection()
    folder: FolderSourceSection = FolderSourceSection()
    yahoo: YahooSourceSection = YahooSourceSection()


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


class FeaturesSection(Section):
    """Feature families and their parameters."""

    quantum_features: QuantumFeaturesSection = QuantumFeaturesSection()
    alternative_data: AlternativeDataSection = AlternativeDataSection()
    sentiment_half_life_sessions: float = Field(5.0, gt=0, le=252)
    correlation_window_sessions: int = Field(126, ge=40, le=756)
    truncation_dates: int = Field(
        3, ge=1, le=20, description="Seeded dates of the truncation check."
    )


class RegimesSection(Section):
    """Markov switching on the universe's equal-weight return."""

    enable: bool = True
    min_fit_sessions: int = Field(756, ge=252)
    refit_every_sessions: int = Field(504, ge=5)
    fit_window_sessions: int = Field(1260, ge=252)


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
    """LightGBM regression trees with early stopping on the validation segment."""

    num_leaves: int = Field(15, ge=2, le=1024)
    learning_rate: float = Field(0.03, gt=0, le=1)
    n_estimators: int = Field(300, ge=1, le=10_000)
    min_child_samples: int = Field(200, ge=1)
    feature_fraction: float = Field(0.6, gt=0, le=1)
    early_stopping_rounds: int = Field(30, ge=1)


class TransformerSection(Section):
    """Transformer-GNN."""

    model_dim: int = Field(32, ge=8, le=1024)
    num_heads: int = Field(4, ge=1, le=32)
    num_layers: int = Field(1, ge=1, le=24)
    graph_heads: int = Field(2, ge=1, le=16)
    lookback_sessions: int = Field(20, ge=2, le=512)
    dropout: float = Field(0.1, ge=0, lt=1)
    learning_rate: float = Field(1e-3, gt=0, le=1)
    weight_decay: float = Field(1e-3, ge=0)
    epochs: int = Field(8, ge=1, le=1_000)
    patience: int = Field(3, ge=1, le=100)
    batch_dates: int = Field(16, ge=1, le=4_096, description="Decision dates per batch.")
    graph_neighbours: int = Field(5, ge=1, le=100)
    use_graph: bool = True


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
    decision_every: Literal["week", "month"] = "week"
    seeds: tuple[int, ...] = Field((7, 11), min_length=1)
    walk_forward: WalkForwardSection = WalkForwardSection()
    ridge: RidgeSection = RidgeSection()
    lightgbm: LightGBMSection = LightGBMSection()
    transformer: TransformerSection = TransformerSection()
    rl: RLSection = RLSection()


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
    seed: int = Field(12_345, ge=0)


class RiskSection(Section):
    """Risk measures."""

    levels: tuple[float, ...] = (0.95, 0.99)
    window_sessions: int = Field(500, ge=500)
    window_sessions_99: int = Field(1_000, ge=1_000)
    monte_carlo_paths: int = Field(10_000, ge=100, le=1_000_000)
    monte_carlo_horizon_sessions: int = Field(252, ge=1, le=2_520)
    seed: int = Field(4_321, ge=0)


class ExecutionSection(Section):
    """How steps are run."""

    executor: Executor = "in_process"
    max_concurrent: int = Field(2, ge=1, le=256)


class AutomationSection(Section):
    """Schedules and sensors; each is visible and stopped until a person starts it."""

    exchange_calendar: str = "XNYS"
    ingest_minutes_after_close: int = Field(45, ge=0, le=720)
    retrain_cron: str = "0 6 * * 6"
    timezone: str = "America/New_York"


class WarehouseSection(Section):
    """Where data lie."""

    path: str = Field("data", description="Folder, relative to the project or absolute.")
    lock_timeout_s: float = Field(120.0, gt=0)
    force_recompute: bool = False


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
            "lightgbm": {"n_estimators": 1_000},
            "rl": {"total_timesteps": 500_000},
        },
        "features": {"truncation_dates": 5},
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
    "use_sentiment": ("features", "alternative_data", "sentiment_analysis"),
    "use_macro": ("features", "alternative_data", "macro_indicators"),
    "use_quantum_features": ("features", "quantum_features", "enable"),
    "use_regime_detection": ("regimes", "enable"),
}


class TradingConfig(Section):
    """Configuration of the whole platform.

    Sections mirror ``btq.yaml``. Keyword arguments may also be the flat names of ``ALIASES``
    (``init_cash``, ``transformer_dim``, ``use_sentiment``, ``use_regime_detection``, ...) and
    ``use_gpu`` (``True`` asks for CUDA, ``False`` for the CPU); each is readable as an attribute.

    Raises
    ------
    ConfigError
        An unknown key or impossible value, naming the key, the value, what is allowed and the
        nearest valid name.

    Examples
    --------
    >>> config = TradingConfig(init_cash=50_000, transformer_dim=64)
    >>> config.trading.initial_cash, config.transformer_dim
    (50000.0, 64)
    """

    profile: Profile = "quick"
    trading: TradingSection = TradingSection()
    universe: UniverseSection = UniverseSection()
    sources: SourcesSection = SourcesSection()
    features: FeaturesSection = FeaturesSection()
    regimes: RegimesSection = RegimesSection()
    models: ModelsSection = ModelsSection()
    agents: AgentsSection = AgentsSection()
    portfolio: PortfolioSection = PortfolioSection()
    backtest: BacktestSection = BacktestSection()
    risk: RiskSection = RiskSection()
    execution: ExecutionSection = ExecutionSection()
    automation: AutomationSection = AutomationSection()
    warehouse: WarehouseSection = WarehouseSection()

    def __init__(self, **settings: Any) -> None:
        nested = _expand_aliases(settings)
        profile = nested.get("profile", "quick")
        if profile in PROFILES:
            nested = merge(PROFILES[profile], nested)
        try:
            super().__init__(**nested)
        except ValidationError as error:
            raise ConfigError(_explain(error, type(self))) from None

    @model_validator(mode="after")
    def _check_across_sections(self) -> TradingConfig:
        if any(not 0.5 < level < 1 for level in self.risk.levels):
            raise ValueError(f"risk.levels = {self.risk.levels}: each must lie between 0.5 and 1")
        eras = self.backtest.spread_eras
        dates = [era.until for era in eras[:-1]]
        if (
            not eras
            or eras[-1].until is not None
            or None in dates
            or dates != sorted(map(str, dates))
        ):
            raise ValueError(
                "backtest.spread_eras must be ordered by `until`, the last one with until: null"
            )
        return self

    def __getattr__(self, name: str) -> Any:
        if name in ALIASES:
            value: Any = self
            for part in ALIASES[name]:
                value = getattr(value, part)
            return value
        if name == "use_gpu":
            return self.trading.device in ("cuda", "mps")
        return super().__getattr__(name)  # type: ignore[misc]

    @classmethod
    def load(
        cls, path: str | Path | None = None, environment: Mapping[str, str] | None = None
    ) -> TradingConfig:
        """Read ``btq.yaml`` and lay the environment over it.

        Parameters
        ----------
        path
            YAML file. Default: ``$BTQ_CONFIG``, else ``btq.yaml`` in the working folder if it
            exists, else nothing.
        environment
            Variables; default ``os.environ``. ``BTQ_TRADING__INITIAL_CASH=5e5`` sets
            ``trading.initial_cash``; ``BTQ_PROFILE`` and ``BTQ_EXECUTOR`` are short forms.

        Raises
        ------
        ConfigError
            The file is missing, not YAML, or holds an unknown key or impossible value.
        """
        environment = os.environ if environment is None else environment
        named = path or environment.get("BTQ_CONFIG")
        file = Path(named or "btq.yaml")
        settings: dict[str, Any] = {}
        if file.is_file():
            settings = _read_yaml(file)
        elif named:
            raise ConfigError(f"configuration file {file} does not exist")
        settings = _expand_aliases(settings)
        for name, value in _environment_settings(environment):
            settings = merge(settings, _nest(name, value))
        return cls(**settings)

    def fingerprint(self, sections: tuple[str, ...]) -> str:
        """Hash of the named parts of the configuration.

        Parameters
        ----------
        sections
            Dotted paths, such as ``"features"`` or ``"models.transformer"``.
        """
        plain = self.model_dump(mode="json")
        chosen = {}
        for section in sections:
            value: Any = plain
            for part in section.split("."):
                value = value[part]
            chosen[section] = value
        return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:16]


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay nested mapping `over` on `base`; sections given as models are taken as they are."""
    result = dict(base)
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merge(result[key], value)
        else:
            result[key] = value
    return result


def _expand_aliases(settings: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in settings.items():
        if key in ALIASES:
            part: Any = value
            for name in reversed(ALIASES[key]):
                part = {name: part}
            nested = merge(nested, part)
        elif key == "use_gpu":
            nested = merge(nested, {"trading": {"device": "cuda" if value else "cpu"}})
        else:
            nested = merge(nested, {key: value})
    return nested


def _read_yaml(file: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(file.read_text())
    except yaml.YAMLError as error:
        raise ConfigError(f"{file} is not valid YAML: {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(
            f"{file} must hold sections such as `trading:`, found {type(content).__name__}"
        )
    return content


_SHORT_FORMS = {"BTQ_PROFILE": "profile", "BTQ_EXECUTOR": "execution.executor"}
_NOT_SETTINGS = {"BTQ_CONFIG", "BTQ_WAREHOUSE_FILE"}


def _environment_settings(environment: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    import yaml

    for name, text in sorted(environment.items()):
        if not name.startswith(ENV_PREFIX) or name in _NOT_SETTINGS:
            continue
        dotted = _SHORT_FORMS.get(name) or name[len(ENV_PREFIX) :].lower().replace("__", ".")
        yield dotted, yaml.safe_load(text)


def _nest(dotted: str, value: Any) -> dict[str, Any]:
    nested: Any = value
    for part in reversed(dotted.split(".")):
        nested = {part: nested}
    return nested


def _explain(error: ValidationError, model: type[BaseModel]) -> str:
    lines = []
    for problem in error.errors():
        location = [str(part) for part in problem["loc"]]
        dotted = ".".join(location) or "configuration"
        if problem["type"] == "extra_forbidden":
            names = _field_names(model, location[:-1])
            near = difflib.get_close_matches(location[-1], names, n=1, cutoff=0.5)
            hint = (
                f"; did you mean {near[0]!r}?"
                if near
                else f"; known here: {', '.join(sorted(names))}"
            )
            lines.append(f"{dotted}: unknown key{hint}")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            lines.append(
                f"{dotted} = {problem.get('input')!r}: {message}{_range_of(model, location)}"
                if location
                else message
            )
    return "configuration is not valid:\n  " + "\n  ".join(lines)


def _model_at(model: type[BaseModel], location: list[str]) -> type[BaseModel] | None:
    current: Any = model
    for part in location:
        info = getattr(current, "model_fields", {}).get(part)
        if info is None:
            return None
        current = info.annotation
    return current if isinstance(current, type) and issubclass(current, BaseModel) else None


def _field_names(model: type[BaseModel], location: list[str]) -> list[str]:
    found = _model_at(model, location)
    names = list(found.model_fields) if found else []
    return names + list(ALIASES) + ["use_gpu"] if not location else names


def _range_of(model: type[BaseModel], location: list[str]) -> str:
    parent = _model_at(model, location[:-1])
    info = parent.model_fields.get(location[-1]) if parent else None
    if info is None:
        return ""
    if choices := get_args(info.annotation):
        texts = [str(choice) for choice in choices if isinstance(choice, str)]
        return f"; allowed: {', '.join(texts)}" if texts else ""
    bounds = []
    for mark in info.metadata:
        for attribute, sign in (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<=")):
            if (bound := getattr(mark, attribute, None)) is not None:
                bounds.append(f"{sign} {bound:g}")
    return f"; allowed: {' and '.join(bounds)}" if bounds else ""
