"""Fitting a network on a panel that is never whole in memory: stretches of sessions into files.

Belongs here: two looks at the stretches, one for the scaler and what is narrow, one for the windows, and
the fit over the files. Does not belong here: where stretches come from (a warehouse hands them over), the
files themselves (`windows.mapped`), panels in memory (`windowed`). torch is imported inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import polars as pl

from btq_assets.models import design
from btq_assets.models.arrays import PanelArrays
from btq_assets.models.deep.windowed import fit_scores
from btq_assets.models.folds import TrainingSet, truncate
from btq_assets.models.forecaster import ModelError, Progress, require_columns, require_features

if TYPE_CHECKING:
    from btq_assets.models.deep.windowed import WindowedForecaster

    Fitted = TypeVar("Fitted", bound="WindowedForecaster[Any]")

#: Called once for each look: rows of the training set, whole sessions, in order of time.
Stretches = Callable[[], Iterable[pl.DataFrame]]

_NEEDED = ("universe", "symbol", "ts", "is_decision", "session_return", "label", "label_end_ts")
_OPTIONAL = ("sector", "sample_weight", "label_raw")


def fit_stored(
    forecaster: Fitted,
    stretches: Stretches,
    features: Sequence[str],
    fold: Mapping[str, Any],
    *,
    folder: Path,
    progress: Progress | None = None,
) -> Fitted:
    """Fit a network as `WindowedForecaster.fit` does, features read a stretch at a time.

    What is whole in memory are keys, returns and labels; features go from each stretch, standardised on
    the training segment, into files, and from there into batches.

    Parameters
    ----------
    forecaster
        Not fitted yet; it is, afterwards.
    stretches
        Consecutive rows of ``models.training_set`` of one universe. Asked for twice.
    features
        Columns on offer; those without a value in the training segment are left out.
    fold
        Row of ``models.splits``.
    folder
        Where files of the windows are written; they may be removed after the fit.
    progress
        See `Forecaster.fit`.

    Raises
    ------
    ModelError
        Stretches are out of order or overlap, or there is nothing to learn; texts are not read in
        stretches.
    """
    from btq_assets.models.training.loop import outputs_by_date, train
    from btq_assets.models.training.reproducible import reproducible
    from btq_assets.models.windows.mapped import MappedWindows, write_windows

    if forecaster.reads_documents:
        raise ModelError(
            f"{forecaster.family} reads texts, which are not stored in windows: use fit"
        )
    narrow, kept, scaler = _first_look(stretches, tuple(features), fold)
    require_features(kept, forecaster.family)
    data = TrainingSet(
        panel=narrow,
        asset_features=kept,
        market_features=(),
        train=(fold["train_start"], fold["train_end"]),
        validation=(fold["validation_start"], fold["validation_end"]),
        cutoff=fold["test_start"],
    )
    rows = data.train_rows(), data.validation_rows()
    forecaster._features, forecaster._scaler = kept, scaler
    forecaster._unit = forecaster._unit_of(rows[0])
    forecaster._prepare(data)
    arrays = PanelArrays.from_panel(narrow, ())
    notes: list[str] = []
    with reproducible(forecaster.spec.seed):
        network = forecaster.new_network(len(kept)).to(forecaster.device)
        forecaster._network = network
        write_windows(
            folder,
            len(arrays.present),
            _blocks(_until(stretches, fold), arrays, kept, lambda p: forecaster._layers(p, scaler)),
        )
        source = MappedWindows(folder, forecaster.spec.lookback_sessions, device=forecaster.device)
        training, validation = (forecaster._samples(arrays, part) for part in rows)
        curves = train(
            network,
            source,
            training,
            validation,
            forecaster.spec.recipe(forecaster.device),
            progress,
            log=notes.append,
        )
        said = outputs_by_date(network, source, validation)
    decides = np.zeros_like(arrays.decides)
    for sample in validation:
        decides[sample.session, sample.assets] = True
    found = forecaster.tidied(replace(arrays, decides=decides), validation, said)
    forecaster.scores = {
        **fit_scores(found, *rows, n_columns=len(kept)),
        **curves,
        **({"notes": notes} if notes else {}),
    }
    return forecaster


class RunningMoments:
    """Mean and deviation of columns that come in parts (Chan, Golub and LeVeque 1983, eq. 2.1).

    Parameters
    ----------
    n_columns
        Columns of each part.
    """

    def __init__(self, n_columns: int) -> None:
        self.count = np.zeros(n_columns)
        self.mean = np.zeros(n_columns)
        self.squares = np.zeros(n_columns)

    def add(self, values: np.ndarray) -> None:
        """Take in ``(rows, columns)``; what is not finite is left out."""
        known = np.isfinite(values)
        count = known.sum(axis=0)
        there = np.maximum(count, 1)
        mean = np.where(known, values, 0.0).sum(axis=0) / there
        squares = (np.where(known, values - mean, 0.0) ** 2).sum(axis=0)
        total = np.maximum(self.count + count, 1)
        apart = mean - self.mean
        self.squares += squares + apart**2 * self.count * count / total
        self.mean += apart * count / total
        self.count += count

    def standardiser(self) -> design.Standardiser:
        """As `design.Standardiser.fit` of all parts at once."""
        scale = np.sqrt(self.squares / np.maximum(self.count, 1))
        return design.Standardiser(self.mean.copy(), np.where(scale > 1e-12, scale, 1.0))


def _until(stretches: Stretches, fold: Mapping[str, Any]) -> Iterator[pl.DataFrame]:
    """What a fold may see of the stretches; raises `ModelError` where they are out of order."""
    last = None
    for stretch in stretches():
        part = stretch.filter(
            (pl.col("universe") == fold["universe"]) & (pl.col("ts") <= fold["validation_end"])
        )
        if part.is_empty():
            continue
        first = part["ts"].min()
        if last is not None and first <= last:  # type: ignore[operator]
            raise ModelError(
                f"a stretch begins at {first!s}, the one before ends at {last!s}: whole sessions in order "
                "of time are needed"
            )
        last = part["ts"].max()
        yield part


def _first_look(
    stretches: Stretches, features: tuple[str, ...], fold: Mapping[str, Any]
) -> tuple[pl.DataFrame, tuple[str, ...], design.Standardiser]:
    """Narrow columns of all rows, features with a value in training, and their scaler."""
    moments = RunningMoments(len(features))
    narrow = []
    inside = pl.col("ts").is_between(fold["train_start"], fold["train_end"])
    for part in _until(stretches, fold):
        require_columns(part, (*features, *_NEEDED), "fitting on stored stretches")
        own = [*_NEEDED, *(name for name in _OPTIONAL if name in part.columns)]
        narrow.append(part.select(own))
        moments.add(design.matrix(part.filter(inside), features))
    if not narrow:
        raise ModelError(f"no row of {fold['universe']} until {fold['validation_end']}")
    panel = truncate(pl.concat(narrow).rechunk(), fold["test_start"])
    has = moments.count > 0
    scaler = moments.standardiser()
    kept = tuple(name for name, known in zip(features, has, strict=True) if known)
    return panel, kept, design.Standardiser(scaler.mean[has], scaler.scale[has])


def _blocks(
    parts: Iterator[pl.DataFrame],
    whole: PanelArrays,
    features: tuple[str, ...],
    layers: Callable[[PanelArrays], Mapping[str, np.ndarray]],
) -> Iterator[Mapping[str, np.ndarray]]:
    """What the network reads of each stretch, for all assets there ever are."""
    before: pl.DataFrame | None = None
    for part in parts:
        joined = part if before is None else pl.concat([before, part])
        n_before = 0 if before is None else 1
        found = layers(_wide(PanelArrays.from_panel(joined, features), whole.symbols))
        yield {name: values[n_before:] for name, values in found.items()}
        # The distance of a session to the one before it is part of what some networks read.
        before = part.filter(pl.col("ts") == part["ts"].max())


def _wide(arrays: PanelArrays, symbols: Sequence[str]) -> PanelArrays:
    """The arrays over more assets, absent where the stretch has none of them."""
    place = np.searchsorted(np.array(symbols), np.array(arrays.symbols))
    n_sessions = len(arrays.present)

    def spread(values: np.ndarray, empty: float | bool) -> np.ndarray:
        shape = (n_sessions, len(symbols), *values.shape[2:])
        found = np.full(shape, empty, dtype=values.dtype)
        found[:, place] = values
        return found

    return replace(
        arrays,
        symbols=tuple(symbols),
        features=spread(arrays.features, np.nan),
        returns=spread(arrays.returns, np.nan),
        present=spread(arrays.present, False),
        decides=spread(arrays.decides, False),
        sectors=None if arrays.sectors is None else spread(arrays.sectors, -1),
    )
