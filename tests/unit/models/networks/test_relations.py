"""Relations as options of the networks over graphs: learned ones, sectors, each left out."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

from btq_assets.models.catalogue import FAMILIES  # noqa: E402
from btq_assets.models.forecaster import ModelError  # noqa: E402
from btq_assets.models.networks.learned_relation import LearnedRelation  # noqa: E402

torch.set_num_threads(1)

N_ASSETS = 8


@pytest.fixture(scope="module")
def relation() -> LearnedRelation:
    torch.manual_seed(0)
    return LearnedRelation(6, 2)


def states_of(n: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))


def test_weights_are_a_softmax_over_the_largest_scores(relation: LearnedRelation) -> None:
    """``q_i . k_j / sqrt(d)`` of all others, the two largest kept; in numpy, asset by asset."""
    states = states_of(5)
    found = relation.weights(states[None], torch.ones(1, 5, dtype=torch.bool))[0]
    parts = [getattr(relation, name)(states).detach().numpy() for name in ("query", "key")]
    scores = parts[0] @ parts[1].T / np.sqrt(6)
    expected = np.zeros((5, 5))
    for asset in range(5):
        others = [j for j in range(5) if j != asset]
        best = sorted(others, key=lambda j: -scores[asset, j])[:2]
        weight = np.exp(scores[asset, best])
        expected[asset, best] = weight / weight.sum()
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-6)


def test_dates_do_not_hear_each_other_and_one_alone_hears_nothing(
    relation: LearnedRelation,
) -> None:
    nodes = states_of(8)
    date = torch.tensor([0, 0, 0, 0, 1, 2, 2, 2])
    together = relation(nodes, date)
    for number in range(3):
        alone = relation(nodes[date == number], torch.zeros(int((date == number).sum()), dtype=int))
        torch.testing.assert_close(together[date == number], alone)
    torch.testing.assert_close(together[4], nodes[4])
    together.sum().backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in relation.parameters())


def fitted_ic(panel: pl.DataFrame, data, name: str = "transformer_gnn", **others: object) -> float:
    forecaster = FAMILIES[name].load()
    spec = forecaster.spec_type(
        model_dim=16,
        lookback_sessions=2,
        epochs=8,
        learning_rate=1e-2,
        batch_dates=32,
        graph_neighbours=2,
        graph_window_sessions=40,
        horizon_sessions=1,
        dropout=0.0,
        seed=3,
        **others,
    )
    test = panel.filter(pl.col("ts") >= data.cutoff)
    found = forecaster(spec).fit(data).predict(test)
    both = found.join(test.select("symbol", "ts", "label"), on=["symbol", "ts"]).drop_nulls("label")
    return float(np.corrcoef(both["forecast"], both["label"])[0, 1])


@pytest.fixture(scope="module")
def news(panel_of, training_set_of):
    """Two sectors of four: an asset's return is the mean signal of the others in its sector.

    The effect is not in past returns alone of any pair, so no correlation points to it reliably.
    """
    random = np.random.default_rng(4)
    signal = random.normal(size=(400, N_ASSETS))
    sector = np.array([0, 1, 0, 1, 1, 0, 1, 0])
    same = (sector[:, None] == sector) & ~np.eye(N_ASSETS, dtype=bool)
    returns = 0.004 * random.normal(size=signal.shape)
    returns[2:] += 0.01 * (signal @ same / 3)[:-2]
    panel = panel_of(returns, {"signal": signal})
    names = {f"S{asset:02d}": "AB"[number] for asset, number in enumerate(sector)}
    panel = panel.with_columns(sector=pl.col("symbol").replace_strict(names))
    return panel, training_set_of(panel, ("signal",), 250, 60)


@pytest.mark.parametrize("name", ["transformer_gnn", "gat"])
def test_what_the_sector_says_is_learned_over_its_edges(name: str, news) -> None:
    """In units of 0.01: after the date's mean, 1/8 of all signals, is taken off, the label holds
    (1/3 - 1/8)^2 3 + (1/8)^2 5 = 0.208 of signals and 0.16 * 7/8 = 0.14 of noise: a correlation of
    0.77 at best, and of (1/8) / sqrt(0.348) = 0.21 for who knows their own signal alone.
    """
    assert fitted_ic(*news, name, relations=("sector",), typed_edges=True) > 0.5
    if name == "gat":
        assert abs(fitted_ic(*news, name, relations=())) < 0.3


def test_a_source_is_chosen_by_what_it_is(panel_of, training_set_of) -> None:
    """One asset a session has the news, and says so; all others follow it, by their exposure.

    Who has it changes every session, so no graph of the past can point to it. A date's own mean
    is taken off forecasts and labels, so that only news times exposure is left to be told. It makes
    0.92 of the variance; who has the news knows it alone: sqrt(0.92 / 8) = 0.34 without a relation.
    """
    random = np.random.default_rng(6)
    shape = (600, N_ASSETS)
    has_news = np.zeros(shape)
    has_news[np.arange(600), random.integers(0, N_ASSETS, 600)] = 1.0
    news = random.choice([-1.0, 1.0], size=(600, 1))
    exposure = np.tile(random.permutation([-1.0, 1.0] * (N_ASSETS // 2)), (600, 1))
    returns = 0.003 * random.normal(size=shape)
    returns[2:] += 0.01 * (news * exposure)[:-2]
    features = {"has_news": has_news, "news": news * has_news, "exposure": exposure}
    panel = panel_of(returns, features)
    data = training_set_of(panel, tuple(features), 400, 80)
    assert fitted_ic(panel, data, relations=("learned",)) > 0.6
    assert fitted_ic(panel, data, relations=()) < 0.45


def test_an_unknown_relation_is_named() -> None:
    with pytest.raises(ModelError, match=r"'friendship'.*correlation, lead_lag, sector, learned"):
        FAMILIES["gat"].load().spec_type(relations=("friendship",))
