"""Learning from windows without labels first, then from few labels.

Belongs here: what is asked of windows alone, and taking weights over by name. Does not belong here:
the loop that does it (`loop`), which network it is done with. Imports torch at the top; import inside
functions only.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from btq_assets.models.forecaster import ModelError, Progress
from btq_assets.models.training.loop import train
from btq_assets.models.training.recipe import Recipe
from btq_assets.models.training.state import Checkpoints
from btq_assets.models.windows.batches import Batch, WindowSource
from btq_assets.models.windows.inputs import Inputs, Outputs
from btq_assets.models.windows.samples import DateSamples


@dataclass(frozen=True)
class Pretrained:
    """What windows without labels taught.

    Parameters
    ----------
    weights
        Those of the encoder, by their names in the network.
    curves
        As `loop.train` gives them; losses are errors per number reconstructed or foreseen.
    """

    weights: dict[str, Tensor]
    curves: dict[str, Any]


class Pretraining(nn.Module):
    """An encoder with two questions to each token, whose error per node is its forecast.

    Sessions are masked at random and their features asked for (Devlin et al. 2019, for time series
    Zerveas et al. 2021); each token is asked for one feature of the next session. A masked session
    reads as the mean, as a missing one does. Sessions without a bar are neither masked nor asked for.
    Masks are the same each time while evaluating.

    Parameters
    ----------
    network
        Has ``encode(windows)``, ``(B, L, F)`` to ``(B, L, dim)`` (and ``calendar``, where it reads
        one). For `return_feature` its tokens must not see later ones.
    n_features
        Features of a session.
    return_feature
        Place of the feature foreseen, the return of a session; ``None`` asks only for masked ones.
    mask_share
        Share of the sessions that is masked.
    """

    def __init__(
        self,
        network: nn.Module,
        n_features: int,
        return_feature: int | None = None,
        mask_share: float = 0.15,
    ) -> None:
        super().__init__()
        if not hasattr(network, "encode"):
            raise ModelError(
                f"{type(network).__name__} has no encode(windows), so nothing can be asked of its "
                "tokens; pre-train a network that has"
            )
        if not 0 < mask_share < 1:
            raise ModelError(f"mask_share is {mask_share}; it lies between 0 and 1")
        if return_feature is not None and not 0 <= return_feature < n_features:
            raise ModelError(f"there is no feature {return_feature} among {n_features}")
        self.network = network
        self.return_feature, self.mask_share = return_feature, mask_share
        dim = _width(network)
        self.norm = nn.LayerNorm(dim)
        self.reconstruct = nn.Linear(dim, n_features)
        self.foresee = nn.Linear(dim, 1)

    def forward(self, inputs: Inputs) -> Outputs:
        """Squared error of each node, ``(nodes, 1)``; reads ``windows``, ``observed``, ``calendar``."""
        masked = self._mask(inputs.observed)
        seen = inputs.windows.masked_fill(masked[..., None], 0.0)
        tokens = self.norm(_encoded(self.network, seen, inputs.calendar))
        errors = (self.reconstruct(tokens) - inputs.windows).square().mean(-1)
        found = _mean_where(errors, masked)
        if self.return_feature is not None:
            after = inputs.windows[:, 1:, self.return_feature]
            errors = (self.foresee(tokens[:, :-1])[..., 0] - after).square()
            found = found + _mean_where(errors, inputs.observed[:, 1:])
        return Outputs(found[:, None])

    def _mask(self, observed: Tensor) -> Tensor:
        # Numbers from the CPU: the same masks on every device.
        fixed = None if self.training else torch.Generator().manual_seed(0)
        drawn = torch.rand(observed.shape, generator=fixed).to(observed.device)
        return (drawn < self.mask_share) & observed


def pretrain(
    network: nn.Module,
    source: WindowSource,
    training: Sequence[DateSamples],
    validation: Sequence[DateSamples],
    recipe: Recipe,
    *,
    return_feature: int | None = None,
    mask_share: float = 0.15,
    progress: Progress | None = None,
    checkpoints: Checkpoints | None = None,
    log: Callable[[str], None] | None = None,
) -> Pretrained:
    """Train the encoder of `network`, in place, on windows alone; labels are not read.

    Parameters
    ----------
    network, return_feature, mask_share
        See `Pretraining`.
    source, training, validation, recipe, progress, checkpoints, log
        See `loop.train`. Dates and assets may be any whose windows are known by then: of all
        universes, labelled or not. The recipe's loss is not used.
    """
    asking = Pretraining(network, source.n_features, return_feature, mask_share)
    asking = asking.to(next(network.parameters()).device)
    curves = train(
        asking,
        source,
        _unlabelled(training),
        _unlabelled(validation),
        recipe,
        progress,
        checkpoints=checkpoints,
        log=log,
        loss_of=_mean_error,
    )
    weights = network.state_dict()
    names = encoder_names(network, source.n_features)
    return Pretrained({name: weights[name].detach().clone() for name in names}, curves)


def fine_tune(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    source: WindowSource,
    training: Sequence[DateSamples],
    validation: Sequence[DateSamples],
    recipe: Recipe,
    *,
    frozen: bool = False,
    progress: Progress | None = None,
    checkpoints: Checkpoints | None = None,
    log: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Take weights over by name and train on labels; returns what `loop.train` does.

    With `frozen` the weights taken over stay as they are and only the others are trained.
    """
    names = take_over(network, weights)
    asked = {name: value.requires_grad for name, value in network.named_parameters()}
    try:
        for name, value in network.named_parameters():
            value.requires_grad_(asked[name] and not (frozen and name in names))
        return train(
            network,
            source,
            training,
            validation,
            recipe,
            progress,
            checkpoints=checkpoints,
            log=log,
        )
    finally:
        for name, value in network.named_parameters():
            value.requires_grad_(asked[name])


