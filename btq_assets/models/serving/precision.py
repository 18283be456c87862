"""Half precision and eight-bit integers: smaller files, and what they cost in ranks.

Belongs here: converting an ONNX file and comparing forecasts. Does not belong here: writing the
file (`export`), running it (`forecaster`). onnx and onnxruntime are imported inside functions.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from btq_assets.models.forecaster import ModelError

#: Number formats a network is served in; the first is that of its weights.
PRECISIONS = ("fp32", "fp16", "int8")

#: Smallest mean rank correlation with the fp32 forecasts at which another format is written.
RANK_CORRELATION_BOUND = 0.99

#: Operators whose CPU kernels do not know half precision.
_FP32_OPERATORS = ("ScatterElements", "ScatterND")


class PrecisionLossError(ModelError):
    """A smaller number format changes the ranking of assets too much."""


@dataclass(frozen=True)
class PrecisionLoss:
    """What a number format does to the forecasts.

    Parameters
    ----------
    precision
        Of `PRECISIONS`.
    rank_correlation
        Mean over dates of Spearman's correlation with the fp32 forecasts.
    largest_difference
        Largest absolute difference, in standard deviations of the fp32 forecasts.
    n_dates
        Dates compared.
    n_bytes
        Size of the file.
    """

    precision: str
    rank_correlation: float
    largest_difference: float
    n_dates: int
    n_bytes: int


def convert(source: Path, target: Path, precision: str) -> None:
    """Write an fp32 ONNX file in another format; what goes in and comes out stays fp32.

    ``fp16`` halves every weight and calculation but scatters. ``int8`` keeps the weights of matrix
    products as eight-bit integers and quantises what they multiply as it comes (dynamic).

    Raises
    ------
    ModelError
        There is no such format.
    """
    if precision == "fp16":
        import onnx
        from onnxruntime.transformers import float16

        blocked = [*float16.DEFAULT_OP_BLOCK_LIST, *_FP32_OPERATORS]
        smaller = float16.convert_float_to_float16(
            onnx.load(source), keep_io_types=True, op_block_list=blocked
        )
        onnx.save(smaller, target)
    elif precision == "int8":
        from onnxruntime.quantization import QuantType, quantize_dynamic

        with _quiet():
            quantize_dynamic(source, target, weight_type=QuantType.QInt8)
    else:
        raise ModelError(f"there is no number format {precision!r}; there are {PRECISIONS}")


def precision_loss(
    exact: pl.DataFrame, smaller: pl.DataFrame, *, precision: str, n_bytes: int
) -> PrecisionLoss:
    """Compare forecasts of the same rows.

    Parameters
    ----------
    exact, smaller
        ``universe``, ``symbol``, ``ts``, ``forecast``.
    precision, n_bytes
        Format and size of the file behind `smaller`.

    Raises
    ------
    ModelError
        No date has two assets, or forecasts that differ, so that there is no ranking to compare.
    """
    key = ["universe", "symbol", "ts"]
    both = exact.join(smaller, on=key, suffix="_smaller", validate="1:1")
    ranks = pl.corr("forecast", "forecast_smaller", method="spearman")
    by_date = both.group_by("universe", "ts").agg(ranks.alias("rho"))["rho"]
    known = by_date.fill_nan(None).drop_nulls()
    if known.is_empty():
        raise ModelError(
            f"{precision}: no date has two assets with forecasts that differ, so there is no ranking "
            "to compare; give a panel of more assets"
        )
    unit = float(both["forecast"].std() or 1.0)  # type: ignore[arg-type]
    largest = float(np.abs(both["forecast"] - both["forecast_smaller"]).max())
    return PrecisionLoss(precision, float(known.mean()), largest / unit, known.len(), n_bytes)  # type: ignore[arg-type]


def require_ranking(loss: PrecisionLoss, bound: float) -> None:
    """Refuse a format whose ranking is not that of fp32.

    Raises
    ------
    PrecisionLossError
        The rank correlation is below `bound`.
    """
    if not loss.rank_correlation >= bound:
        raise PrecisionLossError(
            f"{loss.precision} is refused: over {loss.n_dates} dates its forecasts have a mean rank "
            f"correlation of {loss.rank_correlation:.4f} with those of fp32, at least {bound} is "
            "demanded; serve fp32"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the advice to pre-process, which the quantiser logs on the root logger."""
    log = logging.getLogger()
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
