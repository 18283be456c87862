"""An ONNX file that takes the place of a torch network.

Belongs here: the session and its settings. Does not belong here: windows and panels
(`models.windows`, `models.deep`). Needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


def session_of(file: Path) -> Any:
    """A session of one thread on the CPU: a network of this size waits longer for a second one.

    Parameters
    ----------
    file
        An ONNX file.

    Returns
    -------
    onnxruntime.InferenceSession
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        file.read_bytes(), options, providers=["CPUExecutionProvider"]
    )


class Said(NamedTuple):
    """What a network says of each node, as `windows.inputs.Outputs`, in numpy arrays."""

    mean: np.ndarray
    log_variance: np.ndarray | None = None
    quantiles: np.ndarray | None = None


class OnnxNetwork:
    """Gives from plain arrays what the network gives that it was written from.

    Parameters
    ----------
    file
        An ONNX file of `export.write_onnx`.
    """

    def __init__(self, file: Path) -> None:
        self._session = session_of(file)
        #: Names of the inputs it reads: fields of `windows.inputs.Inputs`.
        self.fields = tuple(given.name for given in self._session.get_inputs())
        self._names = tuple(found.name for found in self._session.get_outputs())

    def __call__(self, inputs: Any) -> Said:
        """Forecast each node of `Inputs` on the CPU."""
        return self.run({field: np.asarray(getattr(inputs, field)) for field in self.fields})

    def run(self, inputs: Mapping[str, np.ndarray]) -> Said:
        """Forecast each node; `inputs` are arrays by name of `fields`."""
        found = self._session.run(self._names, dict(inputs))
        return Said(**dict(zip(self._names, found, strict=True)))
