"""Settings of the live stream: what is recorded, from where, in what batches."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from btq_assets.config.base import Section

StreamKind = Literal["trades", "quotes", "book"]

#: Defaults where the exchange is not Binance.
_COINBASE = {
    "dataset": "coinbase_exchange",
    "symbols": ("BTC-USD",),
    "kinds": ("trades", "quotes"),
    "websocket_url": "wss://ws-feed.exchange.coinbase.com",
    "rest_url": "https://api.exchange.coinbase.com",
}


class StreamSourceSection(Section):
    """Trades, best quotes and order book of a public exchange stream, recorded beside Dagster."""

    enabled: bool = False
    exchange: Literal["binance", "coinbase"] = Field(
        "binance",
        description="Whose messages these are. The defaults of dataset, symbols, kinds and addresses follow.",
    )
    dataset: str = Field(
        "binance_spot", min_length=1, description="Name of exchange and market in every row."
    )
    symbols: tuple[str, ...] = ("BTCUSDT",)
    kinds: tuple[StreamKind, ...] = ("trades", "quotes", "book")
    websocket_url: str = Field(
        "wss://data-stream.binance.vision:443", description="Where the combined stream is served."
    )
    rest_url: str = Field(
        "https://data-api.binance.vision",
        description="Where snapshots of the book and missed trades are asked for.",
    )
    folder: str = Field(
        "", description="Inbox of the recorded files; empty: stream_inbox in the data folder."
    )
    batch_seconds: float = Field(5.0, gt=0, le=600, description="At most so long in memory only.")
    batch_rows: int = Field(50_000, ge=1, le=5_000_000)
    queue_messages: int = Field(
        20_000,
        ge=1,
        le=1_000_000,
        description="Messages waiting for the disk; when full, nothing more is read from the socket.",
    )
    silence_seconds: float = Field(
        60.0, gt=0, le=3_600, description="Without any message for so long, connect again."
    )
    ping_seconds: float = Field(20.0, gt=0, le=600)
    largest_wait_seconds: float = Field(
        60.0, ge=0, le=3_600, description="Between two attempts to connect; the first is short."
    )
    disk_patience_seconds: float = Field(
        120.0, ge=0, le=86_400, description="A disk that refuses is tried again for so long."
    )
    backfill_trades: int = Field(
        100_000, ge=0, le=10_000_000, description="Most trades asked for to fill one gap."
    )
    snapshot_levels: int = Field(1_000, ge=5, le=5_000)
    files_per_run: int = Field(500, ge=1, le=100_000, description="Committed in one Dagster run.")
    keep_days: float = Field(
        7.0, ge=0, description="Files whose rows are stored are deleted after so many days."
    )
    sensor_seconds: int = Field(30, ge=5, le=86_400)

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_exchange(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("exchange") == "coinbase":
            return {**_COINBASE, **given}
        return given

    @model_validator(mode="after")
    def _books_have_numbers(self) -> StreamSourceSection:
        if self.exchange == "coinbase" and "book" in self.kinds:
            raise ValueError(
                "sources.stream.kinds has book, and Coinbase's public changes of the book carry no "
                "numbers: a lost one could not be seen. Record trades and quotes"
            )
        return self
