"""xLSTM: the paper's equations as they stand, and forms that agree."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from network_inputs import inputs_of  # noqa: E402

from btq_assets.models.networks.xlstm import at_once, cells  # noqa: E402
from btq_assets.models.networks.xlstm.blocks import (  # noqa: E402
    SEQUENCES_AT_ONCE,
    MatrixBlock,
    ScalarBlock,
)
from btq_assets.models.networks.xlstm.network import XLSTM  # noqa: E402

torch.set_num_threads(1)

BATCH, HEADS, LENGTH, DIM = 2, 3, 9, 4


def draws(*shape: int, seed: int, scale: float = 1.0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, dtype=torch.float64, generator=random)


def sigmoid(value: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-value))


def test_scalar_cell_is_the_paper_without_its_stabiliser() -> None:
    """Equations 8 to 14 of Beck et al. (2024) written out; 15 to 17 only keep numbers small."""
    z, i, f, o = (draws(LENGTH, BATCH, HEADS, DIM, seed=n) for n in range(4))
    state = cells.scalar_start(z[0])
    c = n = np.zeros((BATCH, HEADS, DIM))
    for t in range(LENGTH):
        state = cells.scalar_step(z[t], i[t], f[t], o[t], state)
        forget, write = sigmoid(f[t].numpy()), np.exp(i[t].numpy())
        c = forget * c + write * np.tanh(z[t].numpy())
        n = forget * n + write
        np.testing.assert_allclose(state.hidden, sigmoid(o[t].numpy()) * c / n, rtol=1e-12)


def paper_matrix_cell(q, k, v, i, f) -> np.ndarray:
    """Equations 19 to 27 for one sequence of one head, without stabiliser and output gate."""
    memory, normaliser, out = np.zeros((DIM, DIM)), np.zeros(DIM), []
    for t in range(len(q)):
        forget, write = sigmoid(f[t]), np.exp(i[t])
        key = k[t] / np.sqrt(DIM)
        memory = forget * memory + write * np.outer(v[t], key)
        normaliser = forget * normaliser + write * key
        out.append(memory @ q[t] / max(abs(normaliser @ q[t]), 1.0))
    return np.stack(out)


@pytest.mark.parametrize("scale", [0.3, 3.0])
def test_matrix_cell_is_the_paper_in_both_forms(scale: float) -> None:
    """At 0.3 the lower bound of the normaliser binds on some tokens, at 3 it hardly does."""
    q, k, v = (draws(BATCH, HEADS, LENGTH, DIM, seed=n, scale=scale) for n in (5, 6, 7))
    i, f = (draws(BATCH, HEADS, LENGTH, seed=n, scale=2.0) for n in (8, 9))
    parallel = cells.matrix_parallel(q, k, v, i, f)
    state = cells.matrix_start(q[:, :, 0])
    for t in range(LENGTH):
        found, state = cells.matrix_step(
            q[:, :, t], k[:, :, t], v[:, :, t], i[:, :, t], f[:, :, t], state
        )
        torch.testing.assert_close(found, parallel[:, :, t], rtol=1e-10, atol=1e-12)
    for b in range(BATCH):
        for h in range(HEADS):
            parts = (x[b, h].numpy() for x in (q, k, v, i, f))
            np.testing.assert_allclose(parallel[b, h], paper_matrix_cell(*parts), rtol=1e-9)


def test_exponential_gates_of_any_size_stay_finite() -> None:
    """exp(400) is no float; the stabiliser never forms it."""
    q, k, v = (draws(1, 1, 5, DIM, seed=n).float() for n in (1, 2, 3))
    gate = torch.tensor([[[400.0, -400.0, 400.0, 0.0, -90.0]]])
    assert bool(torch.isfinite(cells.matrix_parallel(q, k, v, gate, -gate)).all())
    state = cells.scalar_start(q[:, :, 0])
    for t in range(5):
        each = gate[..., t : t + 1].expand(1, 1, DIM)
        state = cells.scalar_step(q[:, :, t], each, -each, v[:, :, t], state)
        assert bool(torch.isfinite(state.hidden).all())


def test_gradients_of_both_cells_are_right() -> None:
    q, k, v = (draws(1, 2, 4, 3, seed=n).requires_grad_() for n in (1, 2, 3))
    i, f = (draws(1, 2, 4, seed=n).requires_grad_() for n in (4, 5))
    assert torch.autograd.gradcheck(cells.matrix_parallel, (q, k, v, i, f))

    def scalar(gates: torch.Tensor) -> torch.Tensor:
        state = cells.scalar_start(gates[0, 0])
        for token in gates:
            state = cells.scalar_step(*token, state)
        return state.hidden

    assert torch.autograd.gradcheck(scalar, (draws(3, 4, 1, 2, 2, seed=6).requires_grad_(),))


@pytest.mark.parametrize("kind", [MatrixBlock, ScalarBlock])
@pytest.mark.parametrize(("dim", "heads"), [(8, 2), (10, 4)])
def test_a_block_token_by_token_is_the_block_at_once(kind: type, dim: int, heads: int) -> None:
    torch.manual_seed(3)
    block = kind(dim, heads, 0.0).double()
    tokens = draws(BATCH, LENGTH, dim, seed=1)
    whole, state, found = block(tokens), None, []
    for t in range(LENGTH):
        token, state = block.step(tokens[:, t : t + 1], state)
        found.append(token)
    torch.testing.assert_close(torch.cat(found, 1), whole, rtol=1e-10, atol=1e-12)


@pytest.fixture(scope="module")
def network() -> XLSTM:
    torch.manual_seed(0)
    return XLSTM(3, dim=10, heads=4, layers=3, dropout=0.2).eval()


def test_the_network_has_both_kinds_of_block(network: XLSTM) -> None:
    assert [type(block) for block in network.blocks] == [MatrixBlock, ScalarBlock, MatrixBlock]


def test_sessions_one_by_one_give_the_tokens_of_the_window(network: XLSTM) -> None:
    windows = draws(5, 7, 3, seed=2).float()
    whole, states = network.encode(windows), None
    for t in range(7):
        token, states = network.step(windows[:, t], states)
        torch.testing.assert_close(token, whole[:, t], rtol=1e-4, atol=1e-5)


def test_a_later_session_changes_no_earlier_token(network: XLSTM) -> None:
    windows = draws(5, 7, 3, seed=2).float()
    later = windows.clone()
    later[:, 4:] += 10.0
    first, second = network.encode(windows), network.encode(later)
    torch.testing.assert_close(first[:, :4], second[:, :4])
    assert not torch.allclose(first[:, 4:], second[:, 4:])


def test_nodes_are_forecast_alone(network: XLSTM) -> None:
    windows = draws(5, 7, 3, seed=2).float()
    order = torch.tensor([3, 0, 4, 2, 1])
    whole = network(inputs_of(windows)).mean
    torch.testing.assert_close(network(inputs_of(windows[order])).mean, whole[order])
    torch.testing.assert_close(network(inputs_of(windows[:1])).mean, whole[:1])


def gradients(found: torch.Tensor, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Those of one fixed weighting of an output."""
    weights = draws(*found.shape, seed=99).to(found.dtype)
    return torch.autograd.grad((found * weights).sum(), given, retain_graph=True)


