"""Which documents are known of an asset at a decision: a column of the panel, point in time.

Belongs here: joining documents to decisions, in polars and numpy. Does not belong here: finding out
whom a text is about and whether its story was told before (`sources.sentiment`), tokens.

The column `COLUMN` holds the documents of a row, newest first, each with its age. It travels with the
panel, so that cutting the panel cuts the documents, and a row needs nothing but itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl

from btq_assets.models.forecaster import MissingFeatureError, ModelError

#: Column of a panel with the documents known at each row.
COLUMN = "documents"

#: What a document in it is; ages are in days since it was known.
DOCUMENT = pl.Struct({"doc_id": pl.String, "text": pl.String, "age_days": pl.Float64})

#: The only label that may reach a model which is judged.
REAL = "REAL"

_DAY = timedelta(days=1)


class SyntheticDocumentError(ModelError):
    """A generated document would reach a model."""


def real_documents(documents: pl.DataFrame, scores: pl.DataFrame) -> pl.DataFrame:
    """Documents that may be read, once for each asset they are about.

    Parameters
    ----------
    documents
        Rows of ``core.documents``.
    scores
        Rows of ``features.document_scores``: whom each is about. Stories told before and languages
        that are not understood are left out, as in the sentiment family.

    Returns
    -------
    polars.DataFrame
        ``symbol``, ``known_at``, ``doc_id``, ``text`` (headline and body), sorted. None is SYNTHETIC.
    """
    body = pl.col("text").fill_null("")
    told = documents.filter(pl.col("label") == REAL).unique(
        ["doc_id", "known_at"], keep="first", maintain_order=True
    )
    about = scores.filter(
        (pl.col("label") == REAL)
        & (pl.col("symbol") != "")
        & ~pl.col("is_repeat")
        & pl.col("score").is_not_null()
    )
    return (
        about.select("symbol", "known_at", "doc_id")
        .join(
            told.select(
                "doc_id",
                "known_at",
                text=pl.when((body == "") | (body == pl.col("headline")))
                .then("headline")
                .otherwise(pl.concat_str("headline", body, separator="\n")),
            ),
            on=["doc_id", "known_at"],
            how="inner",
        )
        .sort("symbol", "known_at", "doc_id")
    )


def attach(
    panel: pl.DataFrame,
    known: pl.DataFrame,
    *,
    documents: int,
    window_days: float,
    max_characters: int = 20_000,
) -> pl.DataFrame:
    """The panel with the documents known at each of its decisions.

    A document is known at a decision when its ``known_at`` is not later. Of a document with several
    vintages the newest one known then is read.

    Parameters
    ----------
    panel
        ``symbol``, ``ts``; with ``is_decision``, other rows get none.
    known
        ``symbol``, ``known_at``, ``doc_id``, ``text``, such as `real_documents` gives. A column
        ``label`` that is not everywhere REAL is refused.
    documents
        Newest documents of a row.
    window_days
        Those known this long before the row, or longer, are not read.
    max_characters
        Texts are cut there.

    Returns
    -------
    polars.DataFrame
        `panel` with `COLUMN`, null where nothing is known.

    Raises
    ------
    SyntheticDocumentError
        A document is labelled anything but REAL.
    """
    if "label" in known.columns and (known["label"] != REAL).any():
        odd = known.filter(pl.col("label") != REAL)
        raise SyntheticDocumentError(
            f"{odd.height} document(s) are {odd['label'][0]}, first {odd['doc_id'][0]!r}: what was "
            "generated never reaches a model that is judged"
        )
    panel = panel.drop(COLUMN, strict=False)
    wanted = panel.with_row_index("_row")
    if "is_decision" in panel.columns:
        wanted = wanted.filter("is_decision")
    known = known.filter(pl.col("text").str.strip_chars() != "").sort(
        "symbol", "known_at", "doc_id"
    )
    known = known.with_columns(
        pl.col("text").str.slice(0, max_characters), pl.col("known_at").dt.cast_time_unit("us")
    )
    rows, places = _places(wanted, known, documents, timedelta(days=window_days))
    ts = panel["ts"].dt.cast_time_unit("us").gather(rows)
    chosen = known[places]
    lists = (
        pl.DataFrame(
            {
                "_row": rows.astype(np.uint32),
                "doc_id": chosen["doc_id"],
                "text": chosen["text"],
                "age_days": (ts - chosen["known_at"]) / _DAY,
            }
        )
        .select("_row", pl.struct("doc_id", "text", "age_days").alias(COLUMN))
        .group_by("_row", maintain_order=True)
        .agg(COLUMN)
    )
    return panel.with_row_index("_row").join(lists, on="_row", how="left").drop("_row")


def _places(
    wanted: pl.DataFrame, known: pl.DataFrame, documents: int, window: timedelta
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a row and one of its documents, newest first; rows ascend within a symbol."""
    rows: list[int] = []
    places: list[int] = []
    first = 0
    times = known["known_at"].to_physical().to_numpy()
    numbers = known["doc_id"].rank("dense").to_numpy()
    decisions = {symbol: part for (symbol,), part in wanted.group_by("symbol")}
    span = window // timedelta(microseconds=1)
    for symbol, count in known["symbol"].rle().struct.unnest().select("value", "len").iter_rows():
        at, first = slice(first, first + count), first + count
        part = decisions.get(symbol)
        if part is None:
            continue
        ts = part["ts"].dt.cast_time_unit("us").to_physical().to_numpy()
        ends = np.searchsorted(times[at], ts, side="right") + at.start
        starts = np.searchsorted(times[at], ts - span, side="right") + at.start
        for row, start, end in zip(part["_row"].to_list(), starts, ends, strict=True):
            seen: set[int] = set()
            for place in range(end - 1, start - 1, -1):
                if numbers[place] in seen:
                    continue
                seen.add(numbers[place])
                rows.append(row)
                places.append(place)
                if len(seen) == documents:
                    break
    return np.asarray(rows, dtype=np.int64), np.asarray(places, dtype=np.int64)


