"""Low-rank adapters: the equation of the paper, what moves and what does not, merging."""

from __future__ import annotations

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from btq_assets.models.forecaster import ModelError  # noqa: E402
from btq_assets.models.networks.adapters import LoRALinear, adapt, is_adapter, merge  # noqa: E402
from btq_assets.models.networks.text_encoder import TextEncoder  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture
def encoder() -> TextEncoder:
    torch.manual_seed(0)
    return TextEncoder(30, dim=8, heads=2, layers=2, dropout=0.0)


def tokens(seed: int = 1) -> torch.Tensor:
    return torch.randint(1, 30, (5, 6), generator=torch.Generator().manual_seed(seed))


def test_an_adapted_map_is_equation_3_of_the_paper() -> None:
    """Hu et al. (2021): h = W x + (alpha / r) B A x, in numpy."""
    torch.manual_seed(2)
    base = torch.nn.Linear(5, 4).double()
    adapted = LoRALinear(base, rank=2, alpha=6.0)
    assert adapted.lora_down.shape == (2, 5)
    values = torch.randn(3, 7, 5, dtype=torch.float64)
    torch.testing.assert_close(adapted(values), base(values), rtol=0, atol=0)  # B begins as 0
    with torch.no_grad():
        adapted.lora_up.normal_()
    weight, bias, down, up = (
        part.detach().numpy()
        for part in (base.weight, base.bias, adapted.lora_down, adapted.lora_up)
    )
    x = values.numpy()
    expected = x @ weight.T + bias + 6.0 / 2 * x @ down.T @ up.T
    np.testing.assert_allclose(adapted(values).detach().numpy(), expected, rtol=1e-9)


def test_only_adapters_move_and_merged_they_give_the_same(encoder: TextEncoder) -> None:
    before = copy.deepcopy(encoder.state_dict())
    found = adapt(encoder, rank=3, alpha=12.0)
    assert found == ("layers.0.query", "layers.0.value", "layers.1.query", "layers.1.value")
    moving = {name for name, value in encoder.named_parameters() if value.requires_grad}
    assert len(moving) == 8
    assert all(is_adapter(name) for name in moving)
    optimiser = torch.optim.SGD([p for p in encoder.parameters() if p.requires_grad], lr=0.5)
    for seed in range(3):
        optimiser.zero_grad()
        encoder(tokens(seed))[:, 0].sum().backward()
        optimiser.step()
    after = encoder.state_dict()
    for name, value in before.items():
        own = name.rpartition(".")
        name = f"{own[0]}.base.{own[2]}" if own[0] in found else name
        assert after[name].numpy().tobytes() == value.numpy().tobytes(), name
    assert all(after[name].abs().max() > 0 for name in moving)
    adapted = encoder(tokens())
    merge(encoder)
    assert set(encoder.state_dict()) == set(before)
    torch.testing.assert_close(encoder(tokens()), adapted)
    plain = TextEncoder(30, dim=8, heads=2, layers=2, dropout=0.0)
    plain.load_state_dict(before)
    assert not torch.allclose(adapted, plain(tokens()), atol=1e-3)


def test_nothing_to_adapt_is_named() -> None:
    with pytest.raises(ModelError, match="Sequential has no linear map called query, value"):
        adapt(torch.nn.Sequential(torch.nn.Linear(3, 3)), rank=2, alpha=2.0)
