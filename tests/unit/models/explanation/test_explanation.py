"""Explanations: axioms of the methods, closed forms, and planted effects that must be named."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

from network_inputs import inputs_of  # noqa: E402

from btq_assets.models.catalogue import DEEP  # noqa: E402
from btq_assets.models.explanation.edges import edge_importance  # noqa: E402
from btq_assets.models.explanation.integrated_gradients import integrated_gradients  # noqa: E402
from btq_assets.models.explanation.newest import (  # noqa: E402
    NewestFit,
    explanation_rows,
    importance_rows,
    sums_outcome,
)
from btq_assets.models.explanation.permutation import permutation_importance  # noqa: E402
from btq_assets.models.explanation.rollout import attention_rollout  # noqa: E402
from btq_assets.models.explanation.trees import BASELINE, tree_contributions  # noqa: E402
from btq_assets.models.explanation.why import (  # noqa: E402
    NotExplainedError,
    explain,
    explain_each,
    global_importance,
)
from btq_assets.models.folds import TrainingSet  # noqa: E402
from btq_assets.models.forecaster import ModelError  # noqa: E402
from btq_assets.models.gradient_boosting import LightGBMForecaster  # noqa: E402
from btq_assets.models.ridge import RidgeForecaster, RidgeSpec  # noqa: E402
from btq_assets.models.windows.inputs import Outputs  # noqa: E402

torch.set_num_threads(1)

FAMILIES = {"planted": ["signal"], "empty": ["noise"], "unread": ["other"]}


def ring(nodes: int, length: int = 4, features: int = 3):
    """Loops and an edge from each node to the next."""
    torch.manual_seed(nodes)
    each = torch.arange(nodes)
    edges = torch.stack([torch.cat([each, each]), torch.cat([each, each.roll(-1)])])
    windows = torch.randn(nodes, length, features)
    return inputs_of(windows, edges, torch.randn(edges.shape[1], 2))


def network_of(name: str, **others: object):
    forecaster = DEEP[name].load()
    spec = forecaster.spec_type(**{"model_dim": 12, "lookback_sessions": 4, **others})
    torch.manual_seed(3)
    return forecaster(spec).new_network(3).eval()


class Linear(torch.nn.Module):
    """Last session of feature 0 plus twice that of the node before."""

    def forward(self, inputs):
        source, target = inputs.edges
        last = inputs.windows[:, -1, :1]
        heard = torch.zeros_like(last).index_add(
            0, target[source != target], last[source[source != target]]
        )
        return Outputs(last + 2 * heard)


@pytest.mark.parametrize("name", DEEP)
def test_attributions_sum_to_the_forecast_less_the_baseline(name: str) -> None:
    """Completeness, proposition 1 of Sundararajan et al. (2017)."""
    found = integrated_gradients(network_of(name), ring(5), [0, 3])
    assert found.values.shape == (2, 5, 4, 3)
    assert np.abs(found.forecast - found.baseline).min() > 1e-3
    total = found.values.sum(axis=(1, 2, 3))
    explained = found.forecast - found.baseline
    np.testing.assert_allclose(total, explained, atol=1e-2 * np.abs(explained).max() + 1e-6)


def test_attributions_of_a_linear_map_are_its_terms() -> None:
    inputs = ring(4)
    found = integrated_gradients(Linear(), inputs)
    last = inputs.windows[:, -1, 0].numpy()
    expected = np.zeros_like(found.values)
    for node in range(4):
        expected[node, node, -1, 0] = last[node]
        expected[node, (node - 1) % 4, -1, 0] = 2 * last[(node - 1) % 4]
    np.testing.assert_allclose(found.values, expected, atol=1e-6)


def test_attributions_that_do_not_add_up_are_refused() -> None:
    class Steps(torch.nn.Module):
        def forward(self, inputs):
            return Outputs(torch.round(inputs.windows[:, -1, :1] * 3) + 0 * inputs.windows.sum())

    with pytest.raises(ModelError, match="with 512 points the attributions still miss"):
        integrated_gradients(Steps(), ring(3), [0])


def test_edges_of_a_linear_map_are_worth_what_they_carry() -> None:
    inputs = ring(4)
    found = edge_importance(Linear(), inputs)
    assert np.isnan(found[:4]).all()  # the loops
    np.testing.assert_allclose(found[4:], 2 * inputs.windows[:, -1, 0].numpy(), atol=1e-6)


def test_edges_change_only_what_they_lead_to() -> None:
    network, inputs = network_of("transformer_gnn"), ring(5)
    found = edge_importance(network, inputs)
    kept = torch.arange(10) != 7
    cut = inputs._replace(edges=inputs.edges[:, kept], attributes=inputs.attributes[kept])
    with torch.no_grad():
        change = (network(inputs).mean - network(cut).mean)[:, 0].numpy()
    assert np.flatnonzero(np.abs(change) > 1e-7).tolist() == [3]  # edge 7 leads from 2 to 3
    assert found[7] == pytest.approx(change[3], abs=1e-7)


def test_rollout_of_uniform_attention_is_in_closed_form() -> None:
    """Queries of zero attend to every earlier token alike: row ``i`` is ``1 / (i + 1)``."""
    for layers in (1, 2):
        network = network_of("transformer_gnn", num_layers=layers)
        for layer in network.layers:
            torch.nn.init.zeros_(layer.attention.query.weight)
            torch.nn.init.zeros_(layer.attention.query.bias)
        uniform = np.tril(np.ones((4, 4))) / np.arange(1, 5)[:, None]
        mixed = 0.5 * uniform + 0.5 * np.eye(4)
        expected = np.linalg.matrix_power(mixed, layers)[-1]
        found = attention_rollout(network, ring(3))
        np.testing.assert_allclose(found, np.tile(expected, (3, 1)), atol=1e-6)


def test_rollout_is_the_product_of_the_layers_weights() -> None:
    """One layer by numpy: softmax of ``q k / sqrt(d)`` of the last token, the mean of heads."""
    network, inputs = network_of("transformer_gnn", num_layers=1, num_heads=2), ring(3)
    seen = {}
    layer = network.layers[0]
    layer.norm_attention.register_forward_hook(lambda _, __, out: seen.update(tokens=out.detach()))
    found = attention_rollout(network, inputs)
    tokens = seen["tokens"].numpy()

    def linear(values: np.ndarray, part: torch.nn.Linear) -> np.ndarray:
        return values @ part.weight.detach().numpy().T + part.bias.detach().numpy()

    query = linear(tokens, layer.attention.query).reshape(3, 4, 2, 6)[:, -1]
    key = linear(tokens, layer.attention.key_value)[..., :12].reshape(3, 4, 2, 6)
    scores = np.exp(np.einsum("nhd,nlhd->nhl", query, key) / np.sqrt(6))
    weights = (scores / scores.sum(-1, keepdims=True)).mean(axis=1)
    expected = 0.5 * weights + 0.5 * np.eye(4)[-1]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    with pytest.raises(ModelError, match="no attention over time"):
        attention_rollout(network_of("mlp"), inputs)


@pytest.fixture(scope="module")
def trees(planted_set: TrainingSet) -> LightGBMForecaster:
    return LightGBMForecaster().fit(planted_set)


def test_contributions_of_trees_sum_to_the_forecast(
    trees: LightGBMForecaster, planted_test: pl.DataFrame
) -> None:
    """Local accuracy, property 1 of Lundberg et al. (2020)."""
    found = tree_contributions(trees, planted_test)
    total = found.group_by("universe", "symbol", "ts").agg(pl.col("contribution").sum())
    both = trees.predict(planted_test).join(total, on=["universe", "symbol", "ts"])
    assert both.height == planted_test.height
    np.testing.assert_allclose(both["contribution"], both["forecast"], atol=1e-10)
    assert found.filter(pl.col("feature") == BASELINE)["contribution"].n_unique() == 1
    order = global_importance(found)
    assert order["feature"].to_list() == ["signal", "noise"]
    assert order["share"][0] > 0.7
    assert order["share"].sum() == pytest.approx(1)


def test_terms_of_ridge_are_coefficients_times_columns(
    planted_set: TrainingSet, planted_test: pl.DataFrame
) -> None:
    """By hand: rank among the assets of the date, standardised, times coefficient and unit."""
    ridge = RidgeForecaster(RidgeSpec()).fit(planted_set)
    found = explain(ridge, planted_test).contributions
    last = planted_test.filter(pl.col("ts") == planted_test["ts"].max()).sort("symbol")
    forecast = ridge.predict(last)["forecast"].to_numpy()
    total = np.zeros(8)
    for place, name in enumerate(("signal", "noise")):
        rank = 2 * (last[name].to_numpy().argsort().argsort() + 1) / 9 - 1
        scaled = (rank - ridge._scaler.mean[place]) / ridge._scaler.scale[place]
        expected = scaled * ridge.coefficients[place] * ridge._unit
        own = found.filter(pl.col("feature") == name).sort("symbol")["contribution"].to_numpy()
        np.testing.assert_allclose(own, expected, atol=1e-12)
        total += expected
    np.testing.assert_allclose(total, forecast, atol=1e-12)


def test_a_product_counts_half_for_each_of_its_features(panel_of, training_set_of) -> None:
    """The integrated gradient of ``a b`` from zero is ``a b / 2`` for each: both get the same."""
    random = np.random.default_rng(2)
    beta, market = random.normal(size=(200, 6)), np.repeat(random.normal(size=(200, 1)), 6, axis=1)
    returns = 0.01 * random.normal(size=(200, 6))
    returns[2:] += 0.01 * (beta * market)[:-2]
    panel = panel_of(returns, {"universe_beta": beta, "vix": market})
    data = training_set_of(panel, ("universe_beta",), 120, 40, market=("vix",))
    ridge = RidgeForecaster(RidgeSpec(variant="macro", alphas=(1.0,))).fit(data)
    later = panel.filter(pl.col("ts") >= panel["ts"].unique().sort()[160])
    (found,) = explain_each(ridge, later)
    wide = found.contributions.pivot(
        on="feature", index=["universe", "symbol", "ts"], values="contribution"
    )
    both = wide.join(ridge.predict(later), on=["universe", "symbol", "ts"])
    np.testing.assert_allclose(both["universe_beta"] + both["vix"], both["forecast"], atol=1e-12)
    # The beta's own term is what is left of its share.
    own = ridge.terms(later, later.sort("universe", "symbol", "ts"))
    assert np.abs(own["vix"]).mean() > 0.3 * np.abs(both["forecast"]).mean()
    np.testing.assert_allclose(own["vix"], both["vix"], atol=1e-12)


@pytest.mark.parametrize(
    "name",
    ["transformer_gnn", *(pytest.param(name, marks=pytest.mark.slow) for name in ("gat", "lstm"))],
)
def test_integrated_gradients_are_captums(name: str) -> None:
    """The peer: captum's, at as many points of Gauss and Legendre."""
    captum = pytest.importorskip("captum.attr")
    network, inputs = network_of(name), ring(4)
    found = integrated_gradients(network, inputs, [3])

    def forward(windows):
        # captum stacks its points along the first axis: each is a graph of its own.
        return torch.stack([network(inputs._replace(windows=part)).mean[:, 0] for part in windows])

    expected = captum.IntegratedGradients(forward).attribute(
        inputs.windows[None], target=3, n_steps=found.n_points, method="gausslegendre"
    )
    largest = float(expected.abs().max())
    assert largest > 1e-3
    np.testing.assert_allclose(found.values[0], expected[0].detach(), atol=1e-4 * largest)


