"""Encoders of texts: torch's own attention, padding, pooling, and documents as tokens of the fusion."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

from network_inputs import inputs_of  # noqa: E402

from btq_assets.models.networks.text_encoder import (  # noqa: E402
    DocumentTokens,
    TextEncoder,
    TextLayer,
    pooled,
)
from btq_assets.models.networks.transformer_gnn import TransformerGNN  # noqa: E402

torch.set_num_threads(1)


def of(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_attention_of_a_layer_is_torchs() -> None:
    """`nn.MultiheadAttention` with the same weights and a padding mask, then the rest by hand."""
    torch.manual_seed(0)
    layer = TextLayer(8, 2, 0.0)
    peer = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    parts = (layer.query, layer.key, layer.value)
    with torch.no_grad():
        peer.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        peer.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
    peer.out_proj = layer.out
    tokens = of(3, 5, 8)
    there = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]]).bool()
    known = layer.norm_attention(tokens)
    mixed = tokens + peer(known, known, known, key_padding_mask=~there, need_weights=False)[0]
    expected = mixed + layer.network(layer.norm_network(mixed))
    torch.testing.assert_close(layer(tokens, there), expected)


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_a_text_is_encoded_by_itself(pooling: str) -> None:
    torch.manual_seed(0)
    encoder = TextEncoder(20, dim=8, heads=2, layers=2, dropout=0.0, pooling=pooling).eval()
    alone = encoder(torch.tensor([[3, 7, 9]]))
    among = encoder(torch.tensor([[5, 5, 5, 5, 5], [3, 7, 9, 0, 0], [0, 0, 0, 0, 0]]))
    torch.testing.assert_close(among[1:2], alone)
    assert bool(torch.isfinite(among).all())  # a text without a token is some number, too
    other_order = encoder(torch.tensor([[9, 7, 3]]))
    assert not torch.allclose(other_order, alone, atol=1e-3)


def test_pooling_by_hand() -> None:
    hidden = torch.arange(12.0).view(1, 4, 3)
    there = torch.tensor([[True, True, False, False]])
    assert pooled(hidden, there, "mean").tolist() == [[1.5, 2.5, 3.5]]
    assert pooled(hidden, there, "first").tolist() == [[0.0, 1.0, 2.0]]


SIZES = {"dim": 10, "heads": 2, "layers": 1, "graph_heads": 2, "dropout": 0.0}


def documents(document: list[list[int]], **others: torch.Tensor) -> dict[str, torch.Tensor]:
    there = torch.tensor(document)
    tokens = torch.tensor([[0, 0, 0], [3, 4, 0], [5, 6, 7]])
    age = torch.where(there > 0, 2.0, 0.0)
    return {"documents": tokens, "document": there, "document_age": age, **others}


@pytest.fixture(scope="module")
def reading() -> TransformerGNN:
    torch.manual_seed(0)
    encoder = TextEncoder(20, dim=6, heads=2, layers=1, dropout=0.0)
    return TransformerGNN(3, **SIZES, text=DocumentTokens(10, 6, encoder))


def test_who_has_no_document_is_forecast_as_by_a_network_that_reads_none(
    reading: TransformerGNN,
) -> None:
    """The modality missing altogether changes no bit, and nothing of it reaches a gradient."""
    reading = copy.deepcopy(reading).eval()
    plain = TransformerGNN(3, **SIZES).eval()
    own = {k: v for k, v in reading.state_dict().items() if not k.startswith(("fusion", "text"))}
    plain.load_state_dict(own)
    windows = of(4, 5, 3)
    expected = plain(inputs_of(windows)).mean
    nothing = reading(inputs_of(windows, **documents([[0, 0]] * 4))).mean
    torch.testing.assert_close(nothing, expected, rtol=0, atol=0)
    nothing.sum().backward()
    read = {n: p.grad for n, p in reading.named_parameters() if n.startswith(("text", "fusion"))}
    assert all(grad is None or not grad.any() for grad in read.values())
    # One node knows a document; without an edge to the others, theirs stay as they were.
    some = reading(inputs_of(windows, **documents([[2, 0], [0, 0], [0, 0], [0, 0]]))).mean
    torch.testing.assert_close(some[1:], expected[1:], rtol=0, atol=0)
    assert not torch.allclose(some[0], expected[0], atol=1e-3)


def test_documents_say_words_and_age_in_any_order(reading: TransformerGNN) -> None:
    reading = copy.deepcopy(reading).eval()
    windows = of(2, 5, 3)
    one = reading(inputs_of(windows, **documents([[1, 2], [2, 0]]))).mean
    other = reading(inputs_of(windows, **documents([[2, 1], [0, 2]]))).mean
    torch.testing.assert_close(one, other)
    older = documents([[1, 2], [2, 0]], document_age=torch.full((2, 2), 20.0))
    assert not torch.allclose(reading(inputs_of(windows, **older)).mean, one, atol=1e-4)


def test_encoded_before_they_give_the_same(reading: TransformerGNN) -> None:
    """The cache of the frozen way: what the encoder says, in place of what it is asked."""
    reading = copy.deepcopy(reading).eval()
    given = documents([[1, 2], [2, 0]])
    windows = of(2, 5, 3)
    expected = reading(inputs_of(windows, **given)).mean
    encoded = reading.text.encoder(given["documents"])
    reading.text.encoder = None
    found = reading(inputs_of(windows, **{**given, "documents": encoded})).mean
    torch.testing.assert_close(found, expected)
