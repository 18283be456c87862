"""The policy network: one small network shared by all assets.

Belongs here: torch modules and the stable-baselines3 policy made of them. Does not belong here:
training. Importing this module imports torch and stable-baselines3.
"""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn

from btq_assets.agents.environment import EXTRA_PER_ASSET

HIDDEN = 32


class SharedEncoder(nn.Module):
    """Encode each asset by the same network; permuting assets permutes codes.

    Each asset sees its own entries, the share of cash, and the mean of all available assets'
    entries. The number of assets is read from the input, so one network serves any universe.

    Parameters
    ----------
    n_features
        Features per asset, ``F``.
    """

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.per_asset = n_features + EXTRA_PER_ASSET
        self.latent_dim_pi = HIDDEN
        self.latent_dim_vf = HIDDEN
        width = 2 * self.per_asset + 1
        self.actor = _two_layers(width)
        self.critic = _two_layers(width)

    def forward(self, observation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Codes for the actor ``[B, N + 1, H]`` (cash last) and the critic ``[B, H]``."""
        return self.forward_actor(observation), self.forward_critic(observation)

    def forward_actor(self, observation: torch.Tensor) -> torch.Tensor:
        """``[B, N + 1, H]``: one code per asset, and last their mean for cash."""
        inputs, available = self._inputs(observation)
        codes = self.actor(inputs)
        return torch.cat([codes, _masked_mean(codes, available)], dim=1)

    def forward_critic(self, observation: torch.Tensor) -> torch.Tensor:
        """``[B, H]``: mean code of the available assets."""
        inputs, available = self._inputs(observation)
        return _masked_mean(self.critic(inputs), available).squeeze(1)

    def _inputs(self, observation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        own = observation[:, :-1].reshape(observation.shape[0], -1, self.per_asset)
        available = own[:, :, -1:]
        context = _masked_mean(own, available).expand_as(own)
        cash = observation[:, None, -1:].expand(-1, own.shape[1], -1)
        return torch.cat([own, context, cash], dim=2), available


class SharedHead(nn.Module):
    """One logit per asset from its code, and one for cash from their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.asset = nn.Linear(HIDDEN, 1)
        self.cash = nn.Linear(HIDDEN, 1)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """``[B, N + 1, H]`` to ``[B, N + 1]``."""
        return torch.cat([self.asset(codes[:, :-1]), self.cash(codes[:, -1:])], dim=1).squeeze(2)


class SharedPolicy(ActorCriticPolicy):
    """Gaussian policy of stable-baselines3 over the shared network.

    Parameters
    ----------
    n_features
        Features per asset.
    """

    def __init__(self, *args: Any, n_features: int, **options: Any) -> None:
        self.n_features = n_features
        super().__init__(*args, **options)

    def _build_mlp_extractor(self) -> None:
        self.mlp_extractor = SharedEncoder(self.n_features)  # type: ignore[assignment]

    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)
        # The library's head mixes assets; ours is the same for each. Small weights start near 1/N.
        head = SharedHead()
        for layer in (head.asset, head.cash):
            nn.init.orthogonal_(layer.weight, gain=0.1)
            nn.init.zeros_(layer.bias)
        self.action_net = head
        self.optimizer = self.optimizer_class(  # type: ignore[call-arg]
            self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs
        )


def _two_layers(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, HIDDEN), nn.Tanh())


def _masked_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return (values * mask).sum(dim=1, keepdim=True) / mask.sum(dim=1, keepdim=True).clamp(min=1.0)