def test_what_is_fused_is_attributed_with_the_windows() -> None:
    """A linear network over windows and fused columns: each term is its own attribution."""

    class Fused(torch.nn.Module):
        def forward(self, inputs):
            return Outputs(
                inputs.windows[:, -1, :1] + inputs.modalities @ torch.tensor([[3.0], [-2.0]])
            )

    inputs = ring(4)._replace(modalities=torch.randn(4, 2))
    found = integrated_gradients(Fused(), inputs, [1])
    expected = np.zeros((4, 2))
    expected[1] = inputs.modalities[1].numpy() * [3.0, -2.0]
    np.testing.assert_allclose(found.modalities[0], expected, atol=1e-6)
    assert found.gap < 1e-6


def test_a_networks_date_is_explained_with_names(
    planted_set: TrainingSet, planted_test: pl.DataFrame
) -> None:
    family = DEEP["transformer_gnn"].load()
    spec = family.spec_type(
        model_dim=12,
        lookback_sessions=4,
        epochs=8,
        learning_rate=1e-2,
        graph_window_sessions=40,
        graph_neighbours=2,
        horizon_sessions=1,
    )
    fitted = family(spec).fit(planted_set)
    panel = planted_test.sort("ts").head(8 * 45)
    last = panel["ts"].max()
    forecast = fitted.predict(panel).filter(pl.col("ts") == last).sort("symbol")
    found = explain(fitted, panel)
    for frame in (found.contributions, found.sources):
        if frame is found.sources:
            base = found.contributions.filter(pl.col("feature") == BASELINE)
            base = base.sort("symbol")["contribution"]
        else:
            base = 0.0
        total = frame.group_by("symbol").agg(pl.col("contribution").sum()).sort("symbol")
        np.testing.assert_allclose(
            total["contribution"] + base,
            forecast["forecast"],
            atol=0.01 * forecast["forecast"].abs().max(),
        )
    assert found.contributions["ts"].unique().to_list() == [last]
    cells = found.cells.group_by("symbol", "feature").agg(pl.col("contribution").sum())
    both = cells.join(found.contributions, on=["symbol", "feature"], suffix="_whole")
    assert both.height == 16
    np.testing.assert_allclose(both["contribution"], both["contribution_whole"], atol=1e-12)
    order = global_importance(found.contributions)
    assert order["feature"][0] == "signal"
    now = found.sources.filter(
        (pl.col("sessions_back") == 0) & (pl.col("source") == pl.col("symbol"))
    )
    assert now["contribution"].abs().sum() > 0.5 * found.sources["contribution"].abs().sum()
    assert (found.edges["source"] != found.edges["symbol"]).all()
    assert found.edges["change"].abs().max() > 0
    shares = found.attention.group_by("symbol").agg(pl.col("share").sum())["share"]
    np.testing.assert_allclose(shares, 1, atol=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        name if name in ("transformer_gnn", "lstm") else pytest.param(name, marks=pytest.mark.slow)
        for name in DEEP
    ],
)
def test_rows_of_every_network_sum_to_what_it_forecast(name: str, planted, training_set_of) -> None:
    """From a fitted network to rows of the tables, as the step of the graph makes them."""
    family = DEEP[name].load()
    small = {"model_dim": 8, "lookback_sessions": 3, "epochs": 1, "graph_window_sessions": 20}
    fitted = family(family.spec_type(**small)).fit(
        training_set_of(planted, ("signal", "noise"), 40, 15)
    )
    stamps = planted["ts"].unique().sort()
    tested = planted.filter(pl.col("ts").is_between(stamps[60], stamps[63]))
    panel = planted.filter(pl.col("ts") <= stamps[63]).with_columns(
        is_decision=pl.col("ts") >= stamps[60]
    )
    forecasts = fitted.predict(panel)
    fit = NewestFit(name, "base", 0, 0, "m", fitted, forecasts)
    rows = explanation_rows(panel, fit, 2)
    assert rows["ts"].unique().sort().to_list() == stamps[62:64].to_list()
    outcome = sums_outcome(rows, list(DEEP))
    assert outcome.passed, outcome.message
    assert outcome.metadata["n_forecasts"] == 16
    found = importance_rows(
        panel,
        fit,
        {"planted": ["signal"]},
        n_decisions=4,
        n_gradient_decisions=1,
        repeats=2,
        seed=0,
    )
    by_feature = found.filter(pl.col("subject") == "feature")
    assert set(by_feature["name"]) == {"signal", "noise"}
    # By hand: the mean over the 8 forecasts of the last decision of their absolute contributions.
    last = rows.filter((pl.col("part") == "feature") & (pl.col("ts") == stamps[63]))
    expected = last.group_by("name").agg(pl.col("value").abs().mean()).sort("name")
    np.testing.assert_allclose(by_feature.sort("name")["value"], expected["value"], rtol=1e-4)
    assert tested["ts"].n_unique() == found.filter(pl.col("subject") == "family")["n_decisions"][0]


