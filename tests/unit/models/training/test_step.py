"""A batch in parts, in half precision and in too little memory; what a failed one says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from planted import (  # noqa: E402
    N_FEATURES,
    planted_features,
    planted_recipe,
    planted_samples,
    planted_source,
)

from btq_assets.models.forecaster import ModelError, TrainingDivergedError  # noqa: E402
from btq_assets.models.networks.baselines import LSTM  # noqa: E402
from btq_assets.models.networks.transformer_gnn import TransformerGNN  # noqa: E402
from btq_assets.models.networks.xlstm.network import XLSTM  # noqa: E402
from btq_assets.models.training.loop import train  # noqa: E402
from btq_assets.models.training.losses import LOSSES  # noqa: E402
from btq_assets.models.training.reproducible import reproducible  # noqa: E402
from btq_assets.models.training.step import Gradients  # noqa: E402

HEADS = {"gaussian": "variance", "quantile": "quantiles"}


def new_network(dropout: float = 0.0, head: str = "mean") -> TransformerGNN:
    return TransformerGNN(
        N_FEATURES, dim=8, heads=2, layers=1, graph_heads=1, dropout=dropout, head=head
    )


def lstm() -> LSTM:
    return LSTM(N_FEATURES, dim=8, layers=1, dropout=0.0)


def trained(network_of=new_network, *, source=None, features=None, log=None, **recipe):
    features = planted_features() if features is None else features
    dates = planted_samples(features)
    with reproducible(3):
        network = network_of()
        curves = train(
            network,
            source or planted_source(features),
            dates[:31],
            dates[31:],
            planted_recipe(**recipe),
            log=log,
        )
    return network.state_dict(), curves


def gradients(loss: str, accumulate: int, dropout: float = 0.0) -> dict[str, torch.Tensor]:
    features = planted_features()
    dates = planted_samples(features)[:7]
    dates[2].target[1] = np.nan
    dates[4].target[:] = np.nan
    with reproducible(3):
        network = new_network(dropout, HEADS.get(loss, "mean"))
        step = Gradients(
            network,
            planted_source(features),
            LOSSES[loss],
            planted_recipe(loss=loss, accumulate=accumulate, batch_dates=7, relative=True),
            torch.device("cpu"),
            print,
        )
        found = {"loss": step.of(dates, "here")}
        return found | {name: value.grad for name, value in network.named_parameters()}


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("accumulate", [2, 7])
def test_gradients_of_parts_are_those_of_the_whole(loss: str, accumulate: int) -> None:
    """Also where dates have different numbers of labels, and where a loss is no sum over dates."""
    whole, parts = gradients(loss, 1), gradients(loss, accumulate)
    assert any(value.abs().max() > 1e-3 for name, value in whole.items() if name != "loss")
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=1e-5, atol=1e-6)


def test_a_training_in_parts_is_that_of_whole_batches() -> None:
    """An LSTM: attention's key bias has a gradient of rounding alone, which AdamW makes full steps."""
    whole = trained(lstm, epochs=1)
    parts = trained(lstm, epochs=1, accumulate=4)
    for name, value in whole[0].items():
        torch.testing.assert_close(parts[0][name], value, rtol=0, atol=1e-6)
    for name in ("training_loss", "validation_loss", "gradient_norm"):
        assert parts[1][name] == pytest.approx(whole[1][name], abs=2e-6)


def test_a_part_drops_the_same_channels_on_both_passes() -> None:
    """With the outputs led back through other masks, numeric derivatives would not agree."""
    features = planted_features()
    dates = planted_samples(features)[:4]
    with reproducible(3):
        network = LSTM(N_FEATURES, dim=8, layers=2, dropout=0.5)
        source = planted_source(features)
        step = Gradients(
            network,
            source,
            LOSSES["huber"],
            planted_recipe(accumulate=2, batch_dates=4),
            torch.device("cpu"),
            print,
        )

        def loss() -> float:
            torch.manual_seed(11)
            return step.of(dates, "here").item()

        loss()
        weight = network.recurrent.bias_ih_l0
        place = int(weight.grad.abs().argmax())
        expected, by = weight.grad[place].item(), 1e-2
        weight.data[place] += by
        above = loss()
        weight.data[place] -= 2 * by
        below = loss()
    assert abs(expected) > 1e-3
    assert (above - below) / (2 * by) == pytest.approx(expected, rel=1e-2)


class TooLarge:
    """A source that is out of memory with more than so many dates at once."""

    def __init__(self, most: int, error: type[BaseException]) -> None:
        self._source, self._most, self._error = planted_source(planted_features()), most, error
        self.n_features = N_FEATURES

    def collate(self, samples):
        if len(samples) > self._most:
            torch.rand(3)  # Random numbers drawn before it failed must not count.
            raise self._error("no room for that")
        return self._source.collate(samples)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError])
