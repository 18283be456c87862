"""The two cells of xLSTM: exponential gates, a stabiliser, scalar and matrix memory.

Belongs here: the recurrences of Beck et al. (2024), "xLSTM: Extended Long Short-Term Memory", and
nothing that is learned around them. Equation numbers are those of the paper. Imports torch at the
top; import inside functions only.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class ScalarState(NamedTuple):
    """State of sLSTM, each ``(B, heads, d)``: hidden, cell, normaliser, stabiliser."""

    hidden: Tensor
    cell: Tensor
    normaliser: Tensor
    stabiliser: Tensor


class MatrixState(NamedTuple):
    """State of mLSTM.

    Parameters
    ----------
    memory, normaliser
        ``(B, heads, d, d)`` and ``(B, heads, d)``: those of the paper times ``exp(-stabiliser)``.
    stabiliser
        ``(B, heads)``.
    """

    memory: Tensor
    normaliser: Tensor
    stabiliser: Tensor


def scalar_start(like: Tensor) -> ScalarState:
    """State of sLSTM before the first token, shaped as one gate ``(B, heads, d)``."""
    zeros = torch.zeros_like(like)
    return ScalarState(zeros, zeros, zeros, torch.full_like(like, -torch.inf))


def scalar_step(
    cell_input: Tensor,
    input_gate: Tensor,
    forget_gate: Tensor,
    output_gate: Tensor,
    state: ScalarState,
) -> ScalarState:
    """One token through sLSTM (equations 8-17), stabilised (15-17).

    Parameters
    ----------
    cell_input, input_gate, forget_gate, output_gate
        ``(B, heads, d)`` before their activation: tanh, exp, sigmoid, sigmoid.
    state
        After the token before.

    Returns
    -------
    ScalarState
        ``hidden`` is the output of the cell.
    """
    log_forget = functional.logsigmoid(forget_gate)
    stabiliser = torch.maximum(log_forget + state.stabiliser, input_gate)
    written = torch.exp(input_gate - stabiliser)
    kept = torch.exp(log_forget + state.stabiliser - stabiliser)
    cell = kept * state.cell + written * torch.tanh(cell_input)
    normaliser = kept * state.normaliser + written
    return ScalarState(torch.sigmoid(output_gate) * cell / normaliser, cell, normaliser, stabiliser)


def scalar_mixed_step(gates: Tensor, recurrent: Tensor, state: ScalarState) -> ScalarState:
    """`scalar_step` with memory mixing: each gate also hears the hidden state of its own head.

    Parameters
    ----------
    gates
        ``(B, 4, heads, d)``: what the token gives to input gate, forget gate, cell input and output
        gate.
    recurrent
        ``(4, heads, d, d)``.
    state
        After the token before.
    """
    heard = torch.einsum("bhd,ghde->bghe", state.hidden, recurrent)
    input_gate, forget_gate, cell_input, output_gate = (gates + heard).unbind(1)
    return scalar_step(cell_input, input_gate, forget_gate, output_gate, state)


def matrix_start(query: Tensor) -> MatrixState:
    """State of mLSTM before the first token, for queries ``(B, heads, d)``."""
    batch, heads, dim = query.shape
    return MatrixState(
        query.new_zeros(batch, heads, dim, dim),
        query.new_zeros(batch, heads, dim),
        query.new_full((batch, heads), -torch.inf),
    )


def matrix_step(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    input_gate: Tensor,
    forget_gate: Tensor,
    state: MatrixState,
) -> tuple[Tensor, MatrixState]:
    """One token through mLSTM (equations 19-27), before its output gate.

    Parameters
    ----------
    query, key, value
        ``(B, heads, d)``; keys are divided by the root of ``d`` here (equation 23).
    input_gate, forget_gate
        ``(B, heads)`` before exp and sigmoid.
    state
        After the token before.

    Returns
    -------
    tuple
        Output ``(B, heads, d)`` and the state after the token.
    """
    key = key / key.shape[-1] ** 0.5
    log_forget = functional.logsigmoid(forget_gate)
    stabiliser = torch.maximum(log_forget + state.stabiliser, input_gate)
    written = torch.exp(input_gate - stabiliser)[..., None]
    kept = torch.exp(log_forget + state.stabiliser - stabiliser)[..., None]
    outer = value[..., :, None] * key[..., None, :]
    memory = kept[..., None] * state.memory + written[..., None] * outer
    normaliser = kept * state.normaliser + written * key
    read = (memory @ query[..., None])[..., 0]
    # max(|n q|, 1) of equation 21, both sides times exp(-stabiliser).
    scale = torch.maximum((normaliser * query).sum(-1).abs(), torch.exp(-stabiliser))
    return read / scale[..., None], MatrixState(memory, normaliser, stabiliser)


def matrix_parallel(
    query: Tensor, key: Tensor, value: Tensor, input_gate: Tensor, forget_gate: Tensor
) -> Tensor:
    """All tokens through mLSTM at once (appendix A.3), equal to `matrix_step` token by token.

    Parameters
    ----------
    query, key, value
        ``(B, heads, L, d)``.
    input_gate, forget_gate
        ``(B, heads, L)`` before exp and sigmoid.

    Returns
    -------
    torch.Tensor
        ``(B, heads, L, d)``.
    """
    length = query.shape[-2]
    passed = functional.logsigmoid(forget_gate).cumsum(-1)
    # Entry (i, j): what token j wrote, after the forgetting of tokens j + 1 .. i.
    log_weight = passed[..., :, None] - passed[..., None, :] + input_gate[..., None, :]
    ahead = torch.ones(length, length, dtype=torch.bool, device=query.device).triu(1)
    log_weight = log_weight.masked_fill(ahead, -torch.inf)
    stabiliser = log_weight.amax(-1, keepdim=True)
    weight = torch.exp(log_weight - stabiliser)
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5 * weight
    scale = torch.maximum(scores.sum(-1, keepdim=True).abs(), torch.exp(-stabiliser))
    return (scores / scale) @ value
