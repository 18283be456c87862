"""What windows without labels teach, and what of it few labels keep."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from network_inputs import inputs_of  # noqa: E402
from planted import planted_recipe  # noqa: E402

from btq_assets.models.forecaster import ModelError  # noqa: E402
from btq_assets.models.networks.baselines import LSTM  # noqa: E402
from btq_assets.models.networks.transformer_gnn import TransformerGNN  # noqa: E402
from btq_assets.models.networks.xlstm.network import XLSTM  # noqa: E402
from btq_assets.models.training.evaluation import evaluate  # noqa: E402
from btq_assets.models.training.loop import train  # noqa: E402
from btq_assets.models.training.losses import huber  # noqa: E402
from btq_assets.models.training.pretraining import (  # noqa: E402
    Pretraining,
    encoder_names,
    fine_tune,
    pretrain,
    take_over,
)
from btq_assets.models.training.reproducible import reproducible  # noqa: E402
from btq_assets.models.windows.batches import ArrayWindows  # noqa: E402
from btq_assets.models.windows.samples import DateSamples, loops  # noqa: E402

N_ASSETS, N_DATES, LOOKBACK, F = 8, 260, 8, 8


def made_panel() -> tuple[np.ndarray, np.ndarray]:
    """Eight features of noise, the first of which follows two others: ``|b| - |c|`` the session before.

    Labels are what the first feature will be but for its noise, so that who can foresee it can say
    them with one linear map. 32 labels do not tell which of eight features matter and how.
    """
    random = np.random.default_rng(8)
    readings = random.normal(size=(N_DATES, N_ASSETS, F))
    following = np.abs(readings[..., 1]) - np.abs(readings[..., 2])
    readings[1:, :, 0] = following[:-1] + 0.3 * random.normal(size=(N_DATES - 1, N_ASSETS))
    return readings.astype(np.float32), following


@pytest.fixture(scope="module")
def task():
    features, following = made_panel()
    source = ArrayWindows(features, np.ones(following.shape, dtype=bool), LOOKBACK)
    assets = np.arange(N_ASSETS)
    graph = loops(assets, 2)
    dates = [DateSamples(t, graph, assets, following[t][:, None]) for t in range(10, N_DATES)]
    return source, dates


def xlstm() -> XLSTM:
    return XLSTM(F, dim=16, heads=2, layers=1, dropout=0.0, scalar_every=0)


def transformer() -> TransformerGNN:
    return TransformerGNN(F, dim=16, heads=2, layers=1, graph_heads=1, dropout=0.0)


@pytest.fixture(scope="module")
def pretrained(task):
    source, dates = task
    unknown = [replace(date, target=np.full((N_ASSETS, 1), np.nan)) for date in dates]
    with reproducible(1):
        recipe = planted_recipe(epochs=6, patience=6, batch_dates=16, learning_rate=1e-2)
        return pretrain(xlstm(), source, unknown[:150], unknown[150:170], recipe, return_feature=0)


def test_pretraining_helps_where_labels_are_few(task, pretrained) -> None:
    """Four labelled dates; errors on 70 later dates, with two orders of batches and weights."""
    source, dates = task
    few, held_out, judged = dates[:4], dates[6:10], dates[180:]
    found: dict[str, list[float]] = {"random": [], "unfrozen": [], "frozen": []}
    for seed in (1, 2):
        recipe = planted_recipe(epochs=12, patience=12, batch_dates=2, seed=seed)
        for how, losses in found.items():
            with reproducible(seed):
                network = xlstm()
                if how == "random":
                    train(network, source, few, held_out, recipe)
                else:
                    frozen = how == "frozen"
                    fine_tune(
                        network, pretrained.weights, source, few, held_out, recipe, frozen=frozen
                    )
                losses.append(evaluate(network, source, judged, huber, relative=False))
    assert max(found["unfrozen"]) < 0.6 * min(found["random"]), found
    assert max(found["frozen"]) < 0.6 * min(found["random"]), found


def test_losses_of_pretraining_fall_and_read_no_label(task, pretrained) -> None:
    """Saying the means costs 0.98 for masked sessions and 0.82 for the feature foreseen, 1.79."""
    first, last = (pretrained.curves["validation_loss"][at] for at in (0, -1))
    assert last < first
    assert last < 1.3


@pytest.mark.parametrize("network_of", [xlstm, transformer])
def test_weights_taken_over_are_those_of_the_encoder(network_of) -> None:
    network = network_of()
    names = encoder_names(network, F)
    assert "embed.weight" in names
    assert not [name for name in names if name.startswith(("head", "graph", "mix"))]


def test_frozen_weights_stay_and_others_move(task, pretrained) -> None:
    source, dates = task
    with reproducible(1):
        network = xlstm()
        before = {name: value.clone() for name, value in network.state_dict().items()}
        recipe = planted_recipe(epochs=2)
        fine_tune(network, pretrained.weights, source, dates[:8], dates[8:12], recipe, frozen=True)
    for name, value in network.state_dict().items():
        if name in pretrained.weights:
            assert torch.equal(value, pretrained.weights[name]), name
        else:
            assert not torch.equal(value, before[name]), name
    assert all(value.requires_grad for value in network.parameters())


class Repeats(torch.nn.Module):
    """Tokens are the features themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Linear(F, F)

    def encode(self, windows):
        return windows