def test_out_of_memory_halves_the_batch_and_says_so(error: type[BaseException]) -> None:
    said: list[str] = []
    network = lambda: new_network(0.3)  # noqa: E731
    found = trained(network, source=TooLarge(2, error), log=said.append)
    expected = trained(network, accumulate=4)
    assert [line[:62] for line in said[:2]] == [
        "out of memory at epoch 1, training batch 1 of 4 with 8 dates a",
        "out of memory at epoch 1, training batch 1 of 4 with 4 dates a",
    ]
    assert said[2].startswith("out of memory while validating: going on with 32 dates")
    assert found[1]["training_loss"] == expected[1]["training_loss"]
    for name, value in expected[0].items():
        assert torch.equal(found[0][name], value), name


def test_a_single_date_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ModelError, match="epoch 1, training batch 1 of 4 with a single date"):
        trained(source=TooLarge(0, torch.OutOfMemoryError))


def xlstm() -> XLSTM:
    return XLSTM(N_FEATURES, dim=8, heads=2, layers=2, dropout=0.0, scalar_every=2)


@pytest.mark.parametrize("network_of", [new_network, xlstm])
def test_bfloat16_learns_as_well(network_of) -> None:
    """The last losses are within 1 % of those in float32, and under half of forecasting nothing."""
    features = planted_features(161)
    dates = planted_samples(features, noise=0.5)
    found = []
    for mixed in (False, True):
        recipe = planted_recipe(epochs=8, patience=8, batch_dates=16, mixed_precision=mixed)
        with reproducible(3):
            network = network_of()
            found.append(train(network, planted_source(features), dates[:128], dates[128:], recipe))
    size = np.abs(np.concatenate([date.target for date in dates[:128]]))
    nothing = np.where(size < 1, size**2 / 2, size - 0.5).mean()
    full, half = found
    assert full["training_loss"][-1] < nothing / 2
    assert half["training_loss"] != full["training_loss"]
    for name in ("training_loss", "validation_loss"):
        assert half[name][-1] == pytest.approx(full[name][-1], rel=0.01)


def test_weights_and_gradients_stay_in_float32() -> None:
    weights, _ = trained(mixed_precision=True, epochs=1)
    assert {value.dtype for value in weights.values()} == {torch.float32}


def test_curves_have_learning_rate_and_gradient_norm() -> None:
    """16 steps, warm-up of one: half a cosine over the other 15, known at steps 4, 8, 12, 16."""
    curves = trained()[1]
    expected = [0.5e-2 * (1 + np.cos(np.pi * (step - 1) / 15)) for step in (3, 7, 11, 15)]
    assert curves["learning_rate"] == pytest.approx(expected, rel=1e-5)
    assert len(curves["gradient_norm"]) == 4
    assert min(curves["gradient_norm"]) > 0


def test_an_input_that_is_no_number_is_named_with_its_session() -> None:
    """Session 17 of the first asset; every window of six sessions that holds it says 17."""
    features = planted_features()
    source = planted_source(features)
    spoilt = features.copy()
    spoilt[17, 0, 1] = np.inf
    with pytest.raises(
        TrainingDivergedError,
        match=r"epoch 1, training batch \d of 4: not finite are features of session\(s\) 17;",
    ):
        trained(source=planted_source(spoilt))
    dates = planted_samples(features)
    dates[35] = replace(dates[35], weight=np.array([1.0, np.inf, 1.0, 1.0, 1.0]))
    with pytest.raises(TrainingDivergedError, match=r"validation .*weights of session\(s\) 36"):
        train(new_network(), source, dates[:31], dates[31:], planted_recipe())


class Exploding(torch.nn.Module):
    """Forecasts with a finite loss and an infinite gradient: the root of zero."""

    def __init__(self) -> None:
        super().__init__()
        self.plain = torch.nn.Parameter(torch.zeros(1))
        self.rooted = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs):
        from btq_assets.models.windows.inputs import Outputs

        return Outputs(inputs.windows[:, -1, :1] * self.plain + self.rooted.sqrt())


def test_a_gradient_that_explodes_is_named_with_its_parameter() -> None:
    with pytest.raises(
        TrainingDivergedError,
        match=r"the gradient norm is (inf|nan) at epoch 1, .* through rooted \(",
    ):
        trained(Exploding)


def test_a_loss_that_explodes_says_what_was_finite() -> None:
    class Wild(Exploding):
        def forward(self, inputs):
            found = super().forward(inputs)
            return found._replace(mean=found.mean * torch.inf)

    with pytest.raises(
        TrainingDivergedError,
        match="loss is nan at epoch 1, training batch 1 of 4: inputs and parameters are finite; "
        "gradient norms before: none in this epoch",
    ):
        trained(Wild)
