"""FT-Transformer against the paper's equations and torch's own attention; attention with equal weights."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from network_inputs import inputs_of  # noqa: E402

from btq_assets.models.networks.attention import (  # noqa: E402
    CausalMean,
    CausalSelfAttention,
    EncoderLayer,
)
from btq_assets.models.networks.ft_transformer import (  # noqa: E402
    FeatureAttention,
    FeatureLayer,
    FeatureTokenizer,
    FTTransformer,
)

torch.set_num_threads(1)


def numbers(tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def test_tokens_are_those_of_the_paper():
    """Gorishniy et al. (2021), section 3.3: ``T_j = b_j + x_j W_j``, and [CLS] beside them."""
    torch.manual_seed(0)
    made, values = FeatureTokenizer(3, 8), torch.randn(4, 3)
    tokens = numbers(made(values))
    assert tokens.shape == (4, 4, 8)
    x, weight, bias = numbers(values), numbers(made.weight), numbers(made.bias)
    for j in range(3):
        np.testing.assert_allclose(
            tokens[:, 1 + j], bias[j] + np.outer(x[:, j], weight[j]), rtol=1e-6
        )
    np.testing.assert_allclose(tokens[:, 0], np.tile(numbers(made.summary), (4, 1)))
    # drawn uniformly within 1 / sqrt(d), as in the paper's code
    assert max(np.abs(weight).max(), np.abs(bias).max()) <= 1 / np.sqrt(8)


def test_attention_among_features_is_that_of_torch():
    torch.manual_seed(1)
    own, tokens = FeatureAttention(12, 3, dropout=0.0), torch.randn(5, 7, 12)
    peer = torch.nn.MultiheadAttention(12, 3, batch_first=True)
    with torch.no_grad():
        parts = (own.query, own.key, own.value)
        peer.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        peer.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        peer.out_proj.weight.copy_(own.out.weight)
        peer.out_proj.bias.copy_(own.out.bias)
    torch.testing.assert_close(own(tokens, tokens), peer(tokens, tokens, tokens)[0])
    # any pair of width and heads is valid
    assert FeatureAttention(10, 4, dropout=0.0)(tokens[..., :10], tokens[..., :10]).shape == (
        5,
        7,
        10,
    )


@pytest.mark.parametrize("first", [True, False])
def test_a_layer_is_pre_norm_with_reglu_and_the_first_has_no_norm(first):
    """Equations of the paper's figure 2 and appendix, in numpy; ReGLU(a, b) = a * max(b, 0)."""
    torch.manual_seed(2)
    layer, tokens = FeatureLayer(6, 2, dropout=0.0, first=first), torch.randn(3, 4, 6)

    def normed(values: np.ndarray) -> np.ndarray:
        mean, variance = values.mean(-1, keepdims=True), values.var(-1, keepdims=True)
        return (values - mean) / np.sqrt(variance + 1e-5)

    x = numbers(tokens)
    before = x if first else normed(x)
    heard = numbers(layer.attention(*(torch.tensor(before, dtype=torch.float32),) * 2))
    kept = x + heard
    inner = normed(kept) @ numbers(layer.gated.weight).T + numbers(layer.gated.bias)
    value, gate = np.split(inner, 2, axis=-1)
    expected = kept + (value * np.maximum(gate, 0)) @ numbers(layer.back.weight).T
    expected = expected + numbers(layer.back.bias)
    np.testing.assert_allclose(numbers(layer(tokens)), expected, atol=2e-6)
    assert layer.gated.out_features == 2 * int(6 * 4 / 3)
    only = layer(tokens, summary_only=True)
    torch.testing.assert_close(only, layer(tokens)[:, :1])


def test_features_have_no_order_and_the_last_session_alone_is_read():
    torch.manual_seed(3)
    network = FTTransformer(5, dim=8, heads=2, layers=2, dropout=0.0).eval()
    windows = torch.randn(6, 3, 5)
    said = network(inputs_of(windows)).mean
    changed = windows.clone()
    changed[:, :2] = 9.0
    torch.testing.assert_close(network(inputs_of(changed)).mean, said)
    order = torch.tensor([3, 1, 4, 0, 2])
    other = FTTransformer(5, dim=8, heads=2, layers=2, dropout=0.0).eval()
    other.load_state_dict(network.state_dict())
    with torch.no_grad():
        other.tokenizer.weight.copy_(network.tokenizer.weight[order])
        other.tokenizer.bias.copy_(network.tokenizer.bias[order])
    torch.testing.assert_close(other(inputs_of(windows[..., order])).mean, said)


@pytest.mark.parametrize("last_only", [True, False])
def test_without_attention_sessions_are_weighed_alike(last_only):
    """Attention whose queries are 0 weighs all it may see alike: the closed form of `CausalMean`."""
    torch.manual_seed(4)
    attention, mean = CausalSelfAttention(8, 2, dropout=0.0), CausalMean(8)
    with torch.no_grad():
        attention.query.weight.zero_()
        attention.query.bias.zero_()
        # the second half of the joint projection makes the values
        mean.value.weight.copy_(attention.key_value.weight[8:])
        mean.value.bias.copy_(attention.key_value.bias[8:])
        mean.out.load_state_dict(attention.out.state_dict())
    tokens = torch.randn(3, 6, 8)
    torch.testing.assert_close(
        mean(tokens, last_only=last_only), attention(tokens, last_only=last_only)
    )


def test_a_layer_without_attention_sees_no_later_session():
    torch.manual_seed(5)
    layer, tokens = EncoderLayer(8, 2, 0.0, attends=False), torch.randn(2, 6, 8)
    changed = tokens.clone()
    changed[:, 4:] += 1.0
    torch.testing.assert_close(layer(changed)[:, :4], layer(tokens)[:, :4])
    assert not any(isinstance(part, CausalSelfAttention) for part in layer.modules())
