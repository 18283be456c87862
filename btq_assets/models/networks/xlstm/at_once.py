"""Both recurrences over a whole window, with their gradients written out.

Belongs here: what `cells` computes, in few large operations, so that training is not spent on
thousands of small ones. Does not belong here: anything `cells` does not define; tests hold values and
gradients of this module against it. Imports torch at the top; import inside functions only.

The stabiliser is a constant to every gradient: it scales cell and normaliser alike, so that no output
depends on it.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional

from btq_assets.models.networks.xlstm import cells

#: Sequences whose gradient of a convolution is summed up at a time: as many as a cache holds.
_SEQUENCES_AT_ONCE = 64


def sequences_last(linear: nn.Linear, tokens: Tensor, heads: int) -> Tensor:
    """A linear map of ``(B, L, dim)`` to two gates, laid out as `scalar_window` reads them.

    Parameters
    ----------
    linear
        To ``(2, heads, d)``, side by side.
    tokens
        ``(B, L, dim)``.
    heads
        Heads.

    Returns
    -------
    torch.Tensor
        ``(L, heads, 2 d, B)``.
    """
    weight = linear.weight.unflatten(0, (2, heads, -1)).transpose(0, 1).flatten(0, 2)
    bias = linear.bias.unflatten(0, (2, heads, -1)).transpose(0, 1).flatten()
    weights = weight.expand(tokens.shape[1], *weight.shape)
    return torch.baddbmm(bias[:, None], weights, tokens.permute(1, 2, 0)).unflatten(1, (heads, -1))


def scalar_window(
    from_mixed: Tensor, from_token: Tensor, recurrent: Tensor, *, last_only: bool = False
) -> Tensor:
    """Run sLSTM over all tokens, from a state of nothing.

    Parameters
    ----------
    from_mixed, from_token
        ``(L, heads, 2 d, B)``: what a token gives to input gate and forget gate, and to cell input and
        output gate. Sequences lie last: each gate of a token is then one stretch of memory.
    recurrent
        ``(4, heads, d, d)``: what the hidden state of the token before adds to each.
    last_only
        Whether the last hidden state is all that is wanted.

    Returns
    -------
    torch.Tensor
        Hidden states ``(B, L, heads * d)``, of the last token ``(B, 1, heads * d)``.
    """
    given = (from_mixed, from_token, recurrent)
    if not torch.is_grad_enabled() or torch.compiler.is_compiling():
        found = _token_by_token(*given)
    else:
        if any(part.dtype in (torch.bfloat16, torch.float16) for part in given):
            # Exponentials of eight bits of mantissa add up over a window.
            given = tuple(part.float() for part in given)  # type: ignore[assignment]
        with torch.autocast(from_mixed.device.type, enabled=False):
            found = _ScalarWindow.apply(*given)
    return (found[-1:] if last_only else found).permute(3, 0, 1, 2).flatten(2)


def matrix_window(query_key: Tensor, value: Tensor, gates: Tensor, heads: int) -> Tensor:
    """Run mLSTM over all tokens: `cells.matrix_parallel`, its gradient written out.

    Parameters
    ----------
    query_key
        ``(B, L, 2 * heads * d)``: all queries of a token, then all its keys.
    value
        ``(B, L, heads * d)``.
    gates
        ``(B, L, 2 * heads)``: input gates before exp, then forget gates before sigmoid.
    heads
        Heads.

    Returns
    -------
    torch.Tensor
        ``(B, L, heads * d)``.
    """
    given = (
        query_key.unflatten(-1, (2, heads, -1)),
        value.unflatten(-1, (heads, -1)),
        gates.unflatten(-1, (2, heads)),
    )
    if not torch.is_grad_enabled() or torch.compiler.is_compiling():
        query, key = given[0].permute(2, 0, 3, 1, 4).unbind(0)
        input_gate, forget_gate = given[2].permute(2, 0, 3, 1).unbind(0)
        read = cells.matrix_parallel(query, key, given[1].transpose(1, 2), input_gate, forget_gate)
        return read.transpose(1, 2).flatten(2)
    if any(part.dtype in (torch.bfloat16, torch.float16) for part in given):
        given = tuple(part.float() for part in given)
    with torch.autocast(value.device.type, enabled=False):
        found: Tensor = _MatrixWindow.apply(*given)
    return found.flatten(2)


def convolved(tokens: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Each channel of ``(B, L, dim)`` over its own last tokens, zeros before the first.

    Parameters
    ----------
    tokens
        ``(B, L, dim)``.
    weight
        ``(K, dim)``, that of the token itself last.
    bias
        ``(dim,)``.
    """
    if not torch.is_grad_enabled() or torch.compiler.is_compiling():
        padded = functional.pad(tokens, (0, 0, weight.shape[0] - 1, 0))
        taps = padded.unfold(1, weight.shape[0], 1)
        return (taps * weight.T).sum(-1) + bias
    found: Tensor = _Convolved.apply(tokens, weight, bias)
    return found


