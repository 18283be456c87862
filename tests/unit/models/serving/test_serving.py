"""Served networks: the forecasts of torch, refusals by name, number formats that keep the ranking."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from network_inputs import inputs_of  # noqa: E402

from btq_assets.models.catalogue import DEEP  # noqa: E402
from btq_assets.models.forecaster import (  # noqa: E402
    Forecaster,
    MismatchError,
    MissingFeatureError,
    ModelError,
)
from btq_assets.models.serving import export  # noqa: E402
from btq_assets.models.serving import precision as precisions  # noqa: E402
from btq_assets.models.serving.export import fields_read, write_onnx  # noqa: E402
from btq_assets.models.serving.forecaster import OnnxForecaster, write_served  # noqa: E402
from btq_assets.models.serving.network import OnnxNetwork, session_of  # noqa: E402
from btq_assets.models.windows.inputs import Outputs  # noqa: E402

#: Tracing takes seconds; the others are traced by the slow tests.
_FAST = ("transformer_gnn", "mlp")


def graph_of(nodes: int, n_edges: int, seed: int):
    """Random windows, loops, and random edges, several of them between the same two nodes."""
    draw = torch.Generator().manual_seed(seed)
    each = torch.arange(nodes)
    more = torch.randint(0, nodes, (2, n_edges), generator=draw)
    edges = torch.cat([torch.stack([each, each]), more], dim=1)
    attributes = torch.randn(edges.shape[1], 2, generator=draw)
    return inputs_of(torch.randn(nodes, 4, 3, generator=draw), edges, attributes)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in _FAST else pytest.mark.slow) for n in DEEP],
)
def test_the_file_gives_what_torch_gives(name: str, tmp_path: Path) -> None:
    """Traced with 3 nodes and 5 edges; other numbers of both go through the same file."""
    forecaster = DEEP[name].load()
    torch.manual_seed(1)
    spec = forecaster.spec_type(model_dim=12, lookback_sessions=4)
    network = forecaster(spec).new_network(3).eval()
    fields = write_onnx(network, graph_of(3, 2, 0), tmp_path / "network.onnx")
    assert "windows" in fields
    served = OnnxNetwork(tmp_path / "network.onnx")
    for nodes, n_edges in ((1, 0), (2, 1), (7, 30), (40, 300)):
        inputs = graph_of(nodes, n_edges, seed=nodes)
        with torch.no_grad():
            expected = network(inputs).mean
        np.testing.assert_allclose(served(inputs).mean, expected, rtol=1e-5, atol=1e-5)
        assert nodes == 1 or expected.std() > 1e-3


def around(nodes: int, n_edges: int, seed: int):
    """`graph_of` with what options read: a calendar, modalities, sectors of every other node."""
    draw = torch.Generator().manual_seed(seed)
    n_sectors = min(2, nodes)
    some = torch.arange(nodes)[::2]
    return graph_of(nodes, n_edges, seed)._replace(
        calendar=torch.randn(nodes, 4, 6, generator=draw),
        modalities=torch.randn(nodes, 5, generator=draw),
        available=torch.rand(nodes, 3, generator=draw) < 0.6,
        sectors=torch.randint(1, 4, (n_sectors,), generator=draw),
        members=torch.stack([some, torch.randint(0, n_sectors, some.shape, generator=draw)]),
    )


def with_options(kind: str):
    """A network with everything that its kind can fuse."""
    from btq_assets.models.networks.heterogeneous import HeterogeneousGNN
    from btq_assets.models.networks.transformer_gnn import TransformerGNN

    shared = {"dim": 12, "heads": 2, "layers": 1, "graph_heads": 2, "dropout": 0.0}
    torch.manual_seed(1)
    if kind == "fused":
        options = {"modality_widths": [2, 1, 2], "rotary": True, "n_calendar": 6}
        return TransformerGNN(3, **shared, **options, memory_time_dim=4).eval()
    nodes = {"n_sectors": 2, "macro_widths": [2, 1], "document_width": 2}
    return HeterogeneousGNN(3, **shared, graph_layers=1, n_attributes=2, **nodes).eval()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fused", "heterogeneous"])
def test_options_come_along(kind: str, tmp_path: Path) -> None:
    """Fusion, rotary positions, calendar, a memory; sectors, macro series and documents as nodes."""
    network = with_options(kind)
    fields = write_onnx(network, around(5, 2, 0), tmp_path / "network.onnx")
    assert {"modalities", "available"} <= set(fields)
    assert ("members" in fields) == (kind == "heterogeneous")
    assert ("observed" in fields) == (kind == "fused")
    served = OnnxNetwork(tmp_path / "network.onnx")
    for nodes, n_edges in ((1, 0), (2, 1), (7, 30), (40, 300)):
        inputs = around(nodes, n_edges, seed=nodes)
        with torch.no_grad():
            expected = network(inputs).mean
        np.testing.assert_allclose(served(inputs).mean, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_heads_come_along(tmp_path: Path) -> None:
    """A network of quantiles has two outputs; each is there, by name."""
    forecaster = DEEP["mlp"].load()
    spec = forecaster.spec_type(model_dim=12, lookback_sessions=4, loss="quantile")
    network = forecaster(spec).new_network(3).eval()
    assert fields_read(network, graph_of(3, 2, 0)) == ("windows",)
    write_onnx(network, graph_of(3, 2, 0), tmp_path / "network.onnx")
    inputs = graph_of(5, 2, 1)
    found, expected = OnnxNetwork(tmp_path / "network.onnx")(inputs), network(inputs)
    assert found.log_variance is None
    np.testing.assert_allclose(found.quantiles, expected.quantiles.detach(), atol=1e-5)


def test_a_panel_gets_the_forecasts_of_its_own_forecaster(
    served: tuple, planted_test: pl.DataFrame
) -> None:
    fitted, folder, _ = served
    loaded = OnnxForecaster.load(folder, feature_names=("signal", "noise"), code_version="v1")
    assert isinstance(loaded, Forecaster)
    assert loaded.history_sessions == fitted.history_sessions == 39
    assert loaded.provenance == fitted.provenance
    # 8 assets and all of them but two: other sizes than those traced.
    for panel in (planted_test, planted_test.filter(~pl.col("symbol").is_in(["S01", "S05"]))):
        found, expected = loaded.predict(panel), fitted.predict(panel)
        assert found.columns == expected.columns
        unit = expected["forecast"].std()
        np.testing.assert_allclose(
            found["forecast"] / unit, expected["forecast"] / unit, rtol=0, atol=1e-5
        )


def test_mismatches_are_refused_by_name(served: tuple, planted_test: pl.DataFrame) -> None:
    _, folder, _ = served
    with pytest.raises(MismatchError, match=r"lacks \['other'\], has unexpected \['noise'\]"):
        OnnxForecaster.load(folder, feature_names=("signal", "other"))
    with pytest.raises(MismatchError, match="code version is 'v1', expected 'v2'"):
        OnnxForecaster.load(folder, code_version="v2")
    with pytest.raises(MismatchError, match="has no int4; it has fp32, fp16, int8"):
        OnnxForecaster.load(folder, precision="int4")
    with pytest.raises(MissingFeatureError, match="signal"):
        OnnxForecaster.load(folder).predict(planted_test.drop("signal"))
    with pytest.raises(ModelError, match="cannot be fitted"):
        OnnxForecaster.load(folder).fit(None)


@pytest.mark.parametrize("precision", precisions.PRECISIONS)
def test_a_flipped_byte_is_refused(served: tuple, tmp_path: Path, precision: str) -> None:
    OnnxForecaster.load(served[1]).save(tmp_path)
    file = tmp_path / f"network.{precision}.onnx"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(MismatchError, match=f"network.{precision}.onnx was altered"):
        OnnxForecaster.load(tmp_path)


def test_a_model_without_files_is_refused(served: tuple, tmp_path: Path) -> None:
    served[0].save(tmp_path)
    with pytest.raises(MismatchError, match="without ONNX files; write them with write_served"):
        OnnxForecaster.load(tmp_path)
    with pytest.raises(MismatchError, match=r"holds no model\.json"):
        OnnxForecaster.load(tmp_path / "nowhere")


def test_smaller_formats_keep_the_ranking_or_are_refused(
    served: tuple, planted_test: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted, folder, losses = served
    exact = fitted.predict(planted_test)
    stored = json.loads((folder / "model.json").read_text())["serving"]
    assert stored["precisions"] == ["fp32", "fp16", "int8"]
    for loss, kept in zip(losses, stored["losses"], strict=True):
        found = OnnxForecaster.load(folder, precision=loss.precision).predict(planted_test)
        pairs = exact.join(found, on=["universe", "symbol", "ts"], suffix="_found")
        by_hand = [
            np.corrcoef(rows["forecast"].rank(), rows["forecast_found"].rank())[0, 1]
            for _, rows in pairs.group_by("ts")
        ]
        assert loss.rank_correlation == pytest.approx(np.mean(by_hand), abs=1e-3)
        assert kept["rank_correlation"] == loss.rank_correlation > 0.9
        assert 0 < loss.largest_difference < 0.5
    traced = folder / "network.fp32.onnx"
    monkeypatch.setattr(export, "write_onnx", lambda _, __, file: shutil.copy(traced, file))
    with pytest.raises(precisions.PrecisionLossError, match="int8 is refused: over 70 dates"):
        write_served(fitted, tmp_path / "kept", planted_test, precisions=("int8",), bound=1.0)
    assert not (tmp_path / "kept").exists()


def test_a_ranking_turned_round_is_below_any_bound() -> None:
    exact = pl.DataFrame(
        {"universe": "u", "symbol": ["a", "b", "c"], "ts": 1, "forecast": [1.0, 2.0, 3.0]}
    )
    turned = exact.with_columns(forecast=-pl.col("forecast"))
    loss = precisions.precision_loss(exact, turned, precision="int8", n_bytes=1)
    assert loss.rank_correlation == -1
    assert loss.largest_difference == 6  # 3 - (-3) in standard deviations of 1
    with pytest.raises(precisions.PrecisionLossError, match=r"of -1\.0000"):
        precisions.require_ranking(loss, 0.0)
    one = exact.head(1)
    with pytest.raises(ModelError, match="no ranking"):
        precisions.precision_loss(one, one, precision="int8", n_bytes=1)


def test_sessions_have_one_thread(served: tuple) -> None:
    options = session_of(served[1] / "network.fp32.onnx").get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)


def test_what_cannot_be_served_is_refused(
    served: tuple, planted_test: pl.DataFrame, tmp_path: Path
) -> None:
    class Remembers(torch.nn.Module):
        def forward(self, inputs):
            return inputs.windows[:, -1, :1] * inputs.asset[:, None]

    class OfOneSize(torch.nn.Module):
        def forward(self, inputs):
            return Outputs(
                inputs.windows.new_ones(len(inputs.windows), 1) * inputs.windows[:, 0, :1]
            )

    torch.manual_seed(0)
    for name in ("transformer_gnn", "gat", "hetero_gnn"):
        spec = (
            DEEP[name]
            .load()
            .spec_type(model_dim=12, lookback_sessions=4, relations=("correlation", "learned"))
        )
        chooses = DEEP[name].load()(spec).new_network(3)
        with pytest.raises(ModelError, match="take 'learned' out of its relations"):
            write_onnx(chooses, graph_of(3, 2, 0), tmp_path / "network.onnx")
    with pytest.raises(ModelError, match="it takes 3 rows of windows and no other number"):
        write_onnx(OfOneSize(), graph_of(3, 2, 0), tmp_path / "network.onnx")
    with pytest.raises(ModelError, match="remembers assets from date to date"):
        write_onnx(Remembers(), graph_of(3, 2, 0), tmp_path / "network.onnx")
    with pytest.raises(ModelError, match=r"no number format \['fp8'\]"):
        write_served(served[0], tmp_path, planted_test, precisions=("fp8",))
    with pytest.raises(ModelError, match="two assets"):
        write_served(served[0], tmp_path, planted_test.filter(pl.col("symbol") == "S00"))
