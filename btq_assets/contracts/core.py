"""Core tables, built by dbt: one clean view of prices, macro values and documents."""

from __future__ import annotations

from btq_assets.contracts.base import UTC_TIMESTAMP, Column, TableContract
from btq_assets.contracts.columns import (
    KNOWN_AT,
    SYMBOL,
    TS,
    UNIVERSE,
    count,
    day,
    number,
    stamp,
    text,
)

INSTRUMENTS = TableContract(
    layer="core",
    name="instruments",
    description="One row per instrument of a universe, with the span its bars cover.",
    columns=(
        UNIVERSE,
        SYMBOL,
        text("source", "Raw bars table the prices come from."),
        text("dataset", "Dataset within it."),
        text("calendar", "Exchange calendar code."),
        text("currency", "Currency of the prices."),
        text("price_basis", "What the source offers."),
        text("sector", "Sector, where known.", nullable=True),
        text("caveat", "What a reader must know."),
        stamp("first_ts", "End of the first bar, UTC."),
        stamp("last_ts", "End of the last bar, UTC."),
        count("n_bars", "Number of daily bars."),
    ),
    key=("universe", "symbol"),
    writer="dbt",
    owner="team:data",
    kinds=("duckdb", "dbt"),
)

_BAR_COLUMNS = (
    UNIVERSE,
    SYMBOL,
    TS,
    day("session", "Trading session the bar belongs to."),
    Column(
        "known_at",
        UTC_TIMESTAMP,
        "When a participant could first have known the bar, UTC: that of its first vintage.",
    ),
    stamp(
        "revised_at",
        "When the values shown became known, UTC, where they are not those of the first vintage.",
        nullable=True,
    ),
    number(
        "open",
        "Raw first price; null where the source has none.",
        minimum=0,
        exclusive_minimum=True,
    ),
    number(
        "high",
        "Raw highest price; null where the source has none.",
        minimum=0,
        exclusive_minimum=True,
    ),
    number(
        "low",
        "Raw lowest price; null where the source has none.",
        minimum=0,
        exclusive_minimum=True,
    ),
    number(
        "close", "Raw last price; null for adjusted-only series.", minimum=0, exclusive_minimum=True
    ),
    number("volume", "Units traded; null where the source has none.", minimum=0),
    number("adj_open", "Open times the adjustment factor; null where there is no raw open."),
    number("adj_high", "High times the adjustment factor; null where there is no raw high."),
    number("adj_low", "Low times the adjustment factor; null where there is no raw low."),
    number(
        "adj_close",
        "Last price adjusted for splits and dividends; the price every return is computed from.",
        nullable=False,
        minimum=0,
        exclusive_minimum=True,
    ),
)

BARS_1D = TableContract(
    layer="core",
    name="bars_1d",
    description="Daily bars of every universe, latest vintage, raw and back-adjusted; core.bars_1d_as_of(time) shows what was known at a time. Missing stays missing.",
    columns=_BAR_COLUMNS,
    key=("universe", "symbol", "ts"),
    writer="dbt",
    owner="team:data",
    kinds=("duckdb", "dbt"),
)

BARS_1W = TableContract(
    layer="core",
    name="bars_1w",
    description="Weekly bars resampled from daily ones; a week that has not ended is absent.",
    columns=(*_BAR_COLUMNS, count("n_sessions", "Daily bars in the week.", minimum=1)),
    key=("universe", "symbol", "ts"),
    writer="dbt",
    owner="team:data",
    kinds=("duckdb", "dbt"),
)

_INTRADAY_COLUMNS = (
    *_BAR_COLUMNS[:3],
    *(column for column in _BAR_COLUMNS if column.name in ("known_at", "revised_at")),
    number(
        "open", "First price; null where some part has none.", minimum=0, exclusive_minimum=True
    ),
    number(
        "high", "Highest price; null where some part has none.", minimum=0, exclusive_minimum=True
    ),
    number(
        "low", "Lowest price; null where some part has none.", minimum=0, exclusive_minimum=True
    ),
    number(
        "close", "Last price; null where the last part has none.", minimum=0, exclusive_minimum=True
    ),
    number("volume", "Units traded; null where some part has none.", minimum=0),
)

BARS_INTRADAY = TableContract(
    layer="core",
    name="bars_intraday",
    description="Bars shorter than a day as sources give them, latest vintage, while a member; prices as traded.",
    columns=(
        *_INTRADAY_COLUMNS[:2],
        text("freq", "Bar length."),
        *_INTRADAY_COLUMNS[2:],
        text("calendar", "Exchange calendar code."),
    ),
    key=("universe", "symbol", "freq", "ts"),
    writer="dbt",
    owner="team:data",
    kinds=("duckdb", "dbt"),
)


def _timeframe(freq: str) -> TableContract:
    return TableContract(
        layer="core",
        name=f"bars_{freq}",
        description=f"Finished bars of {freq}: as they came, or made of shorter ones within the session. Prices as traded.",
        columns=(
            *_INTRADAY_COLUMNS,
            count("n_bars", "Bars of the source it is made of.", minimum=1),
        ),
        key=("universe", "symbol", "ts"),
        owner="team:data",
    )


