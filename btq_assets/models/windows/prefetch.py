"""The next batch is made while one is trained on.

Belongs here: a source around another one. Does not belong here: what comes next (`training`). Imports
torch at the top; import inside functions only.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import torch

from btq_assets.models.windows.batches import Batch, WindowSource
from btq_assets.models.windows.samples import DateSamples


class Prefetched:
    """A source whose next batch a thread lays out, once it is told which.

    For a GPU, batches are laid out in pinned memory and copied without waiting, so that the copy of
    one runs beside the arithmetic of another. What is asked for without having been announced is
    made at once: batches are the same as without a thread.

    Parameters
    ----------
    source
        Makes batches in the memory of the processor.
    device
        Where they go.
    """

    def __init__(self, source: WindowSource, device: str | torch.device) -> None:
        self._source = source
        self._device = torch.device(device)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._next: tuple[Sequence[DateSamples], Future[Batch]] | None = None

    def __enter__(self) -> Prefetched:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    @property
    def n_features(self) -> int:
        """Features of a session."""
        return self._source.n_features

    def prepare(self, samples: Sequence[DateSamples]) -> None:
        """Begin with the batch that will be asked for next."""
        self._next = (samples, self._thread.submit(self._made, samples))

    def collate(self, samples: Sequence[DateSamples]) -> Batch:
        """The batch of `samples`, on the device."""
        announced, self._next = self._next, None
        if announced is not None:
            # Waited for even if it is another one: sources serve one at a time.
            try:
                made = announced[1].result()
            except (torch.OutOfMemoryError, MemoryError):
                if _same(announced[0], samples):
                    raise
            else:
                if _same(announced[0], samples):
                    return self._moved(made)
        return self._moved(self._made(samples))

    def _made(self, samples: Sequence[DateSamples]) -> Batch:
        batch = self._source.collate(samples)
        return batch.pinned() if self._device.type == "cuda" else batch

    def _moved(self, batch: Batch) -> Batch:
        if self._device.type == "cpu":
            return batch
        return batch.to(self._device, non_blocking=True)


def _same(one: Sequence[DateSamples], other: Sequence[DateSamples]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))