def test_only_the_family_that_forecasts_is_missed(
    planted_set: TrainingSet, planted_test: pl.DataFrame
) -> None:
    ridge = RidgeForecaster(RidgeSpec()).fit(planted_set)
    found = permutation_importance(ridge, planted_test, FAMILIES, seed=1)
    assert found["family"].to_list() == ["planted", "empty"]  # nobody reads the third
    planted, empty = found["importance"]
    whole = found["rank_ic"][0]
    # Shuffled among 8 assets the signal says nothing: all of the correlation goes.
    assert planted == pytest.approx(whole, abs=0.1)
    assert abs(empty) < 0.05 < planted
    assert found.equals(permutation_importance(ridge, planted_test, FAMILIES, seed=1))
    with pytest.raises(ModelError, match="no family of"):
        permutation_importance(ridge, planted_test, {"unread": ["other"]})


def test_a_feature_without_a_weight_is_not_missed_at_all(
    planted_set: TrainingSet, planted_test: pl.DataFrame
) -> None:
    class FirstOnly:
        provenance = RidgeForecaster(RidgeSpec()).fit(planted_set).provenance

        def predict(self, panel: pl.DataFrame) -> pl.DataFrame:
            return panel.select("universe", "symbol", "ts", forecast="signal")

    found = permutation_importance(FirstOnly(), planted_test, {"empty": ["noise"]}, repeats=2)
    assert found["importance"].to_list() == [0.0]
    assert found["standard_error"].to_list() == [0.0]


def test_what_cannot_be_explained_is_refused(
    planted_test: pl.DataFrame, trees: LightGBMForecaster
) -> None:
    class Other:
        provenance = trees.provenance

    with pytest.raises(NotExplainedError, match="has no explanation here"):
        explain(Other(), planted_test)
    with pytest.raises(ModelError, match="no decision"):
        explain(trees, planted_test.with_columns(is_decision=False))
