"""Sentences that people have labelled, out of a user's file.

Belongs here: reading and refusing. Does not belong here: learning from them (`sentiment`).

Labels say how a sentence sounds. Labels made from later returns would carry the future into every
forecast, and must not be used.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from btq_assets.models.forecaster import ModelError

#: Classes of a sentence, in the order of the head.
CLASSES = ("negative", "neutral", "positive")

#: Scores from here on, on either side, are positive or negative: VADER's own threshold.
THRESHOLD = 0.05

#: Fewer sentences of a class teach nothing.
FEWEST_OF_A_CLASS = 5

_NAMES = {
    "negative": 0, "neg": 0, "bearish": 0, "-1": 0, "neutral": 1, "neu": 1, "0": 1,
    "positive": 2, "pos": 2, "bullish": 2, "1": 2, "+1": 2,
}  # fmt: skip


def read_sentences(file: Path) -> pl.DataFrame:
    """A CSV or Parquet file of sentences, as `sentences` gives them.

    Raises
    ------
    ModelError
        There is no such file, or it is neither; what `sentences` refuses.
    """
    file = Path(file)
    if not file.is_file():
        raise ModelError(f"{file} does not exist; it holds the columns text and label, or score")
    try:
        if file.suffix == ".parquet":
            frame = pl.read_parquet(file)
        else:
            frame = pl.read_csv(file, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        said = " ".join(str(error).split())[:200]
        raise ModelError(f"{file} is neither CSV in UTF-8 nor Parquet: {said}") from error
    try:
        return sentences(frame)
    except ModelError as error:
        raise ModelError(f"{file}: {error}") from error


def sentences(frame: pl.DataFrame) -> pl.DataFrame:
    """Labelled sentences, each once, sorted by when they were known and by their text.

    Parameters
    ----------
    frame
        ``text`` and ``label`` (negative, neutral, positive, their abbreviations, bearish, bullish, -1,
        0, 1) or ``score`` from -1 to 1; optionally ``known_at``.

    Returns
    -------
    polars.DataFrame
        ``text``, ``label`` (place in `CLASSES`), ``known_at`` (null where not said).

    Raises
    ------
    ModelError
        A column is missing, a row has no text or no readable label, a text has two labels, or a class
        has too few sentences; names the first row, counted from 1.
    """
    named = "label" in frame.columns
    if "text" not in frame.columns or not (named or "score" in frame.columns):
        raise ModelError(
            f"columns are {frame.columns}; text and label, or text and score, are needed"
        )
    if named:
        said = pl.col("label").cast(pl.String).str.strip_chars().str.to_lowercase()
        label = said.replace_strict(_NAMES, default=None, return_dtype=pl.Int64)
    else:
        score = pl.col("score").cast(pl.Float64, strict=False)
        label = (
            pl.when(score.is_between(-1, 1))
            .then((score > THRESHOLD).cast(pl.Int64) - (score < -THRESHOLD).cast(pl.Int64) + 1)
            .otherwise(None)
        )
    if "known_at" not in frame.columns:
        frame = frame.with_columns(known_at=pl.lit(None, pl.Datetime("us", "UTC")))
    found = frame.select(
        pl.col("text").cast(pl.String).fill_null("").str.strip_chars(),
        label.alias("label"),
        _moment(frame).alias("known_at"),
    ).with_row_index("row", offset=1)
    wrong = found.filter((pl.col("text") == "") | pl.col("label").is_null())
    if wrong.height:
        row = wrong["row"][0]
        given = frame["label" if named else "score"][row - 1]
        raise ModelError(
            f"row {row} needs a text and one of {', '.join(CLASSES)} (or a score from -1 to 1), has "
            f"{wrong['text'][0][:40]!r} and {given!r}"
        )
    torn = found.group_by("text").agg(pl.col("label").n_unique(), pl.col("row").max())
    if (torn["label"] > 1).any():
        first = torn.filter(pl.col("label") > 1).sort("row").row(0, named=True)
        raise ModelError(f"row {first['row']}: {first['text'][:60]!r} has two different labels")
    # Known the first time: whoever says it again says nothing new.
    once = found.sort("known_at", "text", nulls_last=False).unique("text", keep="first")
    counts = [int((once["label"] == number).sum()) for number in range(len(CLASSES))]
    if min(counts[0], counts[2]) < FEWEST_OF_A_CLASS:
        raise ModelError(
            f"there are {counts[0]} negative and {counts[2]} positive sentences; at least "
            f"{FEWEST_OF_A_CLASS} of each are needed"
        )
    return once.select("text", "label", "known_at").sort("known_at", "text", nulls_last=False)


def _moment(frame: pl.DataFrame) -> pl.Expr:
    stated = pl.col("known_at")
    dtype = frame.schema["known_at"]
    if dtype == pl.String:
        return stated.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    if dtype == pl.Date:
        # A day is over before anybody has read all of it.
        return (stated.cast(pl.Datetime("us")) + pl.duration(days=1)).dt.replace_time_zone("UTC")
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is None:
        return stated.dt.cast_time_unit("us").dt.replace_time_zone("UTC")
    if isinstance(dtype, pl.Datetime):
        return stated.dt.cast_time_unit("us").dt.convert_time_zone("UTC")
    return pl.lit(None, pl.Datetime("us", "UTC"))
