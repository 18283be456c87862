"""States of a training in one file that is replaced whole.

Belongs here: reading and writing that file. Does not belong here: what a state is (`state`), the
loop. Imports torch at the top; import inside functions only.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from btq_assets.models.forecaster import ModelError
from btq_assets.models.training.state import TrainingState


class FileCheckpoints:
    """`Checkpoints` as one safetensors file; what is no tensor is JSON in its header.

    One file, written beside its place, brought to the disk and renamed: a process killed at any
    moment leaves the state before or the state after, never half of one. Nothing is pickled.

    Parameters
    ----------
    path
        The file; its folder is made.
    every_steps
        Steps between two saves.
    """

    def __init__(self, path: Path, every_steps: int = 100) -> None:
        if every_steps < 1:
            raise ModelError(f"every_steps is {every_steps}; save every step (1) or less often")
        self.path = Path(path)
        self.every_steps = every_steps

    def save(self, state: TrainingState) -> None:
        """Replace the file."""
        content = save(dict(state.tensors), {"numbers": json.dumps(dict(state.numbers))})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        with beside.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(self.path)

    def load(self) -> TrainingState | None:
        """Read the file; ``None`` where there is none.

        Raises
        ------
        ModelError
            The file is no checkpoint.
        """
        if not self.path.exists():
            return None
        try:
            with safe_open(str(self.path), framework="pt") as found:
                numbers = json.loads(found.metadata()["numbers"])
                tensors = {name: found.get_tensor(name) for name in found.keys()}  # noqa: SIM118
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{self.path} is no checkpoint ({error}); remove it to start from the beginning"
            ) from error
        return TrainingState(tensors, numbers)