def asked(**others):
    """The questions with answers by hand: half of what is seen, and nothing of the return."""
    asking = Pretraining(Repeats(), F, **others)
    asking.norm = torch.nn.Identity()
    with torch.no_grad():
        asking.reconstruct.weight.copy_(torch.eye(F) / 2)
        asking.reconstruct.bias.zero_()
        asking.foresee.weight.zero_()
        asking.foresee.bias.zero_()
    return asking


def test_errors_are_of_masked_sessions_that_were_masked_in_the_input() -> None:
    """A masked session is read as 0 and costs its mean square; others cost nothing."""
    windows = torch.arange(4 * 5 * F, dtype=torch.float32).view(4, 5, F) / 50
    asking = asked(mask_share=0.4)
    asking.eval()
    observed = torch.ones(4, 5, dtype=torch.bool)
    observed[1, :3] = False
    drawn = torch.rand((4, 5), generator=torch.Generator().manual_seed(0)) < 0.4
    masked = (drawn & observed).numpy()
    square = (windows.numpy() ** 2).mean(-1)
    expected = [
        square[node, masked[node]].mean() if masked[node].any() else 0.0 for node in range(4)
    ]
    found = asking(inputs_of(windows, observed=observed)).mean[:, 0]
    assert found.tolist() == pytest.approx(expected, rel=1e-6)
    assert masked.any()
    again = asking(inputs_of(windows, observed=observed)).mean[:, 0]
    assert torch.equal(found, again)


def test_the_next_return_is_that_of_the_next_session() -> None:
    """Foreseeing nothing costs the mean square of feature 2 of all sessions but the first."""
    windows = torch.arange(2 * 5 * F, dtype=torch.float32).view(2, 5, F) / 50
    plain, both = asked(), asked(return_feature=2)
    plain.eval(), both.eval()
    more = both(inputs_of(windows)).mean - plain(inputs_of(windows)).mean
    expected = (windows[:, 1:, 2] ** 2).mean(1)
    assert more[:, 0].tolist() == pytest.approx(expected.tolist(), rel=1e-5)


def test_what_cannot_be_is_refused_by_name(pretrained) -> None:
    with pytest.raises(ModelError, match=r"LSTM has no encode"):
        Pretraining(LSTM(F, dim=4, layers=1, dropout=0.0), F)
    with pytest.raises(ModelError, match="there is no feature 8 among 8"):
        Pretraining(xlstm(), F, return_feature=8)
    with pytest.raises(ModelError, match="mask_share is 0"):
        Pretraining(xlstm(), F, mask_share=0)
    wider = XLSTM(F, dim=18, heads=2, layers=1, dropout=0.0, scalar_every=0)
    before = wider.embed.weight.clone()
    with pytest.raises(ModelError, match=r"embed\.weight \(16, 8\) into \(18, 8\)"):
        take_over(wider, pretrained.weights)
    assert torch.equal(before, wider.embed.weight)
    with pytest.raises(ModelError, match=r"embed\.weight \(16, 8\) which it lacks"):
        take_over(LSTM(F, dim=16, layers=1, dropout=0.0), pretrained.weights)
