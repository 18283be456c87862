"""An ONNX file that takes the place of a torch network.

Belongs here: the session and its settings. Does not belong here: windows and panels
(`models.windows`, `models.deep`). Imports torch at the top; import this module inside functions only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from btq_assets.models.windows.inputs import Inputs, Outputs


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


class OnnxNetwork(nn.Module):
    """Takes `Inputs` and gives `Outputs`, as the network it was written from.

    Parameters
    ----------
    file
        An ONNX file of `export.write_onnx`.
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._session = session_of(file)
        self._fields = tuple(given.name for given in self._session.get_inputs())
        self._names = tuple(found.name for found in self._session.get_outputs())

    def forward(self, inputs: Inputs) -> Outputs:
        """Forecast each node."""
        given = {field: getattr(inputs, field).numpy() for field in self._fields}
        found = self._session.run(self._names, given)
        return Outputs(
            **{
                name: torch.from_numpy(values)
                for name, values in zip(self._names, found, strict=True)
            }
        )
