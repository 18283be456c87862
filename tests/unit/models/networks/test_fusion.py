"""Modalities beside the window: attention of the paper, missing ones masked, news that is heard."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

from network_inputs import inputs_of  # noqa: E402

from btq_assets.models import scores  # noqa: E402
from btq_assets.models.deep.transformer_gnn import (  # noqa: E402
    TransformerGNNForecaster,
    TransformerGNNSpec,
)
from btq_assets.models.forecaster import ModelError  # noqa: E402
from btq_assets.models.networks.fusion import ModalityFusion  # noqa: E402
from btq_assets.models.networks.transformer_gnn import TransformerGNN  # noqa: E402
from btq_assets.models.windows.modalities import columns_of  # noqa: E402

torch.set_num_threads(1)

NEWS, MACRO = columns_of("sentiment")[0], columns_of("macro")[0]


def of(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def fusion() -> ModalityFusion:
    torch.manual_seed(0)
    return ModalityFusion(6, 2, (2, 1, 3), 0.0).double()


def test_what_is_heard_is_attention_over_what_is_there(fusion: ModalityFusion) -> None:
    """Vaswani et al. (2017), eq. 1, head by head, over the available tokens alone."""
    nodes, values = of(3, 6).double(), of(3, 6, seed=2).double()
    there = torch.tensor([[True, True, True], [True, False, True], [False, True, False]])
    found = fusion(nodes, values, there)
    parts = values.split([2, 1, 3], dim=-1)
    for node in range(3):
        tokens = [
            embed(part[node])
            for embed, part, known in zip(fusion.embed, parts, there[node], strict=True)
            if known
        ]
        key_value = fusion.key_value(fusion.norm_tokens(torch.stack(tokens))).detach().numpy()
        key, value = np.split(key_value, 2, axis=1)
        query = fusion.query(fusion.norm(nodes[node])).detach().numpy()
        mixed = np.zeros(6)
        for head in range(2):
            at = slice(3 * head, 3 * head + 3)
            weight = np.exp(key[:, at] @ query[at] / math.sqrt(3))
            mixed[at] = weight / weight.sum() @ value[:, at]
        expected = nodes[node] + fusion.out(torch.from_numpy(mixed))
        torch.testing.assert_close(found[node], expected)


def test_who_has_none_stays_and_what_is_missing_is_never_read(fusion: ModalityFusion) -> None:
    nodes = of(4, 6).double()
    nothing = torch.zeros(4, 3, dtype=torch.bool)
    # Even what is no number does no harm where it is masked.
    absent = torch.full((4, 6), torch.nan, dtype=torch.float64)
    torch.testing.assert_close(fusion(nodes, absent, nothing), nodes, rtol=0, atol=0)
    some = torch.tensor([[False, True, False]]).expand(4, 3)
    one, other = absent.clone(), of(4, 6, seed=5).double()
    one[:, 2] = other[:, 2] = 0.3
    torch.testing.assert_close(fusion(nodes, one, some), fusion(nodes, other, some))
    fusion(nodes, one, some).sum().backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in fusion.parameters())


def test_a_network_without_a_modality_forecasts_as_one_that_cannot_fuse() -> None:
    torch.manual_seed(0)
    sizes = {"dim": 10, "heads": 2, "layers": 1, "graph_heads": 2, "dropout": 0.0}
    fusing = TransformerGNN(3, **sizes, modality_widths=(2, 1)).eval()
    plain = TransformerGNN(3, **sizes).eval()
    plain.load_state_dict({k: v for k, v in fusing.state_dict().items() if "fusion" not in k})
    windows = of(4, 5, 3)
    nothing = torch.zeros(4, 2, dtype=torch.bool)
    values = of(4, 3, seed=3)
    fused = fusing(inputs_of(windows, modalities=values, available=nothing)).mean
    torch.testing.assert_close(fused, plain(inputs_of(windows)).mean, rtol=0, atol=0)
    heard = fusing(inputs_of(windows, modalities=values, available=~nothing)).mean
    assert not torch.allclose(heard, fused)


SPEC = TransformerGNNSpec(
    model_dim=12,
    num_heads=2,
    lookback_sessions=3,
    epochs=5,
    learning_rate=1e-2,
    graph_window_sessions=40,
    graph_neighbours=2,
    horizon_sessions=1,
    dropout=0.0,
    modalities=("sentiment", "macro", "options"),
)


@pytest.fixture(scope="module")
def newsworthy(panel_of, training_set_of):
    """News on half of the asset days moves the label, and a macro column turns it round."""
    random = np.random.default_rng(3)
    shape = (420, 8)
    mood = random.choice([-1.0, 1.0], size=(420, 1))
    news = np.where(random.random(shape) < 0.5, random.normal(size=shape), np.nan)
    returns = 0.004 * random.normal(size=shape)
    returns[2:] += 0.01 * np.nan_to_num(news * mood)[:-2]
    features = {"noise": random.normal(size=shape), NEWS: news, MACRO: np.tile(mood, 8)}
    panel = panel_of(returns, features).with_columns(pl.col(NEWS).fill_nan(None))
    return panel, training_set_of(panel, tuple(features), 300, 60)


def test_news_is_heard_and_kept_with_the_model(newsworthy, tmp_path: Path) -> None:
    panel, data = newsworthy
    test = panel.filter(pl.col("ts") >= data.cutoff)
    fitted = TransformerGNNForecaster(SPEC).fit(data)
    found = fitted.predict(test)
    assert scores.mean_rank_ic(found, test) > 0.3
    fitted.save(tmp_path)
    again = TransformerGNNForecaster.load(tmp_path).predict(test)
    np.testing.assert_array_equal(again["forecast"], found["forecast"])
    mute = fitted.predict(
        test.with_columns(pl.lit(None, pl.Float64).alias(name) for name in (NEWS, MACRO))
    )
    assert mute["forecast"].is_finite().all()
    assert abs(scores.mean_rank_ic(mute, test)) < 0.2


def test_tokens_know_the_calendar_and_forecast_the_same_from_less_history(
    panel_of, training_set_of
) -> None:
    """The label follows the exposure on Mondays and goes against it on other days."""
    random = np.random.default_rng(7)
    exposure = np.tile(np.linspace(-1, 1, 6), (420, 1))
    monday = np.where(np.arange(420) % 5 == 0, 1.0, -0.3)[:, None]  # the panel starts on one
    returns = 0.004 * random.normal(size=exposure.shape)
    returns[2:] += 0.02 * (monday * exposure)[:-2]
    panel = panel_of(returns, {"exposure": exposure})
    data = training_set_of(panel, ("exposure",), 300, 60)
    test = panel.filter(pl.col("ts") >= data.cutoff)
    mondays = pl.col("ts").dt.weekday() == 1
    found = {}
    for calendar in (True, False):
        spec = replace(SPEC, modalities=(), calendar=calendar, positions="rotary", epochs=8)
        spec = replace(spec, use_graph=False)
        fitted = TransformerGNNForecaster(spec).fit(data)
        forecast = fitted.predict(test)
        on_mondays = [part.filter(mondays) for part in (forecast, test)]
        found[calendar] = scores.mean_rank_ic(*on_mondays)
        ts = test["ts"].unique().sort()
        recent = fitted.predict(test.filter(pl.col("ts") >= ts[20 - fitted.history_sessions]))
        last, same = (part.filter(pl.col("ts") == ts[20]) for part in (forecast, recent))
        np.testing.assert_allclose(same["forecast"], last["forecast"], rtol=1e-4, atol=1e-7)
    assert found[True] > 0.5, found
    assert found[False] < 0, found


def test_sessions_need_features_of_their_own(newsworthy) -> None:
    _, data = newsworthy
    only_news = replace(data, asset_features=(NEWS, MACRO))
    with pytest.raises(ModelError, match=r"all 2 features .* sentiment, macro, options"):
        TransformerGNNForecaster(SPEC).fit(only_news)
    with pytest.raises(ModelError, match="'weather'"):
        replace(SPEC, modalities=("weather",))
    with pytest.raises(ModelError, match="sinusoidal or rotary, not 'learned'"):
        replace(SPEC, positions="learned")
