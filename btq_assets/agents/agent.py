"""A trained agent: network, scaling and provenance; applied, saved and loaded.

Belongs here: what training hands over. Does not belong here: training.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from btq_assets.agents.market import AgentError, FeatureScaler

if TYPE_CHECKING:
    from torch import nn

WEIGHTS_FILE, SPEC_FILE = "policy.safetensors", "agent.json"


@dataclass(frozen=True)
class TrainedAgent:
    """A deterministic allocation policy.

    Parameters
    ----------
    encoder, head
        The actor's parts (`network.SharedEncoder`, `network.SharedHead`).
    scaler
        Feature scaling, fitted on the training segment.
    feature_names
        Features it was trained on, in order.
    learning_curve
        Mean reward per step of each rollout, in the order they were made.
    spec
        Seed, steps and settings of the fit.
    """

    encoder: nn.Module
    head: nn.Module
    scaler: FeatureScaler
    feature_names: tuple[str, ...]
    learning_curve: tuple[float, ...] = ()
    spec: dict[str, Any] = field(default_factory=dict)

    @property
    def n_parameters(self) -> int:
        """Fitted numbers of what is saved: encoder and head."""
        return sum(p.numel() for part in (self.encoder, self.head) for p in part.parameters())

    def predict(self, observation: np.ndarray) -> np.ndarray:
        """Mean action, without exploration.

        Parameters
        ----------
        observation
            ``float32[N (F + 2) + 1]`` from `AdvancedTradingEnv.observe` under `scaler`, or
            several of them stacked.

        Returns
        -------
        numpy.ndarray
            ``float32[N + 1]`` in [-1, 1], or stacked likewise.

        Raises
        ------
        AgentError
            The observation does not have a whole number of assets, or is not finite.
        """
        import torch

        batch = np.atleast_2d(np.asarray(observation, dtype=np.float32))
        per_asset = self.encoder.per_asset
        if (batch.shape[1] - 1) % per_asset or not np.isfinite(batch).all():
            raise AgentError(
                f"observation of shape {np.shape(observation)}: need finite N * {per_asset} + 1 "
                f"entries for features {self.feature_names}"
            )
        with torch.no_grad():
            codes = self.encoder.forward_actor(torch.from_numpy(batch))  # type: ignore[operator]
            action = self.head(codes).clamp(-1.0, 1.0).numpy()
        return action[0] if np.ndim(observation) == 1 else action

    def save(self, folder: Path) -> None:
        """Write weights (safetensors) and everything else (JSON) into `folder`."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        tensors = {
            f"{part}.{name}": value.contiguous()
            for part, module in (("encoder", self.encoder), ("head", self.head))
            for name, value in module.state_dict().items()
        }
        save_file(tensors, folder / WEIGHTS_FILE)
        content = {
            "feature_names": self.feature_names,
            "mean": self.scaler.mean.tolist(),
            "scale": self.scaler.scale.tolist(),
            "learning_curve": self.learning_curve,
            "spec": self.spec,
        }
        (folder / SPEC_FILE).write_text(json.dumps(content, indent=1, sort_keys=True))

    @classmethod
    def load(cls, folder: Path) -> TrainedAgent:
        """Read what `save` wrote.

        Raises
        ------
        AgentError
            A file is missing, or the weights do not fit the features.
        """
        from safetensors.torch import load_file

        from btq_assets.agents.network import SharedEncoder, SharedHead

        missing = [n for n in (WEIGHTS_FILE, SPEC_FILE) if not (folder / n).is_file()]
        if missing:
            raise AgentError(f"{folder} holds no agent: {missing} missing")
        content = json.loads((folder / SPEC_FILE).read_text())
        tensors = load_file(folder / WEIGHTS_FILE)
        encoder, head = SharedEncoder(len(content["feature_names"])), SharedHead()
        for part, module in (("encoder", encoder), ("head", head)):
            own = {n.removeprefix(f"{part}."): v for n, v in tensors.items() if n.startswith(part)}
            try:
                module.load_state_dict(own)
            except RuntimeError as error:
                raise AgentError(f"{folder}: weights do not fit {part}: {error}") from None
        scaler = FeatureScaler(np.array(content["mean"]), np.array(content["scale"]))
        return cls(
            encoder,
            head,
            scaler,
            tuple(content["feature_names"]),
            tuple(content["learning_curve"]),
            content["spec"],
        )
