"""Losses by hand and against torch's and scikit-learn's own."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from network_inputs import inputs_of  # noqa: E402

from btq_assets.models.forecaster import ModelError  # noqa: E402
from btq_assets.models.networks.heads import QUANTILES, ForecastHead  # noqa: E402
from btq_assets.models.training import losses  # noqa: E402
from btq_assets.models.windows.batches import Batch  # noqa: E402
from btq_assets.models.windows.inputs import Outputs  # noqa: E402

nan = float("nan")


def batch_of(target: Any, date: Any) -> Batch:
    target = torch.tensor(target, dtype=torch.float64)[:, None]
    inputs = inputs_of(torch.zeros(len(target), 1, 1), date=torch.tensor(date))
    return Batch(inputs, target, torch.ones(len(target), dtype=torch.float64), max(date) + 1)


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def test_rank_ic_by_hand() -> None:
    """First date: right order, equal steps, correlation 1. Second: order turned round, -1. The
    third has one label and says nothing. Losses 0 and 2, mean 1."""
    batch = batch_of([5.0, 90.0, 7.0, 1.0, 2.0, 3.0, 4.0], [0, 0, 0, 1, 1, 1, 2])
    forecast = Outputs(column(0.1, 0.3, 0.2, 3.0, 2.0, 1.0, 8.0))
    assert losses.rank_ic(forecast, batch, relative=True).item() == pytest.approx(1.0)
    alone = batch_of([1.0, nan], [0, 0])
    assert losses.rank_ic(Outputs(column(1.0, 2.0)), alone, relative=True).item() == 0.0


def test_gaussian_is_torchs() -> None:
    batch = batch_of([0.5, -1.0, nan, 2.0], [0, 0, 0, 1])
    mean, log_variance = column(0.0, -0.5, 9.0, 1.0), column(0.2, -0.3, 9.0, 1.0)
    found = losses.gaussian(Outputs(mean, log_variance), batch, relative=False)
    known = [0, 1, 3]
    expected = torch.nn.functional.gaussian_nll_loss(
        mean[known], batch.target[known], log_variance[known].exp()
    )
    assert found.item() == pytest.approx(expected.item())


def test_quantile_is_scikit_learns_pinball() -> None:
    from sklearn.metrics import mean_pinball_loss

    random = np.random.default_rng(3)
    target, quantiles = random.normal(size=6), np.sort(random.normal(size=(6, 5)))
    outputs = Outputs(
        torch.tensor(quantiles[:, 2:3]), quantiles=torch.tensor(quantiles)[:, None, :]
    )
    found = losses.quantile(outputs, batch_of(target, [0] * 6), relative=False)
    each = [mean_pinball_loss(target, quantiles[:, k], alpha=a) for k, a in enumerate(QUANTILES)]
    assert found.item() == pytest.approx(np.mean(each))


def test_sharpe_by_hand() -> None:
    """Neutral weights are halves: dates earn (1 + 1) / 2 = 1 and (3 + 1) / 2 = 2; mean 1.5 over the
    sample deviation of 1 and 2."""
    batch = batch_of([1.0, -1.0, 3.0, -1.0], [0, 0, 1, 1])
    found = losses.sharpe(Outputs(column(6.0, 4.0, 2.0, 1.0)), batch, relative=True)
    assert found.item() == pytest.approx(-1.5 / np.std([1.0, 2.0], ddof=1))


@pytest.mark.parametrize("name", sorted(losses.LOSSES))
def test_gradients_are_right_and_level_does_not_matter(name: str) -> None:
    random = torch.Generator().manual_seed(1)
    batch = batch_of([1.0, -1.0, nan, 2.0, 0.5, 0.1], [0, 0, 0, 1, 1, 1])
    kind = {"gaussian": "variance", "quantile": "quantiles"}.get(name, "mean")
    head = ForecastHead(3, kind).double()
    states = torch.randn(6, 3, dtype=torch.float64, generator=random, requires_grad=True)
    loss = partial(losses.loss_named(name), batch=batch, relative=True)
    assert torch.autograd.gradcheck(lambda s: loss(head(s)), (states,))
    outputs = head(states)
    level = batch.inputs.date[:, None] * 5.0
    moved = outputs._replace(mean=outputs.mean + level)
    if outputs.quantiles is not None:
        moved = moved._replace(quantiles=outputs.quantiles + level[..., None])
    assert loss(moved).item() == pytest.approx(loss(outputs).item())


def test_quantiles_never_cross() -> None:
    torch.manual_seed(2)
    found = ForecastHead(4, "quantiles", horizons=2)(10 * torch.randn(50, 4))
    assert found.quantiles.shape == (50, 2, 5)
    assert bool((found.quantiles.diff(dim=-1) > 0).all())
    assert torch.equal(found.mean, found.quantiles[..., 2])


def test_an_unknown_loss_is_named() -> None:
    with pytest.raises(ModelError, match="no loss 'mse'; known are gaussian, huber"):
        losses.loss_named("mse")
