"""A network taught by the windows of a training segment before it sees labels.

Belongs here: which windows and what is asked of them in a fit. Does not belong here: the questions
themselves (`training.pretraining`). torch is imported inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from btq_assets.models.deep.spec import WindowedSpec
from btq_assets.models.forecaster import ModelError
from btq_assets.models.windows.samples import DateSamples

if TYPE_CHECKING:
    from torch import nn

    from btq_assets.models.windows.batches import WindowSource

#: Feature that is foreseen by ``next_return``.
RETURN_FEATURE = "return_1d"

#: Last share of the segment's sessions that stops the pre-training.
_STOPPING_SHARE = 0.2


def pretrain_on(
    network: nn.Module,
    source: WindowSource,
    samples: Sequence[DateSamples],
    features: Sequence[str],
    spec: WindowedSpec,
    *,
    family: str,
    log: Callable[[str], None],
) -> dict[str, Any]:
    """Teach `network`, in place, by the windows of the training segment alone.

    Nothing after the segment is read: its first sessions train and its last ones stop, less those
    whose windows reach back into the former.

    Parameters
    ----------
    samples
        Every session of the training segment, in order; their targets are not read.
    features
        Names of the features of a window.
    spec
        Recipe, and what is asked (`spec.PRETRAINING`).

    Returns
    -------
    dict
        ``pretraining_loss`` and ``pretraining_validation_loss`` by epoch.

    Raises
    ------
    ModelError
        The network has no encoder, the feature to foresee is not there, or the segment is too short.
    """
    from btq_assets.models.training.pretraining import pretrain

    if not hasattr(network, "encode"):
        raise ModelError(
            f"{family} has no encoder of single sessions to pre-train; set models.pretraining to none, "
            "or leave this family out"
        )
    place: int | None = None
    if spec.pretraining == "next_return":
        if RETURN_FEATURE not in features:
            raise ModelError(
                f"models.pretraining: next_return foresees the feature {RETURN_FEATURE}, which "
                f"{family} does not read ({', '.join(features)}); take masked"
            )
        place = list(features).index(RETURN_FEATURE)
    split = int(len(samples) * (1 - _STOPPING_SHARE))
    stopping = samples[split + spec.lookback_sessions :]
    if not split or not stopping:
        raise ModelError(
            f"{len(samples)} sessions of the training segment are too few to pre-train on with windows "
            f"of {spec.lookback_sessions}; take a longer segment, or models.pretraining: none"
        )
    found = pretrain(
        network, source, samples[:split], stopping, spec.recipe(), return_feature=place, log=log
    )
    return {
        "pretraining_loss": found.curves["training_loss"],
        "pretraining_validation_loss": found.curves["validation_loss"],
    }
