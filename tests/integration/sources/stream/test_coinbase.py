"""The recorder against a local Coinbase: subscription first, missed trades by page, quotes as told."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections import deque
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import polars as pl
import pytest
from stream_exchange import rows
from websockets.asyncio.server import serve

from btq_assets.config.sources.stream import StreamSourceSection
from btq_assets.sources.stream.recorder import Recorder

N_TRADES = 2_600
FIRST = dt.datetime(2024, 3, 4, 15, tzinfo=dt.UTC)


def trade(number: int) -> dict:
    """Trade `number` of BTC-USD, as both doors tell it."""
    return {
        "trade_id": number,
        "side": "buy" if number % 3 else "sell",
        "size": f"{0.01 * (1 + number % 5):.8f}",
        "price": f"{60_000 + number % 17:.2f}",
        "time": (FIRST + dt.timedelta(milliseconds=10 * number)).isoformat().replace("+00:00", "Z"),
    }


def ticker(number: int) -> dict:
    return {
        "type": "ticker", "sequence": 5 * number, "product_id": "BTC-USD",
        "best_bid": f"{59_999 + number % 17}", "best_bid_size": "1.5",
        "best_ask": f"{60_001 + number % 17}", "best_ask_size": "0.5",
        "time": trade(number)["time"], "trade_id": number, "side": "buy", "price": "60000",
    }  # fmt: skip


class Coinbase:
    """Tells trades and tickers to whoever subscribes; `lost` ones are told over HTTP only."""

    def __init__(self, lost: range = range(0), hang_up_at: int | None = None) -> None:
        self.lost, self.hang_up_at = lost, hang_up_at
        self.subscriptions: list[dict] = []
        self.pages: list[dict[str, str]] = []
        self.failures: deque[int] = deque()
        self.next = 1
        self.finished = asyncio.Event()

    async def __aenter__(self) -> Coinbase:
        self.server = await serve(
            self.talk, "127.0.0.1", 0, process_request=self.answer, max_size=None
        )
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        await self.server.wait_closed()

    async def talk(self, connection) -> None:
        greeting = json.loads(await connection.recv())
        self.subscriptions.append(greeting)
        said = {"type": "subscriptions", "channels": greeting["channels"]}
        await connection.send(json.dumps(said))
        if self.next > 1:
            # The last trade before the subscription comes first.
            await self.tell(connection, self.next - 1, "last_match")
        while self.next <= N_TRADES:
            number, self.next = self.next, self.next + 1
            if number not in self.lost:
                await self.tell(connection, number, "match")
                await connection.send(json.dumps(ticker(number)))
            if number == self.hang_up_at:
                await connection.close(1001, "maintenance")
                return
        self.finished.set()
        await connection.wait_closed()

    async def tell(self, connection, number: int, kind: str) -> None:
        message = {"type": kind, "sequence": 5 * number - 1, "product_id": "BTC-USD"}
        await connection.send(json.dumps({**message, **trade(number)}))

    def answer(self, connection, request):
        parts = urlsplit(request.path)
        if not parts.path.startswith("/products/"):
            return None
        if self.failures:
            return connection.respond(HTTPStatus(self.failures.popleft()), "{}")
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.pages.append(query)
        newest = min(int(query["after"]), self.next) - 1
        page = [trade(n) for n in range(newest, max(0, newest - int(query["limit"])), -1)]
        return connection.respond(HTTPStatus.OK, json.dumps(page))


def record(exchange_of, folder) -> tuple[Recorder, Coinbase]:
    async def main() -> tuple[Recorder, Coinbase]:
        async with exchange_of() as exchange:
            settings = StreamSourceSection(
                enabled=True,
                exchange="coinbase",
                websocket_url=f"ws://127.0.0.1:{exchange.port}",
                rest_url=f"http://127.0.0.1:{exchange.port}/",
                batch_seconds=0.1,
                largest_wait_seconds=0.2,
            )
            recorder = Recorder(settings, folder, log=lambda text: None, first_wait_s=0.01)
            stop = asyncio.Event()
            running = asyncio.create_task(recorder.run(stop))
            await asyncio.wait_for(exchange.finished.wait(), 30)
            seen = -1
            while seen != recorder.counts.messages:
                seen = recorder.counts.messages
                await asyncio.sleep(0.2)
            stop.set()
            await running
            return recorder, exchange

    return asyncio.run(main())


def assert_whole(folder) -> None:
    found = rows(folder, "trades").sort("trade_id")
    assert found["trade_id"].to_list() == list(range(1, N_TRADES + 1))
    told = [trade(number) for number in found["trade_id"]]
    assert found["price"].to_list() == [float(one["price"]) for one in told]
    assert found["quantity"].to_list() == [float(one["size"]) for one in told]
    assert found["buyer_is_maker"].to_list() == [one["side"] == "buy" for one in told]
    assert found["ts"].to_list() == [
        FIRST + dt.timedelta(milliseconds=10 * number) for number in found["trade_id"]
    ]
    assert (found["known_at"] == found["received_at"]).all()


def test_what_coinbase_tells_is_recorded(tmp_path):
    recorder, exchange = record(Coinbase, tmp_path)
    assert_whole(tmp_path)
    quotes = rows(tmp_path, "quotes")
    assert quotes["update_id"].to_list() == [5 * n for n in range(1, N_TRADES + 1)]
    assert (quotes["ask_price"] - quotes["bid_price"]).unique().to_list() == [2.0]
    assert recorder.counts.refused == 0
    assert rows(tmp_path, "gaps").is_empty()
    assert quotes["dataset"].unique().to_list() == ["coinbase_exchange"]
    (subscription,) = exchange.subscriptions
    assert subscription["product_ids"] == ["BTC-USD"]


def test_missed_trades_are_asked_for_page_by_page(tmp_path):
    def losing() -> Coinbase:
        exchange = Coinbase(lost=range(100, 2_400))
        exchange.failures.extend([429, 503])
        return exchange

    _, exchange = record(losing, tmp_path)
    assert_whole(tmp_path)
    # 2,300 trades in pages of a thousand, newest first; `after` names a number that is not told.
    assert [(page["after"], page["limit"]) for page in exchange.pages] == [
        ("2400", "1000"), ("1400", "1000"), ("400", "300"),
    ]  # fmt: skip
    (gap,) = rows(tmp_path, "gaps").rows(named=True)
    assert (gap["first_missing"], gap["last_missing"]) == (100, 2_399)
    assert (gap["reason"], gap["outcome"]) == ("missing_ids", "backfilled")
    assert rows(tmp_path, "trades").filter(via="backfill").height == 2_300


def test_a_cut_connection_subscribes_again_and_the_last_trade_is_no_second_one(tmp_path):
    recorder, exchange = record(lambda: Coinbase(hang_up_at=1_000), tmp_path)
    assert_whole(tmp_path)
    assert len(exchange.subscriptions) == recorder.counts.connections == 2
    assert recorder.counts.repeats >= 1
    gaps = rows(tmp_path, "gaps")
    assert gaps.filter(pl.col("stream") == "quotes")["reason"].to_list() == ["disconnected"]


@pytest.mark.parametrize("body", ["{}", '[{"trade_id": "x"}]'])
def test_an_answer_of_another_shape_is_a_lost_gap_and_not_an_end(tmp_path, body):
    class Strange(Coinbase):
        def answer(self, connection, request):
            if urlsplit(request.path).path.startswith("/products/"):
                return connection.respond(HTTPStatus.OK, body)
            return None

    record(lambda: Strange(lost=range(100, 110)), tmp_path)
    (gap,) = rows(tmp_path, "gaps").rows(named=True)
    assert (gap["first_missing"], gap["last_missing"], gap["outcome"]) == (100, 109, "lost")
    assert rows(tmp_path, "trades").height == N_TRADES - 10
