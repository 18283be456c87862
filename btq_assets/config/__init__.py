"""The one configuration object: `btq.yaml` plus environment, validated, with two profiles.

Belongs here: the whole of `TradingConfig`. Does not belong here: its profiles and flat names
(`profiles`), sections (`features`, `models`, `backtesting`, `regimes`, `sources` and, the short ones,
`sections`), and anything that acts on a setting. Importing this package reads nothing; only
`TradingConfig.load` touches a file or the environment.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError, model_validator

from btq_assets.config.backtesting import (
    BacktestSection,
    CostEra,
)
from btq_assets.config.base import ConfigError, Device, Executor, Frequency, Profile, Section
from btq_assets.config.combining import EnsemblesSection, IntervalsSection, SearchSection
from btq_assets.config.comparison import ComparisonSection
from btq_assets.config.compute import GpuSection, TrainingSection
from btq_assets.config.explain import explain
from btq_assets.config.feature_families import check_families
from btq_assets.config.features import (
    AlternativeDataSection,
    FeaturesSection,
    GarchSection,
    QuantumFeaturesSection,
)
from btq_assets.config.fitted import ExplanationSection, ReproductionSection
from btq_assets.config.labelling import FractionalSection, LabelsSection
from btq_assets.config.models import (
    LightGBMSection,
    ModelsSection,
    RidgeSection,
    RLSection,
    WalkForwardSection,
)
from btq_assets.config.networks import (
    FTTransformerSection,
    GATSection,
    HeterogeneousSection,
    LSTMSection,
    NetworkSection,
    PerceptronSection,
    TextSection,
    TGNSection,
    TransformerSection,
    XLSTMSection,
)
from btq_assets.config.profiles import ALIASES, PROFILES
from btq_assets.config.reading import environment_settings, merge, nest, read_yaml
from btq_assets.config.regimes import RegimesSection
from btq_assets.config.sections import (
    AgentsSection,
    AutomationSection,
    ExecutionSection,
    PortfolioSection,
    RiskSection,
    TradingSection,
    UniverseSection,
    WarehouseSection,
)
from btq_assets.config.sources import (
    AlphaVantageNewsSourceSection,
    DocumentsSection,
    EdgarSourceSection,
    FolderSourceSection,
    GdeltSourceSection,
    ProviderSection,
    RedditSourceSection,
    ReportsSourceSection,
    RssSourceSection,
    SampleSourceSection,
    SourcesSection,
    XSourceSection,
    YahooSourceSection,
)

SECRET_NAMES = (
    "ALPHA_VANTAGE_KEY",
    "QUANDL_KEY",
    "TWITTER_API_KEY",
    "FRED_API_KEY",
    "REDDIT_CREDENTIALS",
    "WANDB_API_KEY",
)

__all__ = [
    "ALIASES",
    "PROFILES",
    "SECRET_NAMES",
    "AgentsSection",
    "AlphaVantageNewsSourceSection",
    "AlternativeDataSection",
    "AutomationSection",
    "BacktestSection",
    "ComparisonSection",
    "ConfigError",
    "CostEra",
    "Device",
    "DocumentsSection",
    "EdgarSourceSection",
    "EnsemblesSection",
    "ExecutionSection",
    "Executor",
    "ExplanationSection",
    "FTTransformerSection",
    "FeaturesSection",
    "FolderSourceSection",
    "FractionalSection",
    "Frequency",
    "GATSection",
    "GarchSection",
    "GdeltSourceSection",
    "GpuSection",
    "HeterogeneousSection",
    "IntervalsSection",
    "LSTMSection",
    "LabelsSection",
    "LightGBMSection",
    "ModelsSection",
    "NetworkSection",
    "PerceptronSection",
    "PortfolioSection",
    "Profile",
    "ProviderSection",
    "QuantumFeaturesSection",
    "RLSection",
    "RedditSourceSection",
    "RegimesSection",
    "ReportsSourceSection",
    "ReproductionSection",
    "RidgeSection",
    "RiskSection",
    "RssSourceSection",
    "SampleSourceSection",
    "SearchSection",
    "Section",
    "SourcesSection",
    "TGNSection",
    "TextSection",
    "TradingConfig",
    "TradingSection",
    "TrainingSection",
    "TransformerSection",
    "UniverseSection",
    "WalkForwardSection",
    "WarehouseSection",
    "XLSTMSection",
    "XSourceSection",
    "YahooSourceSection",
    "merge",
]


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
            raise ConfigError(explain(error, type(self), [*ALIASES, "use_gpu"])) from None

    @model_validator(mode="after")
    def _check_across_sections(self) -> TradingConfig:
        if any(not 0.5 < level < 1 for level in self.risk.levels):
            raise ValueError(f"risk.levels = {self.risk.levels}: each must lie between 0.5 and 1")
        check_families(
            self.models.feature_families,
            self.models.ablations,
            named_sets=self.features.named_sets,
            custom_modules=self.features.custom_modules,
        )
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
            settings = read_yaml(file)
        elif named:
            raise ConfigError(f"configuration file {file} does not exist")
        settings = _expand_aliases(settings)
        for name, value in environment_settings(environment):
            settings = merge(settings, nest(name, value))
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
