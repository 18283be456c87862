"""A network as an ONNX file: plain tensors in, plain tensors out, any number of nodes and edges.

Belongs here: tracing and writing. Does not belong here: running the file (`forecaster`), smaller
number formats (`precision`). Imports torch at the top; import this module inside functions only.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from btq_assets.models.forecaster import ModelError
from btq_assets.models.networks.learned_relation import LearnedRelation
from btq_assets.models.windows.inputs import Inputs, Outputs

#: Version of the operators; 18 is the first whose scatter knows a maximum.
OPSET = 18


class _Recorder:
    """`Inputs` that remembers which fields were asked for."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self.asked: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.asked.add(name)
        return getattr(self._inputs, name)


class _Plain(nn.Module):
    """A network with one positional tensor per field it reads, and a tuple of tensors out."""

    def __init__(self, network: nn.Module, example: Inputs, fields: tuple[str, ...]) -> None:
        super().__init__()
        self.network = network
        self.example = example
        self.fields = fields

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Outputs the network has, in the order of `Outputs`."""
        inputs = self.example._replace(**dict(zip(self.fields, tensors, strict=True)))
        found: Outputs = self.network(inputs)
        return tuple(part for part in found if part is not None)


def fields_read(network: nn.Module, example: Inputs) -> tuple[str, ...]:
    """Fields of `Inputs` that a network looks at, in their order.

    Parameters
    ----------
    network
        Takes `Inputs`, gives `Outputs`.
    example
        Inputs it can take.
    """
    recorder = _Recorder(example)
    with torch.no_grad():
        network(recorder)
    return tuple(field for field in Inputs._fields if field in recorder.asked)


def write_onnx(network: nn.Module, example: Inputs, file: Path) -> tuple[str, ...]:
    """Write a network, without its dropout, as ONNX.

    Parameters
    ----------
    network
        Takes `Inputs`, gives `Outputs`.
    example
        Inputs it can take, of at least two nodes and edges; those of the file may have any number.
    file
        Where to.

    Returns
    -------
    tuple of str
        Names of its inputs: the fields of `Inputs` that it reads.

    Raises
    ------
    ModelError
        The network keeps something from one date to the next, or does what ONNX cannot say.
    """
    if any(isinstance(part, LearnedRelation) for part in network.modules()):
        raise ModelError(
            f"{type(network).__name__} chooses its relations itself, as many as a date has assets for: "
            "ONNX cannot say that; take 'learned' out of its relations, or serve it by its own forecaster"
        )
    training = network.training
    network.eval()
    try:
        fields = fields_read(network, example)
        if "asset" in fields:
            raise ModelError(
                "a network that remembers assets from date to date cannot be served from one file "
                "without memory; serve it by its own forecaster"
            )
        if "documents" in fields:
            raise ModelError(
                "a network that reads documents cannot be served from one file: texts are cut into "
                "tokens before it; serve it by its own forecaster"
            )
        plain = _Plain(network, example, fields).eval()
        given = tuple(getattr(example, field) for field in fields)
        with torch.no_grad():
            names = [
                name
                for name, part in zip(Outputs._fields, network(example), strict=True)
                if part is not None
            ]
        with _quiet():
            program = torch.onnx.export(
                plain,
                given,
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes=(_sizes(fields),),
                input_names=list(fields),
                output_names=names,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise ModelError(f"{type(network).__name__} cannot be written as ONNX: {error}") from error
    finally:
        network.train(training)
    assert program is not None
    _require_any_size(program.model, type(network).__name__)
    program.save(str(file), external_data=False)
    return fields


def _sizes(fields: tuple[str, ...]) -> tuple[dict[int, Any], ...]:
    nodes, edges = torch.export.Dim("n_nodes", min=2), torch.export.Dim("n_edges", min=2)
    sectors, members = (torch.export.Dim(f"n_{name}", min=2) for name in ("sectors", "members"))
    by_field = {
        "edges": {1: edges},
        "attributes": {0: edges},
        "sectors": {0: sectors},
        "members": {1: members},
    }
    return tuple(by_field.get(field, {0: nodes}) for field in fields)


def _require_any_size(model: Any, name: str) -> None:
    """Refuse a file that takes only as many nodes or edges as it was traced with."""
    for given in model.graph.inputs:
        (axis,) = _sizes((given.name,))[0]
        if isinstance(given.shape[axis], int):
            raise ModelError(
                f"{name} cannot be served: written as ONNX it takes {given.shape[axis]} rows of "
                f"{given.name} and no other number; take sizes from shape[0] in it, not from len()"
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's remarks on packages that are not installed."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
