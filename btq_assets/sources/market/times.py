"""From the text of a time to the instant a bar ends.

Belongs here: date formats, zones, bar labels. Does not belong here: files and prices.

Formats: ``2020-01-31``, ``2020/1/31``, ``20200131``, ``1/31/2020`` or ``31/1/2020`` (whichever some
date of the file shows or the configuration says; else refused), ``31.1.2020``, each with an optional clock
(``T`` or space, AM/PM allowed) and an optional offset (``Z``, ``+01:00``); seconds, milli-, micro-
or nanoseconds since 1970.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from btq_assets.sources.errors import SourceError
from btq_assets.sources.market.sessions import at_session_close, calendar_facts
from btq_assets.sources.rows import Parsed, split

BAR_LENGTH = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
}

_DATE = r"(?P<iso>\d{4}[-/.]\d{1,2}[-/.]\d{1,2})|(?P<local>\d{1,2}[-/.]\d{1,2}[-/.]\d{4})|(?P<compact>\d{8})"
_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}(?:[.,]\d+)?))?\s*(?P<half>[AaPp][Mm])?"
_OFFSET = r"(?P<offset>[Zz]|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})"
_TIME = rf"^(?:{_DATE})(?:(?:[Tt]|\s+){_CLOCK})?\s*{_OFFSET}?$"
_EPOCH = r"^\d{9,10}(?:\.\d+)?$|^\d{12,13}(?:\.0+)?$|^\d{15,16}(?:\.0+)?$|^\d{18,19}$"
_LOCAL_DATE = r"^(\d{1,2})([-/.])(\d{1,2})[-/.]\d{4}"
_UTC = pl.Datetime("us", "UTC")


def bar_ends(
    frame: pl.DataFrame,
    *,
    column: str,
    freq: str,
    calendar: str,
    zone: str | None,
    now: datetime,
    dates: DateOrder | None = None,
) -> Parsed:
    """Give each row the end of its bar as ``ts`` (UTC).

    Daily bars end at the close of their session. A date, or a midnight in whatever zone it is
    written, names the session itself; any other instant belongs to the exchange's day it falls in.
    Intraday times are taken as the start of the bar, as most providers write them; a file that
    writes ends is thereby known one bar late, never early.

    Parameters
    ----------
    frame
        Column `column` holds the time as text; one cell may have another zone than the next. With
        the column of `rows.as_it_came`.
    freq
        Bar length, ``1d`` or a key of ``BAR_LENGTH``.
    calendar
        Code of an ``exchange_calendars`` calendar.
    zone
        Zone of times written without one; ``None`` refuses them (dates need none).
    now
        Bars that end later are refused as unfinished.
    dates
        What earlier rows of the same file have shown about ``1/2/2020``; takes what these show.

    Raises
    ------
    SourceError
        The zone or the calendar does not exist.
    """
    times = _instants(
        frame, column, _known_zone(zone), dates or DateOrder(), needs_clock=freq != "1d"
    )
    if freq == "1d":
        home = calendar_facts(calendar).zone
        dated = times.rows.with_columns(
            session=pl.when(pl.col("_names_day"))
            .then(pl.col("_wall").dt.date())
            .otherwise(pl.col("_instant").dt.convert_time_zone(home).dt.date())
        )
        ended = at_session_close(dated, calendar)
    else:
        ended = Parsed(times.rows.with_columns(ts=pl.col("_instant") + BAR_LENGTH[freq]))
    unfinished = pl.when(pl.col("ts") > now).then(
        pl.format("bar ends at {}, after the file was read", pl.col("ts"))
    )
    finished = split(ended.rows, unfinished)
    made = ("_instant", "_wall", "_names_day", "session")
    return Parsed(
        finished.rows.drop(made, strict=False),
        pl.concat([times.rejected, ended.rejected, finished.rejected]),
    )


def _instants(
    frame: pl.DataFrame, column: str, zone: str | None, dates: DateOrder, *, needs_clock: bool
) -> Parsed:
    """Add ``_wall`` (as written), ``_instant`` (UTC) and ``_names_day`` (a date, not a moment).

    Each different text is read once: the same day stands beside every symbol.
    """
    text = pl.col(column).fill_null("").str.strip_chars()
    frame = frame.with_columns(_text=text)
    known = _read_times(frame.select("_text").unique(), zone, dates, needs_clock=needs_clock)
    joined = frame.join(known, on="_text", how="left", maintain_order="left")
    result = split(joined, pl.col("_why_not"))
    return Parsed(result.rows.drop("_text", "_why_not"), result.rejected)


def _read_times(
    texts: pl.DataFrame, zone: str | None, dates: DateOrder, *, needs_clock: bool
) -> pl.DataFrame:
    text = pl.col("_text")
    dates.learn(texts["_text"])
    read = (
        texts.with_columns(_t=text.str.extract_groups(_TIME), _epoch=_epoch(text))
        .with_columns(_wall=_wall_clock(dates.day_first))
        .with_columns(
            _clock=pl.col("_t").struct["hour"].is_not_null(),
            _offset=_offset(pl.col("_t").struct["offset"]),
        )
    )
    local = pl.lit(None, dtype=_UTC)
    if zone is not None:
        local = (
            pl.col("_wall")
            .dt.replace_time_zone(zone, ambiguous="null", non_existent="null")
            .dt.convert_time_zone("UTC")
        )
    read = read.with_columns(
        _wall=pl.coalesce("_wall", pl.col("_epoch").dt.replace_time_zone(None)),
        _instant=pl.coalesce(
            "_epoch", (pl.col("_wall") - pl.col("_offset")).dt.replace_time_zone("UTC"), local
        ),
    ).with_columns(
        _names_day=(pl.col("_wall").dt.time() == pl.time(0, 0))
        if not needs_clock
        else pl.lit(False)
    )
    moment = pl.col("_clock") | pl.col("_epoch").is_not_null()
    placed = pl.col("_names_day") | pl.col("_instant").is_not_null()
    unplaced = (
        f"time '{{}}' does not exist or occurs twice in {zone}"
        if zone is not None
        else "time '{}' has no zone; set sources.folder.timezone"
    )
    doubtful = pl.lit(False) if dates.day_first is not None else _may_be_two_days(text)
    reason = (
        pl.when(doubtful)
        .then(
            pl.format(
                "'{}' may be two days, and the file does not show which; set "
                "sources.folder.date_order",
                text,
            )
        )
        .when(pl.col("_wall").is_null())
        .then(pl.format("'{}' is not a time I can read", text))
        .when(pl.lit(needs_clock) & ~moment)
        .then(pl.format("'{}' has no time of day to place an intraday bar", text))
        .when(~placed)
        .then(pl.format(unplaced, text))
    )
    return read.select("_text", "_wall", "_instant", "_names_day", _why_not=reason)


class DateOrder:
    """Whether ``1/2/2020`` is the first of February in a file, as far as is known.

    Parameters
    ----------
    configured
        What the configuration says, if anything: it is believed.
    """

    def __init__(self, configured: str | None = None) -> None:
        self.day_first = None if configured is None else configured == "day_first"

    def learn(self, texts: pl.Series) -> None:
        """Take what dates with a number above twelve show, where they do not contradict."""
        if self.day_first is not None:
            return
        parts = texts.str.extract_groups(_LOCAL_DATE).struct
        first = parts.field("1").cast(pl.Int64, strict=False)
        second = parts.field("3").cast(pl.Int64, strict=False)
        slashed = parts.field("2") != "."
        days_first = bool(((first > 12) & slashed).any())
        months_first = bool(((second > 12) & slashed).any())
        if days_first != months_first:
            self.day_first = days_first


def _may_be_two_days(text: pl.Expr) -> pl.Expr:
    parts = text.str.extract_groups(_LOCAL_DATE).struct
    first = parts["1"].cast(pl.Int64, strict=False)
    second = parts["3"].cast(pl.Int64, strict=False)
    doubtful = (first <= 12) & (second <= 12) & (first != second) & (parts["2"] != ".")
    return doubtful.fill_null(False)


def _epoch(text: pl.Expr) -> pl.Expr:
    number = pl.when(text.str.contains(_EPOCH)).then(text).cast(pl.Float64, strict=False)
    whole = (
        pl.when(text.str.contains(_EPOCH))
        .then(text.str.split(".").list.first())
        .cast(pl.Int64, strict=False)
    )
    digits = text.str.split(".").list.first().str.len_chars()
    microseconds = (
        pl.when(digits <= 10)
        .then((number * 1e6).round(0).cast(pl.Int64))
        .when(digits <= 13)
        .then(whole * 1_000)
        .when(digits <= 16)
        .then(whole)
        .otherwise(whole // 1_000)
    )
    return microseconds.cast(_UTC)


def _wall_clock(day_first: bool | None) -> pl.Expr:
    group = pl.col("_t").struct
    numbers = group["local"].str.extract_groups(r"^(\d{1,2})([-/.])(\d{1,2})[-/.](\d{4})$").struct
    # Where neither order is known, a date that can be read in one way only is read in that way.
    beyond_months = numbers["1"].cast(pl.Int64, strict=False) > 12
    days = (numbers["2"] == ".") | (pl.lit(day_first) if day_first is not None else beyond_months)
    month_place = pl.when(days).then(numbers["3"]).otherwise(numbers["1"])
    day_place = pl.when(days).then(numbers["1"]).otherwise(numbers["3"])
    written = pl.coalesce(
        group["iso"].str.replace_all(r"[/.]", "-"),
        pl.concat_str(numbers["4"], month_place, day_place, separator="-"),
        group["compact"].str.replace(r"^(\d{4})(\d{2})(\d{2})$", "$1-$2-$3"),
    )
    day = written.str.to_date("%Y-%m-%d", strict=False)
    hour, minute = group["hour"].cast(pl.Int64), group["minute"].cast(pl.Int64)
    second = group["second"].str.replace(",", ".", literal=True).cast(pl.Float64)
    half = group["half"].str.to_uppercase()
    hour24 = (
        pl.when(half.is_null())
        .then(hour)
        .when(hour.is_between(1, 12))
        .then(hour % 12 + pl.when(half == "PM").then(12).otherwise(0))
    )
    possible = (hour24 < 24) & (minute < 60) & (second.fill_null(0) < 60)
    microseconds = (hour24 * 3600 + minute * 60) * 1_000_000 + (second.fill_null(0) * 1e6).round(
        0
    ).cast(pl.Int64)
    clock = (
        pl.when(group["hour"].is_null())
        .then(pl.lit(0, dtype=pl.Int64))
        .when(possible)
        .then(microseconds)
    )
    return day.cast(pl.Datetime("us")) + clock.cast(pl.Duration("us"))


def _offset(text: pl.Expr) -> pl.Expr:
    sign = pl.when(text.str.starts_with("-")).then(-1).otherwise(1)
    hours = text.str.slice(1, 2).cast(pl.Int64, strict=False)
    minutes = text.str.extract(r"^[+-]\d{2}:?(\d{2})$").cast(pl.Int64)
    signed = text.str.contains(r"^[+-]")
    total = pl.when(signed).then(sign * (hours * 60 + minutes.fill_null(0))).otherwise(0)
    return pl.when(text.is_not_null()).then(total * 60_000_000).cast(pl.Duration("us"))


def _known_zone(zone: str | None) -> str | None:
    if zone is not None:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise SourceError(
                f"sources.folder.timezone = {zone!r} is no time zone; write one like 'UTC' or "
                "'America/New_York'"
            ) from None
    return zone
