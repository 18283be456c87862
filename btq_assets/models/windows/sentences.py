"""Sentences as batches of the one training loop: no windows, no graph, one document each.

Belongs here: laying sentences out. Does not belong here: tokens, labels. Imports torch at the top;
import inside functions only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from btq_assets.models.windows.batches import Batch, tensor
from btq_assets.models.windows.documents import without_padding
from btq_assets.models.windows.inputs import Inputs
from btq_assets.models.windows.samples import DateSamples


class Sentences:
    """Batches of sentences; the session of a sample is the place of its sentence.

    Parameters
    ----------
    contents
        ``(sentences, L)`` token numbers, 0 after the last token.
    device
        Where the tensors live.
    """

    n_features = 0

    def __init__(self, contents: np.ndarray, device: str) -> None:
        self.contents = contents
        self.device = device

    def collate(self, samples: Sequence[DateSamples]) -> Batch:
        """Put sentences side by side; only ``documents``, ``document`` and ``date`` say anything."""
        n = len(samples)
        places = np.asarray([sample.session for sample in samples])
        nothing = torch.zeros(n, 0, device=self.device)
        each = torch.arange(n, device=self.device)
        no_text = np.zeros((1, self.contents.shape[1]), dtype=self.contents.dtype)
        contents = without_padding(np.concatenate([no_text, self.contents[places]]))[1:]
        inputs = Inputs(
            windows=torch.zeros(n, 1, 0, device=self.device),
            observed=torch.ones(n, 1, dtype=torch.bool, device=self.device),
            calendar=torch.zeros(n, 1, 0, device=self.device),
            edges=torch.stack([each, each]),
            attributes=nothing,
            date=each,
            asset=torch.zeros_like(each),
            modalities=nothing,
            available=nothing.bool(),
            documents=tensor(contents, self.device),
            document=each[:, None],
            document_age=torch.zeros(n, 1, device=self.device),
        )
        weights = np.concatenate([np.ones(1) if s.weight is None else s.weight for s in samples])
        return Batch(
            inputs=inputs,
            target=tensor(
                np.concatenate([s.target for s in samples]).astype(np.float32), self.device
            ),
            weight=tensor(weights.astype(np.float32), self.device),
            n_dates=n,
        )
