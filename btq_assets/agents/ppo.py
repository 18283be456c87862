"""Proximal policy optimisation through stable-baselines3.

Belongs here: fitting one agent on one market segment. Does not belong here: folds (`walk_forward`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym

from btq_assets.agents.agent import TrainedAgent
from btq_assets.agents.environment import AdvancedTradingEnv

#: Decisions of a training episode: a year of weekly ones.
EPISODE_DECISIONS = 52
#: Exploration noise of an action at the start, in units of the action (logits are 5 times it).
LOG_STD_START = -1.0


class LessUniverseReturn(gym.Wrapper):
    """Subtract the universe's equal-weight return from the reward while training.

    No action changes that return, so the best policy is the same; the reward's variance, most of
    which is the market's, is not.
    """

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step, and make the reward relative."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        scale = self.env.unwrapped.config.agents.reward_scale  # type: ignore[attr-defined]
        return (
            observation,
            float(reward) - scale * info["universe_return"],
            terminated,
            truncated,
            info,
        )


def train_agent(
    environment: AdvancedTradingEnv,
    *,
    total_timesteps: int,
    seed: int,
    progress: Callable[[int, float], None] | None = None,
) -> TrainedAgent:
    """Fit a PPO agent (Schulman et al. 2017) in an environment.

    Same environment, seed and library versions give the same agent: torch runs on one CPU thread.

    Parameters
    ----------
    environment
        Training segment; its scaler goes into the agent.
    total_timesteps
        Environment steps, rounded up to whole rollouts of ``models.rl.n_steps``.
    seed
        Seeds network, exploration and episode starts.
    progress
        Called after each rollout with the steps so far and the mean reward per step.

    Returns
    -------
    TrainedAgent
    """
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback

    from btq_assets.agents.network import SharedPolicy

    curve: list[float] = []

    class Curve(BaseCallback):
        def _on_step(self) -> bool:
            return True

        def _on_rollout_end(self) -> None:
            curve.append(float(self.model.rollout_buffer.rewards.mean()))  # type: ignore[attr-defined]
            if progress is not None:
                progress(self.num_timesteps, curve[-1])

    settings = environment.config.models.rl
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        model = PPO(
            SharedPolicy,
            LessUniverseReturn(environment),
            learning_rate=settings.learning_rate,
            n_steps=settings.n_steps,
            batch_size=settings.batch_size,
            gamma=settings.gamma,
            seed=seed,
            device="cpu",
            policy_kwargs={
                "n_features": len(environment.market.feature_names),
                "log_std_init": LOG_STD_START,
            },
        )
        model.learn(total_timesteps, callback=Curve())
    finally:
        torch.set_num_threads(threads)
    policy = model.policy
    return TrainedAgent(
        encoder=policy.mlp_extractor.eval(),
        head=policy.action_net.eval(),
        scaler=environment.scaler,
        feature_names=environment.market.feature_names,
        learning_curve=tuple(curve),
        spec={
            "algorithm": settings.algorithm,
            "seed": seed,
            "timesteps": int(model.num_timesteps),
            # what it saw, however often: a return per decision and asset
            "n_observations": int(environment.market.available.sum()),
            **settings.model_dump(),
        },
    )
