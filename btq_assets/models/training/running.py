"""How a fit is run: what it costs, and nothing that changes what comes out.

Belongs here: the record. Does not belong here: torch, what is part of a model's identity (`recipe`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from btq_assets.config import TrainingSection


@dataclass(frozen=True)
class Running:
    """How a fit is run.

    Parameters
    ----------
    prefetch
        Whether a thread makes the next batch; ``None``: on a GPU.
    recompute_activations
        Whether blocks are computed again for the gradient instead of kept.
    stream_above_mib
        Panels with more features than this are trained on from a temporary file.
    save_every_steps
        Steps between two saved states, where states are kept.
    """

    prefetch: bool | None = None
    recompute_activations: bool = False
    stream_above_mib: float = float("inf")
    save_every_steps: int = 200

    @classmethod
    def of(cls, settings: TrainingSection) -> Running:
        """What `models.training` says."""
        return cls(
            settings.prefetch,
            settings.recompute_activations,
            settings.stream_above_mib,
            settings.save_every_steps,
        )

    def fetches_ahead(self, device: str) -> bool:
        """Whether batches are made by a thread on a device."""
        return device.startswith("cuda") if self.prefetch is None else self.prefetch
