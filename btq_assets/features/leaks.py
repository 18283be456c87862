"""Does a feature read what was not known? The questions the house asks of its own, for anyone's.

Belongs here: cutting, permuting and scaling bars, and a report one can read. Does not belong here:
comparing two tables (`evidence.comparison`), and the blocking check of an asset (`checks`).

Three questions. *Truncation*: remove everything after a time, compute again; nothing before it may
move. *Permuted future*: keep the rows after a time but shuffle their values within each symbol;
nothing before it may move either. *Scale*: multiply each symbol's prices by a constant; a feature
that should not care what a share costs gives the same values. The first finds what depends on
whether there is a future (full-sample scaling, a universe restated), the second what depends on how
it turns out; most leaks are found by both.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs

from btq_assets.evidence.comparison import Mismatch, compare
from btq_assets.evidence.truncation import cut_inputs, truncation_dates
from btq_assets.features.definitions import KEY, SYMBOL, Feature, FeatureError, undefined_to_null
from btq_assets.features.ohlcv import read_ohlcv

Computed = Callable[[pl.DataFrame, Mapping[str, pl.DataFrame]], pl.DataFrame]

#: Largest gap of two values, relative to the larger of them and the column's mean size.
TOLERANCE = 1e-9
#: Prices multiplied by one constant per symbol may differ by more: differences of large numbers.
SCALE_TOLERANCE = 1e-7

_TIMES = ("known_at", "ts")
_BARS = "the bars"
_ADJUSTED = ("adj_open", "adj_high", "adj_low", "adj_close")
_RAW = ("open", "high", "low", "close")


@dataclass(frozen=True)
class Finding:
    """One feature that failed one question.

    Parameters
    ----------
    question
        ``truncation``, ``permuted future`` or ``scale``.
    feature
        Column; ``(row)`` where rows come and go.
    message
        Where, and both values.
    """

    question: str
    feature: str
    message: str


@dataclass(frozen=True)
class LeakReport:
    """Answers of `leak_check`; print it.

    Parameters
    ----------
    findings
        What failed; empty where nothing did.
    features
        Columns that were judged.
    cuts
        Times at which the future was taken away or shuffled.
    n_cells
        Values compared, over all questions.
    """

    findings: tuple[Finding, ...]
    features: tuple[str, ...]
    cuts: tuple[datetime, ...]
    n_cells: int

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return not self.findings

    @property
    def leaking(self) -> tuple[str, ...]:
        """Features that read the future, without those that merely depend on the scale."""
        return tuple(sorted({f.feature for f in self.findings if f.question != "scale"}))

    def __str__(self) -> str:
        head = (
            f"{len(self.features)} feature(s), {len(self.cuts)} cut(s) from "
            f"{min(self.cuts):%Y-%m-%d} to {max(self.cuts):%Y-%m-%d}, "
            f"{self.n_cells:,} values compared: "
        )
        if self.passed:
            return head + "nothing reads the future or depends on the price level"
        lines = [f"  {f.feature}: {f.question}: {f.message}" for f in self.findings]
        return "\n".join([head + f"{len(self.findings)} finding(s)", *lines])


def leak_check(
    compute: Any,
    bars: Any,
    *,
    tables: Mapping[str, pl.DataFrame] | None = None,
    n_cuts: int = 5,
    scale_invariant: bool = True,
    tolerance: float = TOLERANCE,
    seed: int = 0,
) -> LeakReport:
    """Ask a feature of one's own the questions the house asks of its own.

    Parameters
    ----------
    compute
        What computes: a `QuantumFeatureEngine` (or subclass), a function from a polars frame of
        bars to a frame of the same rows or with ``symbol`` and ``ts``, a named polars expression,
        or an iterable of expressions or `Feature`.
    bars
        OHLCV bars as `QuantumFeatureEngine.engineer_features` takes them, at least 60 times;
        several symbols find more than one.
    tables
        What `compute` reads beside bars (macro vintages, documents), each with ``known_at``, or
        ``ts`` where a row is known at its own time. Then `compute` is a function of the bars and
        of these tables, and they are cut and shuffled with the bars.
    n_cuts
        Seeded times at which the future is taken away, then shuffled.
    scale_invariant
        Whether to ask for invariance to the price level, too.
    tolerance
        Largest relative gap that counts as rounding.
    seed
        Of the shuffles and the scales.

    Returns
    -------
    LeakReport

    Raises
    ------
    FeatureError
        The bars cannot be read or are too few, or nothing was computed from them.

    Examples
    --------
    >>> report = leak_check(pl.col("close").shift(-1).alias("tomorrow"), bars)  # doctest: +SKIP
    >>> report.leaking  # doctest: +SKIP
    ('tomorrow',)
    """
    given = read_ohlcv(bars).bars.drop("_row").sort(KEY)
    if given["ts"].n_unique() < 60:
        raise FeatureError(f"{given['ts'].n_unique()} times are too few to cut; give at least 60")
    run = _computation(compute, tables)
    others = dict(tables or {})
    full = run(given, others)
    names = tuple(name for name in full.columns if name not in KEY)
    if not names:
        raise FeatureError("nothing was computed beside the columns of the bars")
    cuts = truncation_dates(full, n_cuts, f"leak check {seed}")
    judge = _Judge(full, names, tolerance)
    for cut in cuts:
        known = cut_inputs({**others, _BARS: given}, cut)
        judge.before(cut, "truncation", run(known.pop(_BARS), known))
        mixed = permuted_inputs({**others, _BARS: given}, cut, seed)
        judge.before(cut, "permuted future", run(mixed.pop(_BARS), mixed))
    if scale_invariant:
        judge.all("scale", run(scaled(given, seed), others))
    return LeakReport(tuple(judge.findings), names, tuple(cuts), judge.n_cells)


class _Judge:
    """Compares what was computed anew with the first answer; one finding per feature and question."""

    def __init__(self, full: pl.DataFrame, names: Iterable[str], tolerance: float) -> None:
        self.full = full
        self.names = list(names)
        self.tolerance = tolerance
        self.findings: list[Finding] = []
        self.n_cells = 0

    def before(self, cut: datetime, question: str, again: pl.DataFrame) -> None:
        known = pl.col("ts") <= cut
        late = "known" if question == "truncation" else "shuffled after"
        self._compare(
            self.full.filter(known), again.filter(known), question, f"{late} {cut}", self.tolerance
        )

    def all(self, question: str, again: pl.DataFrame) -> None:
        tolerance = max(self.tolerance, SCALE_TOLERANCE)
        self._compare(self.full, again, question, "prices times a constant", tolerance)

    def _compare(
        self, first: pl.DataFrame, again: pl.DataFrame, question: str, how: str, tolerance: float
    ) -> None:
        done = {(f.question, f.feature) for f in self.findings}
        for name in self.names:
            if (question, name) in done:
                continue
            if name not in again.columns:
                self.findings.append(Finding(question, name, f"absent where {how}"))
                continue
            found, n_cells = compare(
                first.select(*KEY, name), again.select(*KEY, name), KEY, tolerance
            )
            self.n_cells += n_cells
            if found is not None:
                feature = name if found.column == "(row)" else found.column
                self.findings.append(Finding(question, feature, _said(found, how)))


def _said(found: Mismatch, how: str) -> str:
    where = " ".join(str(found.row[name]) for name in ("symbol", "ts") if name in found.row)
    return (
        f"{found.stored!r} at {where}, but {found.recomputed!r} where {how} "
        f"({found.n_cells} value(s) differ)"
    )


def _computation(compute: Any, tables: Mapping[str, pl.DataFrame] | None) -> Computed:
    """`compute` as a function from canonical bars and other tables to key and new columns."""
    run: Any
    if tables is not None:
        if not callable(compute) or isinstance(compute, pl.Expr):
            raise FeatureError("tables are read by a function of bars and tables; pass one")
        run = compute
    elif hasattr(compute, "engineer_features"):
        run = compute.engineer_features
    elif isinstance(compute, pl.Expr | Feature):
        run = _expressions([compute])
    elif callable(compute):
        run = compute
    else:
        run = _expressions(list(compute))

    def checked(bars: pl.DataFrame, others: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        if tables is not None:
            found = run(bars, others)
        else:
            found = run(
                bars.drop("universe", "known_at", strict=False) if run is not compute else bars
            )
        if not isinstance(found, pl.DataFrame):
            found = pl.from_pandas(found)
        if not {"symbol", "ts"} <= set(found.columns):
            if found.height != bars.height:
                raise FeatureError(
                    "the computed frame has other rows than the bars, and no symbol and ts"
                )
            found = bars.select(KEY).hstack(found.drop(KEY, strict=False))
        elif "universe" not in found.columns:
            found = found.with_columns(universe=pl.lit(bars["universe"][0]))
        new = [name for name in found.columns if name not in bars.columns]
        return undefined_to_null(found.select(*KEY, *new))

    return checked


def _expressions(
    items: Iterable[pl.Expr | Feature],
) -> Callable[[pl.DataFrame], pl.DataFrame]:
    named = []
    for item in items:
        if isinstance(item, Feature):
            if item.expression is None:
                raise FeatureError(f"{item.name} has no expression; pass what computes it")
            named.append((item.name, item.expression))
        else:
            named.append((item.meta.output_name(), item))

    def run(bars: pl.DataFrame) -> pl.DataFrame:
        from btq_assets.features.definitions import HISTORY, prepare

        prepared = prepare(bars.with_columns(universe=pl.lit("input")))
        return prepared.select(
            "symbol",
            "ts",
            *(expression.over(HISTORY).alias(f"{name}") for name, expression in named),
        ).rename({name: f"own_{name}" for name, _ in named if name in bars.columns})

    return run


def permuted(frame: pl.DataFrame, cut: datetime, seed: int = 0) -> pl.DataFrame:
    """`frame` with the numbers known after `cut` shuffled within each symbol or series.

    Rows keep their times and texts; the numbers of a row stay together, so that a bar remains a
    bar. Tables without a time come back as they are.

    Parameters
    ----------
    frame
        Any table with ``known_at`` or ``ts``.
    cut
        Rows known later are shuffled.
    seed
        Of the shuffle.
    """
    time = next((name for name in _TIMES if name in frame.columns), None)
    numbers = frame.select(cs.numeric()).columns
    if time is None or not numbers:
        return frame
    by = [name for name in ("universe", "symbol", "series_id") if name in frame.columns]
    ordered = frame.with_row_index("_row").sort(*by, time, "_row")
    later = ordered.select(pl.col(time) > cut).to_series()
    group = (
        ordered.select(pl.struct(by).rle_id()).to_series()
        if by
        else pl.zeros(ordered.height, pl.UInt32, eager=True)
    )
    rows = np.flatnonzero(later.to_numpy())
    random = np.random.default_rng(zlib.crc32(f"{cut} {seed}".encode()))
    shuffled = rows[np.lexsort((random.random(rows.size), group.to_numpy()[rows]))]
    take = np.arange(ordered.height)
    take[rows] = shuffled
    mixed = ordered.with_columns(ordered[take].select(numbers).get_columns())
    return mixed.sort("_row").drop("_row")


def permuted_inputs(
    inputs: Mapping[str, pl.DataFrame], cut: datetime, seed: int = 0
) -> dict[str, pl.DataFrame]:
    """Every table of a family with its future shuffled; see `permuted`."""
    return {name: permuted(frame, cut, seed) for name, frame in inputs.items()}


def scaled(bars: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
    """Bars with the adjusted prices of each symbol multiplied by a constant of its own.

    Raw prices are multiplied too where they are the adjusted ones: then the frame never knew of
    any other, and a feature may read either.
    """
    pairs = bars.select(SYMBOL).unique().sort(SYMBOL)
    random = np.random.default_rng(seed)
    factors = pairs.with_columns(_factor=pl.Series(10.0 ** random.uniform(-3, 3, pairs.height)))
    names = [name for name in _ADJUSTED if name in bars.columns]
    if "close" in bars.columns and bars["close"].equals(bars["adj_close"]):
        names += [name for name in _RAW if name in bars.columns]
    joined = bars.join(factors, on=list(SYMBOL), how="left", maintain_order="left")
    return joined.with_columns(pl.col(names) * pl.col("_factor")).drop("_factor")