SAME = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 2e-6)]
)


@SAME
@pytest.mark.parametrize("last_only", [False, True])
def test_scalar_memory_at_once_is_the_cell_token_by_token(
    dtype: torch.dtype, tolerance: float, last_only: bool
) -> None:
    """Values and written-out gradients, against `cells` through autograd."""
    mixed, token = (
        draws(LENGTH, HEADS, 2 * DIM, BATCH, seed=n).to(dtype).requires_grad_() for n in (1, 2)
    )
    recurrent = draws(4, HEADS, DIM, DIM, seed=3, scale=0.3).to(dtype).requires_grad_()
    gates = torch.cat([part.unflatten(2, (2, DIM)) for part in (mixed, token)], dim=2)
    state, hidden = cells.scalar_start(torch.zeros(BATCH, HEADS, DIM, dtype=dtype)), []
    for each in gates:
        state = cells.scalar_mixed_step(each.permute(3, 1, 0, 2), recurrent, state)
        hidden.append(state.hidden.flatten(1))
    expected = torch.stack(hidden[-1:] if last_only else hidden, dim=1)
    given = (mixed, token, recurrent)
    found = at_once.scalar_window(*given, last_only=last_only)
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
    for ours, theirs in zip(gradients(found, given), gradients(expected, given), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
    with torch.no_grad():
        torch.testing.assert_close(at_once.scalar_window(*given, last_only=last_only), found)


@SAME
@pytest.mark.parametrize("shift", [-6.0, 2.0])
def test_matrix_memory_at_once_is_its_parallel_form(
    dtype: torch.dtype, tolerance: float, shift: float
) -> None:
    """With input gates of exp(-6) the lower bound of the normaliser binds everywhere, with exp(2)
    hardly anywhere; queries and keys point the same way, so that no row sums to nearly nothing."""
    both = (draws(BATCH, LENGTH, 2 * HEADS * DIM, seed=1).abs() + 0.2).to(dtype).requires_grad_()
    value = draws(BATCH, LENGTH, HEADS * DIM, seed=2).to(dtype).requires_grad_()
    gates = (draws(BATCH, LENGTH, 2 * HEADS, seed=3) + shift).to(dtype).requires_grad_()
    query, key = both.unflatten(-1, (2, HEADS, DIM)).permute(2, 0, 3, 1, 4)
    values = value.unflatten(-1, (HEADS, DIM)).transpose(1, 2)
    input_gate, forget_gate = gates.transpose(1, 2).chunk(2, dim=1)
    read = cells.matrix_parallel(query, key, values, input_gate, forget_gate)
    expected, given = read.transpose(1, 2).flatten(2), (both, value, gates)
    found = at_once.matrix_window(*given, HEADS)
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
    for ours, theirs in zip(gradients(found, given), gradients(expected, given), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
    with torch.no_grad():
        torch.testing.assert_close(at_once.matrix_window(*given, HEADS), found)


@pytest.mark.parametrize("length", [1, 3, LENGTH])
def test_a_convolution_at_once_is_torchs(length: int) -> None:
    tokens = draws(70, length, DIM, seed=1).requires_grad_()
    weight, bias = draws(4, DIM, seed=2).requires_grad_(), draws(DIM, seed=3).requires_grad_()
    padded = torch.nn.functional.pad(tokens.transpose(1, 2), (3, 0))
    expected = torch.nn.functional.conv1d(padded, weight.T[:, None], bias, groups=DIM)
    found, given = at_once.convolved(tokens, weight, bias), (tokens, weight, bias)
    torch.testing.assert_close(found, expected.transpose(1, 2))
    wanted = gradients(expected.transpose(1, 2), given)
    for ours, theirs in zip(gradients(found, given), wanted, strict=True):
        torch.testing.assert_close(ours, theirs)
    with torch.no_grad():
        torch.testing.assert_close(at_once.convolved(*given), found)


def test_many_sequences_and_the_last_token_alone_are_the_same(network: XLSTM) -> None:
    """More sequences than are trained on at a time, in a training and outside of one."""
    windows = draws(SEQUENCES_AT_ONCE + 3, 7, 3, seed=2).float()
    whole = network.encode(windows)
    torch.testing.assert_close(network.encode(windows, last_only=True), whole[:, -1:])
    with torch.no_grad():
        torch.testing.assert_close(network.encode(windows), whole, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(network.encode(windows[-2:]), whole[-2:], rtol=1e-4, atol=1e-5)


def test_half_precision_keeps_the_memory_in_full() -> None:
    """bfloat16 around, float32 in the recurrences: within its 8 bits of the network in float32."""
    torch.manual_seed(0)
    learner = XLSTM(3, dim=8, heads=2, layers=2, dropout=0.0)
    windows = draws(5, 7, 3, seed=2).float()
    exact = learner(inputs_of(windows)).mean
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = learner(inputs_of(windows)).mean
    found.float().sum().backward()
    torch.testing.assert_close(found.float(), exact, rtol=0.05, atol=0.02)
    assert all(bool(torch.isfinite(value.grad).all()) for value in learner.parameters())


def test_it_remembers_the_first_of_twenty_sessions() -> None:
    """The target is the sign of the first session, and 19 of noise follow: R squared 0 without
    memory, 1 with."""
    torch.manual_seed(1)
    learner = XLSTM(1, dim=16, heads=2, layers=2, dropout=0.0)
    optimiser = torch.optim.AdamW(learner.parameters(), lr=1e-2, weight_decay=0.0)
    random = torch.Generator().manual_seed(2)

    def task() -> tuple[torch.Tensor, torch.Tensor]:
        windows = 0.3 * torch.randn(48, 20, 1, generator=random)
        sign = torch.where(torch.rand(48, generator=random) < 0.5, -1.0, 1.0)
        windows[:, 0, 0] = 3.0 * sign
        return windows, sign[:, None]

    for _ in range(50):
        windows, sign = task()
        loss = (learner(inputs_of(windows)).mean - sign).square().mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        optimiser.step()
    windows, sign = task()
    with torch.no_grad():
        assert (learner(inputs_of(windows)).mean - sign).square().mean() < 0.2