@dataclass(frozen=True)
class PanelDocuments:
    """The documents of a panel as arrays over sessions and assets.

    Parameters
    ----------
    texts
        The different texts, in the order they are met.
    start, count
        ``(T, N)``: first entry of a row in `text` and `age`, and how many there are.
    text
        Number in `texts` of each entry, newest first within a row.
    age
        Days since it was known, float32.
    """

    texts: tuple[str, ...]
    start: np.ndarray
    count: np.ndarray
    text: np.ndarray
    age: np.ndarray

    @classmethod
    def from_rows(
        cls, column: pl.Series, row: np.ndarray, asset: np.ndarray, shape: tuple[int, int]
    ) -> PanelDocuments:
        """Lay out the column of a panel.

        Parameters
        ----------
        column
            Lists of `DOCUMENT`.
        row, asset
            Session and asset of each row of the panel.
        shape
            Sessions and assets of the panel.

        Raises
        ------
        ModelError
            The column is of another type, or a document is known after its row.
        """
        column = _typed(column)
        count = np.zeros(shape, dtype=np.int64)
        start = np.zeros(shape, dtype=np.int64)
        n = column.list.len().fill_null(0).to_numpy()
        count[row, asset] = n
        start[row, asset] = np.concatenate([[0], np.cumsum(n)[:-1]])
        entries = column.filter(column.list.len() > 0).explode().struct.unnest()
        early = entries.filter(~(pl.col("age_days") >= 0).fill_null(False))
        if early.height:
            raise ModelError(
                f"{early.height} document(s) are known after the row they stand in, first "
                f"{early['doc_id'][0]!r}: its age is {early['age_days'][0]} days; a forecast reads "
                "what was known at its time"
            )
        texts = entries["text"].unique(maintain_order=True)
        return cls(
            texts=tuple(texts),
            start=start,
            count=count,
            text=entries["text"]
            .replace_strict(texts, np.arange(len(texts)), return_dtype=pl.Int64)
            .to_numpy()
            .copy(),
            age=entries["age_days"].cast(pl.Float32).to_numpy().copy(),
        )

    def of(
        self, session: np.ndarray, asset: np.ndarray, slots: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Documents of pairs of a session and an asset.

        Returns
        -------
        numbers, ages
            ``(n, slots)`` int64 and float32: one more than the place in `texts`, 0 for none.
        """
        numbers = np.zeros((len(session), slots), dtype=np.int64)
        ages = np.zeros((len(session), slots), dtype=np.float32)
        start, count = self.start[session, asset], self.count[session, asset]
        for slot in range(min(slots, int(count.max(initial=0)))):
            has = count > slot
            numbers[has, slot] = self.text[start[has] + slot] + 1
            ages[has, slot] = self.age[start[has] + slot]
        return numbers, ages


def texts_of(panel: pl.DataFrame) -> list[str]:
    """The different texts of a panel, sorted; raises where it has no such column."""
    require_documents(panel, "reading documents")
    entries = panel.filter(pl.col(COLUMN).list.len() > 0)[COLUMN]
    return sorted(set(_typed(entries).explode().struct.field("text").drop_nulls()))


def require_documents(panel: pl.DataFrame, purpose: str) -> None:
    """Raise `MissingFeatureError` where a panel has no column of documents."""
    if COLUMN not in panel.columns:
        raise MissingFeatureError(
            f"{purpose}: the panel has no column {COLUMN!r}, which the modality text reads; attach it "
            "with models.text.documents.attach (null where nothing is known), or leave text out of "
            "modalities"
        )


def _typed(column: pl.Series) -> pl.Series:
    if column.dtype == pl.Null:
        return column.cast(pl.List(DOCUMENT))
    fields: Sequence[Any] = ()
    if isinstance(column.dtype, pl.List) and isinstance(column.dtype.inner, pl.Struct):
        fields = [field.name for field in column.dtype.inner.fields]
    if not set(DOCUMENT.to_schema()) <= set(fields):
        raise ModelError(
            f"column {COLUMN!r} is {column.dtype}; lists of {dict(DOCUMENT.to_schema())} are needed, as "
            "models.text.documents.attach makes them"
        )
    return column
