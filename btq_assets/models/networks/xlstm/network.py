"""xLSTM over each asset's own window.

Belongs here: the stack of blocks, read at its last token or token by token. Imports torch at the
top; import inside functions only.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from btq_assets.models.networks.heads import ForecastHead
from btq_assets.models.networks.xlstm.blocks import BlockState, MatrixBlock, ScalarBlock
from btq_assets.models.windows.inputs import Inputs, Outputs


class XLSTM(nn.Module):
    """A linear map of each session, residual xLSTM blocks, a norm and a linear head.

    Order is in the recurrence, so there are no positional encodings. Weights are shared by all
    assets.

    Parameters
    ----------
    n_features
        Width of the input.
    dim, heads, layers
        Width, heads and number of blocks.
    dropout
        Dropout while training.
    scalar_every
        Every how many-th block is an sLSTM block, the others mLSTM: 0 for none, 1 for all.
    head
        Kind of `ForecastHead`.
    """

    def __init__(
        self,
        n_features: int,
        *,
        dim: int,
        heads: int,
        layers: int,
        dropout: float,
        scalar_every: int = 2,
        head: str = "mean",
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(n_features, dim)
        self.blocks = nn.ModuleList(
            ScalarBlock(dim, heads, dropout)
            if scalar_every and number % scalar_every == 0
            else MatrixBlock(dim, heads, dropout)
            for number in range(1, layers + 1)
        )
        self.norm = nn.LayerNorm(dim)
        self.head = ForecastHead(dim, head)

    def forward(self, inputs: Inputs) -> Outputs:
        """Forecast each node; reads ``windows``."""
        found: Outputs = self.head(self.encode(inputs.windows, last_only=True)[:, 0])
        return found

    def encode(self, windows: Tensor, *, last_only: bool = False) -> Tensor:
        """All tokens of ``(B, L, F)``, ``(B, L, dim)``; the last alone where that is asked."""
        tokens = self.embed(windows)
        for block in self.blocks[:-1]:
            tokens = block(tokens)
        return self.norm(self.blocks[-1](tokens, last_only=last_only))

    def step(
        self, session: Tensor, states: Sequence[BlockState] | None = None
    ) -> tuple[Tensor, list[BlockState]]:
        """The next session alone, ``(B, F)``: its token ``(B, dim)`` and the states after it.

        Fed one after the other, sessions give the tokens of `encode`, at a cost that does not grow
        with the length of the past.
        """
        token, after = self.embed(session)[:, None], []
        for number, block in enumerate(self.blocks):
            assert isinstance(block, MatrixBlock | ScalarBlock)
            token, state = block.step(token, None if states is None else states[number])
            after.append(state)
        return self.norm(token)[:, 0], after
