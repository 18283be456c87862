"""A local stand-in for Yahoo's servers, and a warehouse in a temporary folder."""

from __future__ import annotations

import datetime as dt
import http.server
import json
import threading
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

import dagster as dg
import pytest

from btq_assets.config import TradingConfig
from btq_assets.warehouse import Warehouse
from btq_assets.warehouse.paths import DataPaths
from btq_assets.warehouse.resources import ConfigResource, DeviceResource, WarehouseResource

#: 2024-03-04 to 2024-03-06 and 2024-03-28, at the New York open, as Yahoo stamps daily bars.
OPENS = [
    dt.datetime(2024, 3, day, hour, 30, tzinfo=dt.UTC)
    for day, hour in ((4, 14), (5, 14), (6, 14), (28, 13))
]


def chart(closes: list[float | None], zone: str = "America/New_York") -> dict:
    """The shape of an answer of ``/v8/finance/chart``."""
    quote = {
        "open": closes,
        "high": [None if c is None else c + 1 for c in closes],
        "low": [None if c is None else c - 1 for c in closes],
        "close": closes,
        "volume": [None if c is None else 1_000 for c in closes],
    }
    meta = {
        "currency": "USD",
        "symbol": "SPY",
        "instrumentType": "ETF",
        "exchangeTimezoneName": zone,
        "validRanges": ["1d", "max"],
    }
    adjusted = [None if c is None else c / 2 for c in closes]
    result = {
        "meta": meta,
        "timestamp": [int(stamp.timestamp()) for stamp in OPENS[: len(closes)]],
        "indicators": {"quote": [quote], "adjclose": [{"adjclose": adjusted}]},
    }
    return {"chart": {"result": [result], "error": None}}


def refusal(description: str) -> dict:
    return {"chart": {"result": None, "error": {"code": "Not Found", "description": description}}}


@dataclass
class Yahoo:
    """What the stand-in answers, and what it was asked."""

    url: str = ""
    answers: dict[str, dict] = field(default_factory=dict)
    failures: list[tuple[int, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    chart = staticmethod(chart)
    refusal = staticmethod(refusal)

    def respond(self, path: str) -> tuple[int, str]:
        parts = urlsplit(path)
        if "/quoteSummary/" in parts.path or parts.path.endswith("/quote"):
            error = {"code": "Not Found", "description": "Quote not found for symbol"}
            return 404, json.dumps({"quoteSummary": {"result": None, "error": error}})
        if "/chart/" not in parts.path:
            return 200, "crumb"
        if "period1" in parse_qs(parts.query):
            self.asked.append(parts.path)
            if self.failures:
                return self.failures.pop(0)
        symbol = unquote(parts.path.rsplit("/", 1)[1])
        answer = self.answers.get(symbol, refusal("No data found, symbol may be delisted"))
        return (200 if answer["chart"]["error"] is None else 404), json.dumps(answer)


@pytest.fixture
def yahoo(tmp_path):
    import yfinance

    yfinance.set_tz_cache_location(str(tmp_path / "yfinance"))
    state = Yahoo()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            code, text = state.respond(self.path)
            body = text.encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def run(tmp_path):
    """Materialize table assets over a real DuckDB file; ``run.warehouse`` reads it."""
    root = tmp_path / "data"

    def resources(config: TradingConfig) -> dict:
        return {
            "trading": ConfigResource.of(config),
            "warehouse": WarehouseResource(path=str(root), lock_timeout_s=5),
            "device": DeviceResource(device="cpu"),
        }

    def execute(*assets, config: TradingConfig, raise_on_error: bool = True):
        return dg.materialize(
            [asset.definition(config) for asset in assets],
            resources=resources(config),
            raise_on_error=raise_on_error,
        )

    execute.resources = resources
    execute.warehouse = Warehouse(DataPaths(root), 5)
    return execute
