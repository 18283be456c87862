"""`TradingConfig`: bounds, names, profiles, environment; errors a person can act on."""

from __future__ import annotations

import pytest
import yaml

from btq_assets.config import PROFILES, SECRET_NAMES, ConfigError, TradingConfig
from btq_assets.warehouse.paths import project_root


def test_flat_names_of_the_notebook_api_reach_their_sections():
    config = TradingConfig(
        init_cash=50_000,
        use_gpu=False,
        transformer_dim=64,
        use_sentiment=False,
        use_regime_detection=True,
        max_position_size=0.1,
    )
    assert config.trading.initial_cash == config.init_cash == 50_000
    assert config.models.transformer.model_dim == config.transformer_dim == 64
    assert config.features.alternative_data.sentiment_analysis is config.use_sentiment is False
    assert config.regimes.enable is config.use_regime_detection is True
    assert config.trading.device == "cpu"
    assert not config.use_gpu


def test_names_of_the_yaml_document_are_accepted():
    config = TradingConfig(
        trading={"initial_cash": 1e5, "max_position_size": 0.25, "max_drawdown_threshold": 0.15},
        models={
            "transformer": {"model_dim": 256, "num_heads": 8, "num_layers": 6},
            "rl": {"algorithm": "PPO", "learning_rate": 3e-4},
        },
        features={
            "quantum_features": {"enable": True, "harmonic_oscillator": True},
            "alternative_data": {"sentiment_analysis": True, "macro_indicators": True},
        },
    )
    assert config.models.transformer.num_layers == 6


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ({"traading": {}}, ["traading: unknown key", "did you mean 'trading'?"]),
        ({"trading": {"initial_csh": 1}}, ["trading.initial_csh: unknown key", "'initial_cash'"]),
        ({"init_cash": -1}, ["trading.initial_cash = -1", "allowed: > 0"]),
        (
            {"trading": {"max_position_size": 1.5}},
            ["trading.max_position_size = 1.5", "> 0 and <= 1"],
        ),
        ({"trading": {"device": "tpu"}}, ["trading.device = 'tpu'", "auto, cpu, cuda, mps"]),
        ({"trading": {"initial_cash": float("nan")}}, ["trading.initial_cash = nan"]),
        ({"trading": {"initial_cash": "much"}}, ["trading.initial_cash = 'much'", "valid number"]),
        ({"profile": "fast"}, ["profile = 'fast'", "quick, full"]),
        ({"risk": {"levels": [0.95, 1.5]}}, ["risk.levels", "between 0.5 and 1"]),
        ({"backtest": {"spread_eras": []}}, ["spread_eras must be ordered"]),
    ],
)
def test_errors_name_key_value_range_and_nearest_name(settings, parts):
    with pytest.raises(ConfigError) as caught:
        TradingConfig(**settings)
    for part in parts:
        assert part in str(caught.value)


def test_environment_lies_over_the_file_and_the_file_over_the_profile(tmp_path):
    file = tmp_path / "btq.yaml"
    file.write_text("profile: full\ntrading: {initial_cash: 5}\nmodels: {seeds: [1]}\n")
    config = TradingConfig.load(
        file, {"BTQ_TRADING__INITIAL_CASH": "7", "BTQ_EXECUTOR": "in_process", "HOME": "/"}
    )
    assert config.trading.initial_cash == 7
    assert config.models.seeds == (1,)
    assert config.models.transformer.model_dim == 128
    assert config.execution.executor == "in_process"


def test_unknown_environment_variable_is_named():
    with pytest.raises(ConfigError, match=r"trading\.initial_cahs: unknown key"):
        TradingConfig.load(environment={"BTQ_TRADING__INITIAL_CAHS": "7"})


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2\n"])
def test_broken_file_is_named(tmp_path, text):
    file = tmp_path / "btq.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"btq\.yaml"):
        TradingConfig.load(file, {})


def test_missing_named_file_is_an_error_and_a_missing_default_file_is_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert TradingConfig.load(environment={}) == TradingConfig()
    with pytest.raises(ConfigError, match="does not exist"):
        TradingConfig.load(environment={"BTQ_CONFIG": "absent.yaml"})


def test_the_bundled_file_says_what_the_defaults_say():
    assert TradingConfig.load(project_root() / "btq.yaml", {}) == TradingConfig()


def test_quick_stays_within_its_limits_and_full_is_larger():
    quick, full = TradingConfig(), TradingConfig(profile="full")
    assert quick.models.decision_every == "week"
    assert quick.models.walk_forward.max_folds <= 4
    assert len(quick.models.seeds) <= 2
    assert quick.models.rl.total_timesteps <= 20_000
    assert len(full.models.seeds) >= 5
    assert full.models.transformer.model_dim > quick.models.transformer.model_dim
    assert set(PROFILES) == {"quick", "full"}


def test_fingerprint_moves_with_its_own_sections_only():
    base, other = TradingConfig(), TradingConfig(risk={"seed": 1})
    assert base.fingerprint(("features", "models.ridge")) == other.fingerprint(
        ("features", "models.ridge")
    )
    assert base.fingerprint(("risk",)) != other.fingerprint(("risk",))


def test_secrets_have_no_place_in_the_configuration():
    text = yaml.safe_dump(TradingConfig().model_dump(mode="json")).upper()
    assert not [name for name in SECRET_NAMES if name in text]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@db/trials",
        "postgresql://me:hun@ter2/hunter2@db/trials",
        "postgresql+psycopg2://me@db/trials?sslmode=require&password=hunter2",
        "postgresql://db/trials?sslpassword=hunter2",
        "postgresql://me:hun?hunter2@db/trials",
    ],
)
def test_a_password_of_a_database_is_refused_and_not_shown(url):
    """The configuration is a resource of Dagster, in journals and in the web server."""
    with pytest.raises(ConfigError, match=r"models\.search\.storage") as caught:
        TradingConfig(models={"search": {"storage": url}})
    assert "PGPASSWORD" in str(caught.value)
    assert not any(part in str(caught.value) for part in ("hunter2", "ter2", "hun"))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "where",
    ["search.journal", "postgresql+psycopg2://me@db:5432/trials?host=/run&passfile=/home/me"],
)
def test_a_database_without_a_password_is_a_setting(where):
    config = TradingConfig(models={"search": {"storage": where}})
    assert config.models.search.storage == where


def test_configuration_survives_json():
    config = TradingConfig(profile="full", init_cash=3)
    assert TradingConfig(**config.model_dump(mode="json")) == config
