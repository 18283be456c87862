"""The truncation gate: remove everything known after a date, recompute, nothing before may move.

Belongs here: choosing the dates and cutting the inputs. Does not belong here: comparing two tables
(`comparison`), and any particular computation; it comes in as a callable.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckContext, CheckGroup, CheckOutcome, CheckSpec
from btq_assets.evidence.comparison import TruncationError, compare

Recompute = Callable[[Mapping[str, pl.DataFrame], Any], pl.DataFrame]

#: Sessions compared when the inputs are shortened and the caller names no number.
DEFAULT_LAST_SESSIONS = 5
_TIME_COLUMNS = ("known_at", "ts")


def truncation_check(
    table: str | TableContract,
    recompute: Recompute,
    *,
    symbols: int | None = None,
    history_sessions: int | None = None,
    last_sessions: int | None = None,
    relative_tolerance: float = 1e-9,
    key: Iterable[str] | None = None,
    ignore: Iterable[str] = (),
    n_dates: int | None = None,
    name: str = "truncation",
) -> CheckGroup:
    """Blocking check that no row of `table` reads what was not known at its time.

    On ``config.features.truncation_dates`` seeded dates out of the table's own times, the inputs
    are cut (rows with ``known_at`` <= the date, or ``ts`` <= it where there is no ``known_at``),
    the table is recomputed, and all rows at or before the date must be the same: same keys, same
    nulls, same values.

    Parameters
    ----------
    table
        Contract of the table, or its name ``"layer.name"``.
    recompute
        ``recompute(inputs, config)`` returns the table from the cut inputs, starting from empty
        caches. Inputs without a time column are passed whole and named in the outcome.
    symbols
        Recompute on that many seeded symbols of each universe only; for computations in which a
        symbol does not read another one.
    history_sessions
        Keep only that many sessions before the cut in inputs with a ``ts``; for computations with
        a finite memory. Then only `last_sessions` are compared (default 5).
    last_sessions
        Compare only the last so many of the table's own times before the cut.
    relative_tolerance
        Largest gap of two numbers, relative to the larger of their magnitudes and the mean
        magnitude of the column (so that cancellation near zero is not taken for a leak).
    key
        Columns that identify a row; default the contract's.
    ignore
        Columns that are not compared (hashes of the input, for instance).
    n_dates
        Number of dates instead of the configured one; at or above the number of the table's times
        every one of them is cut at, warm-up included (for exhaustive unit tests).
    name
        Name of the check.

    Returns
    -------
    CheckGroup
        One blocking spec.
    """
    table_name = table.table if isinstance(table, TableContract) else table
    if history_sessions is not None and last_sessions is None:
        last_sessions = DEFAULT_LAST_SESSIONS
    spec = CheckSpec(
        name,
        "Recomputed from what was known at seeded dates, every row at or before each date is the "
        "same.",
    )

    def run(context: CheckContext) -> Iterable[CheckOutcome]:
        row_key = tuple(key) if key is not None else _key_of(table)
        output = context.frames[table_name]
        chosen = _chosen_symbols(output, symbols, table_name)
        wanted = context.config.features.truncation_dates if n_dates is None else n_dates
        dates = truncation_dates(output, wanted, table_name)
        n_cells = 0
        for cut in dates:
            inputs = cut_inputs(context.inputs, cut, history_sessions, chosen)
            try:
                again = recompute(inputs, context.config)
            except Exception as error:
                error.add_note(f"while recomputing {table_name} from data known at {cut}")
                raise
            stored, fresh = (
                _comparable(frame, cut, chosen, last_sessions) for frame in (output, again)
            )
            found, n_compared = compare(stored, fresh, row_key, relative_tolerance, tuple(ignore))
            n_cells += n_compared
            if found is not None:
                message = found.describe(table_name, cut)
                yield CheckOutcome(name, False, message, {"cut": str(cut), "column": found.column})
                return
        uncut = sorted(k for k, frame in context.inputs.items() if _time_column(frame) is None)
        if n_cells == 0:
            message = f"{table_name}: no cell could be compared at {[str(d) for d in dates]}"
            yield CheckOutcome(name, False, message, {"cells_compared": 0})
            return
        yield CheckOutcome(
            name,
            True,
            f"{n_cells:,} cells unchanged at {len(dates)} dates"
            + (f"; passed whole, for they have no time column: {uncut}" if uncut else ""),
            {
                "dates": [str(date) for date in dates],
                "cells_compared": n_cells,
                "inputs_not_cut": uncut,
            },
        )

    return CheckGroup((spec,), run)


def truncation_dates(output: pl.DataFrame, n_dates: int, label: str) -> list[datetime]:
    """Seeded cuts spread over the later three quarters of the table's own times.

    Times with a value in some nullable column are preferred, and among them those whose week and
    month go on: a cut at a period's end would not show that an unfinished period was read.

    Parameters
    ----------
    output
        The table; needs ``ts``.
    n_dates
        Number of dates; every time of the table when it has no more than that.
    label
        Seeds the choice, so that each table has its own dates and every run the same.
    """
    if "ts" not in output.columns:
        raise TruncationError(f"{label} has no column ts, so there is no time to cut at")
    times = output["ts"].unique().sort()
    if times.len() < 2:
        raise TruncationError(f"{label} has {times.len()} time(s); a cut needs at least two")
    if n_dates >= times.len():
        return times.to_list()
    numeric = output.select(cs.numeric()).columns
    if numeric:
        has_value = pl.any_horizontal(pl.col(numeric).is_not_null())
        with_value = output.filter(has_value)["ts"].unique().sort()
        times = with_value if with_value.len() >= 2 else times
    later = times.slice(times.len() // 4)
    frame = pl.DataFrame({"ts": later}).with_columns(following=pl.col("ts").shift(-1)).drop_nulls()
    if frame.is_empty():
        frame = pl.DataFrame({"ts": times[:-1], "following": times[1:]})
    week, month = (
        pl.col("ts").dt.truncate(every) == pl.col("following").dt.truncate(every)
        for every in ("1w", "1mo")
    )
    for going_on in (week & month, week, month):
        chosen = frame.filter(going_on)
        if chosen.height >= n_dates:
            frame = chosen
            break
    random = np.random.default_rng(zlib.crc32(label.encode()))
    parts = np.array_split(np.arange(frame.height), min(n_dates, frame.height))
    return [frame["ts"][int(random.choice(part))] for part in parts]


def cut_inputs(
    inputs: Mapping[str, pl.DataFrame],
    cut: datetime,
    history_sessions: int | None = None,
    symbols: Mapping[str, tuple[str, ...]] | None = None,
) -> dict[str, pl.DataFrame]:
    """Inputs as a participant had them at `cut`.

    Parameters
    ----------
    inputs
        Frames by name.
    cut
        Rows known later are removed.
    history_sessions
        Sessions kept before the cut, counted per universe; ``None`` keeps all.
    symbols
        Symbols kept, by universe (``""`` where tables have no universe); ``None`` keeps all.
    """
    return {
        name: _only_symbols(
            _last_sessions(_known(frame, cut), history_sessions, oldest=True), symbols
        )
        for name, frame in inputs.items()
    }


def _comparable(
    frame: pl.DataFrame,
    cut: datetime,
    symbols: Mapping[str, tuple[str, ...]] | None,
    last_sessions: int | None,
) -> pl.DataFrame:
    return _last_sessions(_only_symbols(_known(frame, cut), symbols), last_sessions, oldest=False)


def _time_column(frame: pl.DataFrame) -> str | None:
    return next((name for name in _TIME_COLUMNS if name in frame.columns), None)


def _known(frame: pl.DataFrame, cut: datetime) -> pl.DataFrame:
    column = _time_column(frame)
    return frame if column is None else frame.filter(pl.col(column) <= cut)


def _last_sessions(frame: pl.DataFrame, n_sessions: int | None, *, oldest: bool) -> pl.DataFrame:
    """Rows of the last `n_sessions`; the cut is the oldest (or newest) over universes.

    Inputs keep at least so many sessions of every universe; outputs are compared where every
    universe was fully warmed up.
    """
    if n_sessions is None or "ts" not in frame.columns or frame.is_empty():
        return frame
    by = [name for name in ("universe",) if name in frame.columns]
    times = frame.select(*by, "ts").unique().sort("ts")
    starts = (
        times.group_by(by).agg(pl.col("ts").tail(n_sessions).first())["ts"]
        if by
        else times["ts"].tail(n_sessions)
    )
    start = starts.min() if oldest else (starts.max() if by else starts.min())
    return frame.filter(pl.col("ts") >= start)


def _chosen_symbols(
    output: pl.DataFrame, n_symbols: int | None, label: str
) -> dict[str, tuple[str, ...]] | None:
    if n_symbols is None:
        return None
    if "symbol" not in output.columns:
        raise TruncationError(f"{label} has no column symbol, so symbols= cannot be used")
    random = np.random.default_rng(zlib.crc32(f"symbols of {label}".encode()))
    chosen = {}
    universes = output["universe"].unique().sort() if "universe" in output.columns else [""]
    for universe in universes:
        rows = output.filter(pl.col("universe") == universe) if universe else output
        names = rows["symbol"].unique().sort().to_list()
        chosen[universe] = tuple(
            random.choice(names, min(n_symbols, len(names)), replace=False).tolist()
        )
    return chosen


def _only_symbols(
    frame: pl.DataFrame, symbols: Mapping[str, tuple[str, ...]] | None
) -> pl.DataFrame:
    if symbols is None or "symbol" not in frame.columns:
        return frame
    if "universe" not in frame.columns or list(symbols) == [""]:
        wanted = sorted({name for names in symbols.values() for name in names})
        return frame.filter(pl.col("symbol").is_in(wanted))
    pairs = pl.DataFrame(
        [(universe, name) for universe, names in symbols.items() for name in names],
        schema={"universe": pl.String, "symbol": pl.String},
        orient="row",
    )
    return frame.join(pairs, on=["universe", "symbol"], how="semi", maintain_order="left")


def _key_of(table: str | TableContract) -> tuple[str, ...]:
    if isinstance(table, TableContract):
        return table.key
    import pkgutil
    from importlib import import_module

    from btq_assets import contracts

    for module in pkgutil.iter_modules(contracts.__path__):
        for value in vars(import_module(f"{contracts.__name__}.{module.name}")).values():
            if isinstance(value, TableContract) and value.table == table:
                return value.key
    raise TruncationError(f"no contract is called {table!r}; pass the contract itself or key=")
