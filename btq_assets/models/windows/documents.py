"""Documents beside the windows of a batch: each different one once, and who knows it.

Belongs here: laying documents out for a network. Does not belong here: which are known when
(`models.text.documents`), tokens and encoders. Imports torch at the top; import inside functions only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from btq_assets.models.text.documents import PanelDocuments
from btq_assets.models.windows.batches import Batch, WindowSource, tensor
from btq_assets.models.windows.samples import DateSamples


class WithDocuments:
    """The batches of a source, with the documents of their nodes.

    Parameters
    ----------
    inner
        Where windows come from.
    known
        Which documents are known of whom.
    contents
        ``(texts + 1, L)`` token numbers or ``(texts + 1, E)`` encoded texts; the first row is no text.
    slots
        Documents of a node.
    device
        Where the tensors live.
    """

    def __init__(
        self,
        inner: WindowSource,
        known: PanelDocuments,
        contents: np.ndarray,
        slots: int,
        device: str,
    ) -> None:
        self.inner, self.known, self.contents = inner, known, contents
        self.slots, self.device = slots, device

    @property
    def n_features(self) -> int:
        """Features of a session."""
        return self.inner.n_features

    def collate(self, samples: Sequence[DateSamples]) -> Batch:
        """Put dates side by side."""
        batch = self.inner.collate(samples)
        session = np.concatenate([np.full(len(s.assets), s.session) for s in samples])
        asset = np.concatenate([s.assets for s in samples])
        numbers, ages = self.known.of(session, asset, self.slots)
        used, places = _as_met(np.append(0, numbers))
        contents = without_padding(self.contents[used])
        return replace(
            batch,
            inputs=batch.inputs._replace(
                documents=tensor(contents, self.device),
                document=tensor(places[1:].reshape(numbers.shape), self.device),
                document_age=tensor(ages, self.device),
            ),
        )


def _as_met(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different numbers in the order they are met, and the place of each in them.

    By their size the order would depend on what else is in the panel, and with it the last digits of
    sums.
    """
    found, first, places = np.unique(numbers, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return found[order], rank[places]


def without_padding(contents: np.ndarray) -> np.ndarray:
    """Token numbers as int64 up to the longest text; encoded texts as they are."""
    if contents.dtype.kind == "f":
        return contents
    longest = int((contents != 0).sum(axis=1).max(initial=1))
    return contents[:, : max(longest, 1)].astype(np.int64)