BARS_1M, BARS_5M, BARS_15M, BARS_1H = (_timeframe(freq) for freq in ("1m", "5m", "15m", "1h"))

CORPORATE_ACTIONS = TableContract(
    layer="core",
    name="corporate_actions",
    description="Splits and cash dividends of every source, latest vintage of each.",
    columns=(
        text("source", "Raw table without its prefix."),
        text("dataset", "Dataset within it, as in the bars it belongs to."),
        SYMBOL,
        day("ex_date", "First session without the right."),
        text("kind", "What happened.", allowed=("split", "dividend")),
        KNOWN_AT,
        stamp(
            "revised_at",
            "When the value shown became known, UTC, where it is not the first one reported.",
            nullable=True,
        ),
        number(
            "value",
            "Shares after for one before (split), or cash per share (dividend).",
            nullable=False,
            minimum=0,
            exclusive_minimum=True,
        ),
        text("currency", "Currency of a dividend."),
        text("basis", "Whether the source has restated prices for later splits."),
    ),
    key=("source", "dataset", "symbol", "ex_date", "kind"),
    writer="dbt",
    owner="team:data",
    kinds=("duckdb", "dbt"),
)

ADJUSTMENT_FACTORS = TableContract(
    layer="core",
    name="adjustment_factors",
    description="For each bar that an action falls on: what prices before it are multiplied by.",
    columns=(
        text("source", "Raw bars table without its prefix."),
        text("dataset", "Dataset within it."),
        SYMBOL,
        day("session", "First session with a close on or after the ex-date."),
        number(
            "split",
            "Shares after for one before; 1 where there is no split, or the source has restated.",
            nullable=False,
            minimum=0,
            exclusive_minimum=True,
        ),
        number(
            "dividend",
            "Cash per share held into the ex-date; 0 where there is none.",
            nullable=False,
            minimum=0,
        ),
        number("close", "Close of the bar.", nullable=False, minimum=0, exclusive_minimum=True),
        number(
            "factor",
            "close / (close * split + dividend), so that adjusted returns are total returns.",
            nullable=False,
            minimum=0,
            exclusive_minimum=True,
        ),
    ),
    key=("source", "dataset", "symbol", "session"),
    writer="dbt",
    owner="team:data",
    kinds=("duckdb", "dbt"),
)

MACRO_VINTAGES = TableContract(
    layer="core",
    name="macro_vintages",
    description="Every vintage of every macro series: what `timeline.asof_join` reads. A value is current from known_at until superseded_at.",
    columns=(
        text("series_id", "Series, in the provider's spelling."),
        day("period", "Day, or first day of the month or quarter, the value describes."),
        KNOWN_AT,
        stamp(
            "superseded_at",
            "When a later vintage of the same period became known; null if never.",
            nullable=True,
        ),
        number("value", "Value in the series' own unit.", nullable=False),
        text("unit", "Unit of the value."),
        text("revision", "REVISED, VINTAGE or FINAL."),
    ),
    key=("series_id", "period", "known_at"),
    writer="dbt",
    owner="team:data",
    kinds=("duckdb", "dbt"),
)

MACRO_ASOF = TableContract(
    layer="core",
    name="macro_asof",
    description="For each session close of the main calendar and each series, the newest value known by then.",
    columns=(
        TS,
        text("series_id", "Series, in the provider's spelling."),
        day("period", "Period the value describes."),
        KNOWN_AT,
        number("value", "Value in the series' own unit.", nullable=False),
        number(
            "age_days",
            "Days from known_at to ts; features null a value older than its series' stale limit.",
            nullable=False,
            minimum=0,
        ),
    ),
    key=("ts", "series_id"),
    writer="dbt",
    owner="team:data",
    kinds=("duckdb", "dbt"),
)

DOCUMENTS = TableContract(
    layer="core",
    name="documents",
    description="Documents of all sources: one row per document, vintage and symbol the source itself names. Whom a text is about besides is in features.document_scores.",
    columns=(
        text("doc_id", "Hash over source and the source's own name of the document."),
        text("symbol", "Instrument the source itself names; empty where it names none."),
        stamp("published_at", "Time of publication, UTC."),
        KNOWN_AT,
        text("headline", "Text of the headline."),
        text("text", "Body as plain text, where the source gives one.", nullable=True),
        text("url", "Where it can be read.", nullable=True),
        text("language", "ISO 639-1 code the source states.", nullable=True),
        text("author", "Site, subreddit, account or form it came by.", nullable=True),
        number(
            "relevance", "How much it is about the symbol, by the source.", minimum=0, maximum=1
        ),
        text("source", "Source: raw.documents_<source>."),
        text("label", "SYNTHETIC or REAL."),
    ),
    key=("doc_id", "symbol", "known_at"),
    writer="dbt",
    owner="team:data",
    kinds=("duckdb", "dbt"),
)