def take_over(network: nn.Module, weights: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Copy each weight into the one of its name, and return the names.

    Raises
    ------
    ModelError
        The network lacks a name, or has another shape for it; nothing is copied then.
    """
    own = network.state_dict()
    wrong = [
        f"{name} {tuple(value.shape)} "
        + (f"into {tuple(own[name].shape)}" if name in own else "which it lacks")
        for name, value in weights.items()
        if name not in own or own[name].shape != value.shape
    ]
    if wrong or not weights:
        raise ModelError(
            f"{type(network).__name__} cannot take over "
            + (", ".join(wrong) if wrong else "no weights at all")
            + "; pre-train a network of the same size, or leave these out"
        )
    with torch.no_grad():
        for name, value in weights.items():
            own[name].copy_(value)
    return tuple(weights)


def encoder_names(network: nn.Module, n_features: int) -> tuple[str, ...]:
    """Names of the parameters that ``encode`` reads."""
    device = next(network.parameters()).device
    windows = torch.ones(1, 3, n_features, device=device)
    named = {name: value for name, value in network.named_parameters() if value.requires_grad}
    tokens = _encoded(network, windows, windows.new_zeros(1, 3, _calendar_width(network)))
    found = torch.autograd.grad(tokens.sum(), list(named.values()), allow_unused=True)
    return tuple(name for name, grad in zip(named, found, strict=True) if grad is not None)


def _encoded(network: nn.Module, windows: Tensor, calendar: Tensor) -> Tensor:
    encode: Any = network.encode
    reads = "calendar" in inspect.signature(encode).parameters
    tokens: Tensor = encode(windows, calendar) if reads else encode(windows)
    return tokens


def _calendar_width(network: nn.Module) -> int:
    return int(getattr(getattr(network, "calendar", None), "in_features", 0))


def _width(network: nn.Module) -> int:
    """Width of a token."""
    embed = getattr(network, "embed", None)
    if not isinstance(embed, nn.Linear):
        raise ModelError(f"{type(network).__name__} has no linear map `embed` before its tokens")
    return embed.out_features


def _mean_where(errors: Tensor, asked: Tensor) -> Tensor:
    """Mean over the second axis where `asked`; 0 where nothing is."""
    return (errors * asked).sum(1) / asked.sum(1).clamp(min=1)


def _mean_error(outputs: Outputs, batch: Batch, *, relative: bool) -> Tensor:
    return outputs.mean.mean()


def _unlabelled(samples: Sequence[DateSamples]) -> list[DateSamples]:
    """The dates with targets that say nothing, so that none is left out for want of a label."""
    return [replace(date, target=np.zeros((len(date.assets), 1)), weight=None) for date in samples]