def _token_by_token(from_mixed: Tensor, from_token: Tensor, recurrent: Tensor) -> Tensor:
    """``(L, heads, d, B)`` hidden states, by `cells.scalar_mixed_step`."""
    length, heads, _, batch = from_mixed.shape
    gates = torch.cat(
        [part.reshape(length, heads, 2, -1, batch) for part in (from_mixed, from_token)], dim=2
    ).permute(0, 4, 2, 1, 3)
    state = cells.scalar_start(gates[0, :, 0])
    hidden = []
    for each in gates.unbind(0):
        state = cells.scalar_mixed_step(each, recurrent, state)
        hidden.append(state.hidden)
    return torch.stack(hidden).permute(0, 2, 3, 1)


class _Convolved(Function):
    @staticmethod
    def forward(ctx: Any, tokens: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """See `convolved`."""
        ctx.save_for_backward(tokens, weight)
        out = torch.addcmul(bias, tokens, weight[-1])
        for back in range(1, min(len(weight), tokens.shape[1])):
            out[:, back:].addcmul_(tokens[:, :-back], weight[-1 - back])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of all three."""
        (given,) = upstream
        tokens, weight = ctx.saved_tensors
        of_tokens, of_weight = given * weight[-1], torch.zeros_like(weight)
        product = torch.empty_like(given[:_SEQUENCES_AT_ONCE])
        for first in range(0, len(given), _SEQUENCES_AT_ONCE):
            some = slice(first, first + _SEQUENCES_AT_ONCE)
            ours, theirs = given[some], tokens[some]
            for back in range(min(len(weight), tokens.shape[1])):
                later, earlier = ours[:, back:], theirs[:, : theirs.shape[1] - back]
                if back:
                    of_tokens[some][:, :-back].addcmul_(later, weight[-1 - back])
                place = product[: len(later), back:]
                of_weight[-1 - back] += torch.mul(later, earlier, out=place).sum((0, 1))
        return of_tokens, of_weight, given.sum((0, 1))


class _ScalarWindow(Function):
    @staticmethod
    def forward(ctx: Any, from_mixed: Tensor, from_token: Tensor, recurrent: Tensor) -> Tensor:
        """Hidden states ``(L, heads, d, B)``; see `scalar_window`."""
        length, heads, _, batch = from_mixed.shape
        dim = recurrent.shape[-1]
        weights = recurrent.permute(1, 0, 3, 2).reshape(heads, 4 * dim, dim)
        to_mixed, to_token = weights[:, : 2 * dim], weights[:, 2 * dim :]
        shape = (length, heads, dim, batch)
        hidden = from_mixed.new_zeros(length + 1, *shape[1:])
        cell, normaliser = torch.zeros_like(hidden), torch.zeros_like(hidden)
        kept, written, log_forget, wanted, opened = (from_mixed.new_empty(shape) for _ in range(5))
        stabiliser = from_mixed.new_full(shape[1:], -math.inf)
        for at in range(length):
            heard = torch.baddbmm(from_mixed[at], to_mixed, hidden[at])
            input_gate, forget_gate = heard[:, :dim], heard[:, dim:]
            heard = torch.baddbmm(from_token[at], to_token, hidden[at])
            torch.tanh(heard[:, :dim], out=wanted[at])
            torch.sigmoid(heard[:, dim:], out=opened[at])
            log_forget[at] = functional.logsigmoid(forget_gate)
            past = log_forget[at] + stabiliser
            stabiliser = torch.maximum(past, input_gate)
            torch.sub(input_gate, stabiliser, out=written[at]).exp_()
            torch.sub(past, stabiliser, out=kept[at]).exp_()
            after = torch.mul(kept[at], cell[at], out=cell[at + 1])
            after.addcmul_(written[at], wanted[at])
            torch.addcmul(written[at], kept[at], normaliser[at], out=normaliser[at + 1])
            torch.div(after, normaliser[at + 1], out=hidden[at + 1]).mul_(opened[at])
        ctx.save_for_backward(
            weights, hidden, cell, normaliser, kept, written, log_forget, wanted, opened
        )
        return hidden[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of all three.

        What a gradient is multiplied with is known for all tokens before the first one is walked
        back: few operations per token are left.
        """
        weights, hidden, cell, normaliser, kept, written, log_forget, wanted, opened = (
            ctx.saved_tensors
        )
        length, heads, dim, batch = kept.shape
        # From a hidden state to its cell and (with the other sign) its normaliser.
        to_cell, to_normaliser = opened / normaliser[1:], hidden[1:] / normaliser[1:]
        forgotten = torch.expm1(log_forget).mul_(kept).neg_()
        # From a cell to input gate, forget gate and cell input; from a hidden state to the output gate.
        to_gates = kept.new_empty(length, heads, 4, dim, batch)
        torch.mul(written, wanted, out=to_gates[:, :, 0])
        torch.mul(forgotten, cell[:-1], out=to_gates[:, :, 1])
        torch.addcmul(written, to_gates[:, :, 0], wanted, value=-1, out=to_gates[:, :, 2])
        torch.addcmul(hidden[1:], hidden[1:], opened, value=-1, out=to_gates[:, :, 3])
        forgotten.mul_(normaliser[:-1])
        gradient = torch.empty_like(to_gates)
        of_cell, of_normaliser = kept.new_zeros(2, heads, dim, batch).unbind(0)
        back = weights.transpose(1, 2)
        for at in range(length - 1, -1, -1):
            of_hidden = upstream[0][at]
            if at + 1 < length:
                after = gradient[at + 1].view(heads, 4 * dim, batch)
                of_hidden = torch.baddbmm(of_hidden, back, after)
                of_cell.mul_(kept[at + 1])
                of_normaliser.mul_(kept[at + 1])
            of_cell.addcmul_(of_hidden, to_cell[at])
            of_normaliser.addcmul_(of_hidden, to_normaliser[at], value=-1)
            torch.mul(of_cell[:, None], to_gates[at, :, :3], out=gradient[at, :, :3])
            gradient[at, :, 0].addcmul_(of_normaliser, written[at])
            gradient[at, :, 1].addcmul_(of_normaliser, forgotten[at])
            torch.mul(of_hidden, to_gates[at, :, 3], out=gradient[at, :, 3])
        flat = gradient.view(length, heads, 4 * dim, batch)
        of_weights = (flat @ hidden[:-1].transpose(2, 3)).sum(0)
        of_recurrent = of_weights.view(heads, 4, dim, dim).permute(1, 0, 3, 2)
        return flat[:, :, : 2 * dim], flat[:, :, 2 * dim :], of_recurrent


class _MatrixWindow(Function):
    """Appendix A.3 of the paper; every head of every sequence is one matrix of a batch."""

    @staticmethod
    def forward(ctx: Any, query_key: Tensor, value: Tensor, gates: Tensor) -> Tensor:
        """See `matrix_window`; heads have an axis of their own here."""
        batch, length, _, heads, dim = query_key.shape
        # Laid out anew once, here: a product would do it each time.
        query, key = (part.transpose(1, 2).reshape(-1, length, dim) for part in query_key.unbind(2))
        values = value.transpose(1, 2).reshape(-1, length, dim)
        input_gate, forget_gate = (
            part.transpose(1, 2).reshape(-1, length) for part in gates.unbind(2)
        )
        passed = functional.logsigmoid(forget_gate).cumsum(-1)
        # Row i, column j: exp(u_j - max over the columns up to i of u), u_j = input_j - passed_j,
        # divided by the root of the width of a head.
        unpassed = input_gate - passed
        largest = unpassed.cummax(-1).values
        per_row = largest + 0.5 * math.log(dim)
        weight = (unpassed[:, None, :] - per_row[:, :, None]).exp_().tril_()
        scores = torch.bmm(query, key.transpose(1, 2)).mul_(weight)
        total = scores.sum(-1, keepdim=True)
        floor = torch.exp(-(passed + largest))[..., None]
        scale = torch.maximum(total.abs(), floor)
        out = torch.bmm(scores, values).div_(scale)
        sign = torch.where(total.abs() >= floor, total.sign(), 0.0)
        ctx.save_for_backward(query, key, values, forget_gate, weight, scores, scale, sign, out)
        return out.view(batch, heads, length, dim).transpose(1, 2).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of all three."""
        query, key, value, forget_gate, weight, scores, scale, sign, out = ctx.saved_tensors
        batch, length, heads, dim = upstream[0].shape
        given = upstream[0].transpose(1, 2).reshape(out.shape) / scale
        of_total = -(given * out).sum(-1, keepdim=True) * sign
        of_scores = torch.baddbmm(of_total, given, value.transpose(1, 2))
        of_value = torch.bmm(scores.transpose(1, 2), given)
        of_log = of_scores * scores
        by_column = of_log.sum(-2)
        of_passed = of_log.sum(-1) - by_column
        of_forget = of_passed.flip(-1).cumsum(-1).flip(-1) * torch.sigmoid(-forget_gate)
        of_scores.mul_(weight)
        of_query = torch.bmm(of_scores, key)
        of_key = torch.bmm(of_scores.transpose(1, 2), query)
        of_both, of_gates = (
            torch.stack([part.view(batch, heads, length, -1).transpose(1, 2) for part in pair], 2)
            for pair in ((of_query, of_key), (by_column, of_forget))
        )
        of_value = of_value.view(batch, heads, length, dim).transpose(1, 2)
        return of_both, of_value, of_gates[..., 0]
