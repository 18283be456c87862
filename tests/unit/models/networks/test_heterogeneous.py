"""The graph of assets, sectors, documents and macro series: torch-geometric's layers, what each node
feeds, signals that only a kind of node can carry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

torch = pytest.importorskip("torch")

from network_inputs import inputs_of  # noqa: E402
from torch_geometric.nn import GATv2Conv, HeteroConv  # noqa: E402

from btq_assets.models import scores  # noqa: E402
from btq_assets.models.catalogue import DEEP  # noqa: E402
from btq_assets.models.forecaster import ModelError  # noqa: E402
from btq_assets.models.networks.heterogeneous import (  # noqa: E402
    HeterogeneousGNN,
    HeterogeneousLayer,
    Surroundings,
)
from btq_assets.models.saved import load_forecaster  # noqa: E402

torch.set_num_threads(1)

DIM, LENGTH, F = 6, 4, 3

#: Two dates of four assets; macro series are of two columns and one.
DATES = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
#: Nodes 0 and 2 are of one sector, 3 of another, 1 of none; on the second date 4, 5 and 7 of one.
MEMBERS = torch.tensor([[0, 2, 3, 4, 5, 7], [0, 0, 1, 2, 2, 2]])
#: The fit knew two sectors; the third node is of one it did not know.
SECTORS = torch.tensor([1, 2, 3])


def of(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network(layers: int = 1, **others: object) -> HeterogeneousGNN:
    torch.manual_seed(0)
    kinds = {"n_sectors": 2, "macro_widths": (2, 1), "document_width": 2, **others}
    return HeterogeneousGNN(
        F,
        dim=DIM,
        heads=2,
        layers=1,
        graph_heads=2,
        graph_layers=layers,
        n_attributes=2,
        dropout=0.2,
        **kinds,
    ).eval()


def world(**others: object):
    """Inputs of both dates: macro values of the first two columns, documents of the last two."""
    modalities = of(8, 5, seed=3)
    modalities[:, :3] = modalities[[0, 0, 0, 0, 4, 4, 4, 4], :3]
    available = torch.ones(8, 3, dtype=torch.bool)
    available[[1, 6], 2] = False
    found = {
        "date": DATES,
        "sectors": SECTORS,
        "members": MEMBERS,
        "modalities": modalities,
        "available": available,
        **others,
    }
    return inputs_of(of(8, LENGTH, F), **found)


def moved(first: torch.Tensor, second: torch.Tensor) -> list[int]:
    return torch.nonzero((first - second).abs().flatten() > 1e-7)[:, 0].tolist()


@pytest.mark.filterwarnings("ignore:There exist node types")
def test_a_round_is_torch_geometrics_convolutions_by_kind_of_edge() -> None:
    """`HeteroConv` over the edges written out, one GATv2 each, then norms and maps of the layer.

    A macro node is one node of its date there, here it stands beside each of its assets.
    """
    torch.manual_seed(2)
    layer = HeterogeneousLayer(DIM, 2, 2, 0.0, sectors=True, documents=True, macro=True).eval()
    nodes, sectors = of(8, DIM, seed=4), of(3, DIM, seed=5)
    texts, macro = of(16, DIM, seed=6), of(4, DIM, seed=7)
    edges = torch.tensor([[0, 1, 2, 3, 4, 5, 6, 7, 1, 2, 5], [0, 1, 2, 3, 4, 5, 6, 7, 0, 0, 7]])
    attributes = of(edges.shape[1], 2, seed=8)
    # Two macro nodes a date, the second of the second date unknown; two documents an asset at most.
    published = torch.ones(8, 2, dtype=torch.bool)
    published[4:, 1] = False
    written = torch.ones(8, 2, dtype=torch.bool)
    written[1], written[6, 1] = False, False
    around = Surroundings(
        sectors, MEMBERS, texts.view(8, 2, DIM), written, macro.view(2, 2, DIM)[DATES], published
    )
    found, after = layer(nodes, edges, attributes, around)

    def alike(ours) -> GATv2Conv:
        conv = GATv2Conv(DIM, DIM // 2, heads=2, add_self_loops=False, bias=False)
        conv.lin_l.weight, conv.lin_r.weight = ours.source.weight, ours.target.weight
        conv.att = torch.nn.Parameter(ours.score[None])
        return conv

    normed = layer.norms["assets"](nodes)
    to_sectors = layer.members((normed, layer.norms["sectors"](sectors)), MEMBERS)
    told = sectors + layer.gather(torch.nn.functional.elu(to_sectors))
    torch.testing.assert_close(after.sectors, told)
    macro_edges = torch.tensor(
        [(2 * int(DATES[n]) + g, n) for n in range(8) for g in range(2) if published[n, g]]
    ).T
    text_edges = torch.tensor([(2 * n + d, n) for n in range(8) for d in range(2) if written[n, d]])
    every = HeteroConv(
        {
            ("asset", "relates", "asset"): layer.assets,
            ("sector", "has", "asset"): layer.sectors,
            ("document", "about", "asset"): alike(layer.documents),
            ("macro", "over", "asset"): alike(layer.macro),
        },
        aggr=None,
    )
    heard = every(
        {
            "asset": normed,
            "sector": layer.norm_gathered(told),
            "document": layer.norms["documents"](texts),
            "macro": layer.norms["macro"](macro),
        },
        {
            ("asset", "relates", "asset"): edges,
            ("sector", "has", "asset"): MEMBERS.flip(0),
            ("document", "about", "asset"): text_edges.T,
            ("macro", "over", "asset"): macro_edges,
        },
        edge_attr_dict={("asset", "relates", "asset"): attributes},
    )["asset"]
    kinds = ("assets", "sectors", "documents", "macro")
    expected = nodes + sum(
        layer.mixes[kind](torch.nn.functional.elu(heard[:, place]))
        for place, kind in enumerate(kinds)
    )
    expected = expected + layer.network(layer.norm_network(expected))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_permuting_assets_permutes_outputs() -> None:
    made, straight = network(layers=2), world()
    order = torch.tensor([2, 0, 3, 1, 5, 7, 4, 6])
    place = torch.argsort(order)
    nodes = {
        name: getattr(straight, name)[order] for name in ("windows", "modalities", "available")
    }
    members = torch.stack([place[MEMBERS[0]], MEMBERS[1]])[:, [3, 1, 0, 5, 2, 4]]
    permuted = straight._replace(**nodes, members=members)
    torch.testing.assert_close(made(permuted).mean, made(straight).mean[order])


def test_taking_a_node_away_changes_only_what_it_feeds() -> None:
    """With loops alone between assets and one round; a document travels on by its sector in two."""
    made, whole = network(), world()
    before = made(whole).mean
    alone = whole._replace(members=MEMBERS[:, 2:])
    assert moved(made(alone).mean, before) == [0, 2]
    silent = whole.available.clone()
    silent[3, 2] = False
    assert moved(made(whole._replace(available=silent)).mean, before) == [3]
    calm = whole.available.clone()
    calm[4:, 1] = False
    assert moved(made(whole._replace(available=calm)).mean, before) == [4, 5, 6, 7]
    twice = network(layers=2)
    unsaid = whole.available.clone()
    unsaid[2, 2] = False
    assert moved(twice(whole._replace(available=unsaid)).mean, twice(whole).mean) == [0, 2]


def test_what_stands_where_nothing_is_known_is_never_read() -> None:
    made, whole = network(layers=2), world()
    filled = whole.modalities.clone()
    filled[1, 3:] = torch.nan
    torch.testing.assert_close(
        made(whole._replace(modalities=filled)).mean, made(whole).mean, rtol=0, atol=0
    )


def test_a_sector_the_fit_did_not_know_starts_from_nothing() -> None:
    made, whole = network(), world()
    other = whole._replace(sectors=torch.tensor([1, 2, 9]))
    torch.testing.assert_close(made(other).mean, made(whole).mean, rtol=0, atol=0)
    renamed = whole._replace(sectors=torch.tensor([2, 2, 3]))
    assert moved(made(renamed).mean, made(whole).mean) == [0, 2]


def test_documents_may_come_encoded() -> None:
    """Two rows for node 0, one for node 4; the row of no document is not read."""
    made = network(document_width=0, macro_widths=(), embedding_width=5)
    which = torch.zeros(8, 2, dtype=torch.int64)
    which[0], which[4, 0] = torch.tensor([1, 2]), 2
    texts = of(3, 5, seed=9)
    whole = world(documents=texts, document=which)
    other = texts.clone()
    other[2] += 1
    assert moved(made(whole._replace(documents=other)).mean, made(whole).mean) == [0, 4]
    other = texts.clone()
    other[0] += 1
    assert moved(made(whole._replace(documents=other)).mean, made(whole).mean) == []


def test_kinds_without_nodes_and_one_asset_are_fine() -> None:
    """No sector, nothing written, nothing published: the network of assets alone, weights the same."""
    made, whole = network(), world()
    nothing = whole._replace(
        sectors=SECTORS[:0], members=MEMBERS[:, :0], available=torch.zeros_like(whole.available)
    )
    bare = network(n_sectors=0, macro_widths=(), document_width=0)
    bare.load_state_dict({n: v for n, v in made.state_dict().items() if n in bare.state_dict()})
    torch.testing.assert_close(made(nothing).mean, bare(nothing).mean)
    one = inputs_of(
        of(1, LENGTH, F),
        sectors=torch.tensor([1]),
        members=torch.tensor([[0], [0]]),
        modalities=of(1, 5),
        available=torch.ones(1, 3, dtype=torch.bool),
    )
    assert bool(torch.isfinite(made(one).mean).all())


N_ASSETS = 8
SECTOR = np.array([0, 1, 0, 1, 1, 0, 1, 0])


def with_sectors(panel: pl.DataFrame) -> pl.DataFrame:
    names = {f"S{asset:02d}": ("Energy", "Health")[number] for asset, number in enumerate(SECTOR)}
    return panel.with_columns(sector=pl.col("symbol").replace_strict(names))


def forecaster(**others: object):
    spec = (
        DEEP["hetero_gnn"]
        .load()
        .spec_type(
            **{
                "model_dim": 16,
                "num_heads": 2,
                "lookback_sessions": 2,
                "graph_layers": 1,
                "epochs": 6,
                "learning_rate": 1e-2,
                "batch_dates": 32,
                "graph_window_sessions": 20,
                "horizon_sessions": 1,
                "dropout": 0.0,
                "use_graph": False,
                "seed": 3,
                **others,
            }
        )
    )
    return DEEP["hetero_gnn"].load()(spec)


def correlation(fitted, panel: pl.DataFrame, cutoff) -> float:
    test = panel.filter(pl.col("ts") >= cutoff)
    both = fitted.predict(test).join(test.select("symbol", "ts", "label"), on=["symbol", "ts"])
    both = both.drop_nulls("label")
    return float(np.corrcoef(both["forecast"], both["label"])[0, 1])


def test_what_the_sector_did_is_learned_through_its_node(panel_of, training_set_of) -> None:
    """An asset's return is the mean signal of its sector, its own included.

    In units of 0.01: after the date's mean, 1/8 of all signals, each label holds (1/4 - 1/8) of four
    signals and -1/8 of four: 8/64 = 0.125, and 0.16 * 7/8 = 0.14 of noise: 0.69 at best, and
    (1/8) / sqrt(0.265) = 0.24 for who knows their own signal alone. Noise of 0.04 on 720 rows.
    """
    random = np.random.default_rng(4)
    signal = random.normal(size=(400, N_ASSETS))
    same = (SECTOR[:, None] == SECTOR) / 4
    returns = 0.004 * random.normal(size=signal.shape)
    returns[2:] += 0.01 * (signal @ same)[:-2]
    panel = with_sectors(panel_of(returns, {"signal": signal}))
    data = training_set_of(panel, ("signal",), 250, 60)
    assert correlation(forecaster(node_types=("sector",)).fit(data), panel, data.cutoff) > 0.5
    assert correlation(forecaster(node_types=()).fit(data), panel, data.cutoff) < 0.35


@pytest.fixture(scope="module")
def oil(panel_of, training_set_of):
    """What a macro series says moves one sector up and the other down; nothing else moves any."""
    random = np.random.default_rng(7)
    shape = (400, N_ASSETS)
    level = np.tile(random.normal(size=(400, 1)), (1, N_ASSETS))
    returns = 0.006 * random.normal(size=shape)
    returns[2:] += 0.01 * (level * np.where(SECTOR, 1.0, -1.0))[:-2]
    features = {
        "signal": random.normal(size=shape),
        "vix_level": level,
        "wti_return_63d": np.tile(random.normal(size=(400, 1)), (1, N_ASSETS)),
        "sentiment_score": np.where(random.random(shape) < 0.3, random.normal(size=shape), np.nan),
    }
    panel = with_sectors(panel_of(returns, features))
    return panel, training_set_of(panel, tuple(features), 250, 60)


def test_a_sector_answers_the_macro_series_its_own_way(oil) -> None:
    """Nearly the rank IC of who knows the planted answer (and ranks within a sector by chance). Without
    either kind of node nothing is known: the sign of the answer, or what is answered, is missing, and a
    rank IC of 90 dates of eight assets has a standard error of 1 / sqrt(7 * 90) = 0.04."""
    panel, data = oil
    test = panel.filter(pl.col("ts") >= data.cutoff)
    answer = pl.when(pl.col("sector") == "Health").then(1.0).otherwise(-1.0)
    chance = 1e-6 * pl.col("signal")
    best = scores.mean_rank_ic(
        test.with_columns(forecast=answer * pl.col("vix_level") + chance), test
    )
    found = {}
    for kinds in (("sector", "macro"), ("sector",), ("macro",)):
        read = data.asset_features if "macro" in kinds else ("signal",)
        fitted = forecaster(node_types=kinds).fit(replace(data, asset_features=read))
        found[kinds] = scores.mean_rank_ic(fitted.predict(test), test)
    assert found.pop(("sector", "macro")) > 0.9 * best > 0.4, (best, found)
    assert max(map(abs, found.values())) < 0.13, found


def test_a_fit_with_every_kind_is_kept_and_blind_to_the_future(oil, tmp_path: Path) -> None:
    panel, data = oil
    fitted = forecaster(epochs=1, use_graph=True, graph_layers=2).fit(data)
    assert [linear.in_features for linear in fitted._network.macro] == [1, 1]
    assert fitted._network.document.in_features == 1
    test = panel.filter(pl.col("ts") >= data.cutoff).drop("label")
    before = fitted.predict(test)
    fitted.save(tmp_path)
    loaded = load_forecaster(tmp_path)
    assert_frame_equal(loaded.predict(test), before)
    cut = test["ts"].unique().sort()[40]
    until = loaded.predict(test.filter(pl.col("ts") <= cut))
    known = before.filter(pl.col("ts") <= cut)
    np.testing.assert_allclose(until["forecast"], known["forecast"], rtol=1e-4, atol=1e-7)
    # A sector nobody knew, no sector at all, and a panel without the column.
    later = pl.col("ts") > cut
    new = pl.when(later).then(pl.lit("Utilities")).otherwise("sector").alias("sector")
    for other in (test.with_columns(new), test.drop("sector")):
        assert loaded.predict(other)["forecast"].is_finite().all()
    changed = loaded.predict(test.with_columns(new))
    assert_frame_equal(changed.filter(pl.col("ts") <= cut), known, rel_tol=1e-4, abs_tol=1e-7)
    assert not changed.filter(pl.col("ts") > cut).equals(before.filter(pl.col("ts") > cut))


def test_what_there_is_none_of_is_named(oil) -> None:
    with pytest.raises(ModelError, match=r"'planet'; there are sector, document, macro"):
        forecaster(node_types=("planet",))
    _, data = oil
    alone = replace(data, asset_features=("vix_level", "sentiment_score"))
    with pytest.raises(ModelError, match="sessions need features of their own"):
        forecaster().fit(alone)
