"""A local HTTP server that answers as a provider would, and clients pointed at it."""

from __future__ import annotations

import datetime as dt
import http.server
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from btq_assets.sources.answers import AnswerStore
from btq_assets.sources.http import HttpClient
from btq_assets.sources.provider import Window


@dataclass
class Request:
    """One question, as the server understood it."""

    path: str
    params: dict[str, str]
    headers: dict[str, str]


@dataclass
class Reply:
    """One answer; `cut` bytes are promised but not sent."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0

    @property
    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


@dataclass
class Server:
    """What was asked; `answer` decides, `before` is served first and once each."""

    url: str = ""
    asked: list[Request] = field(default_factory=list)
    before: list[Reply] = field(default_factory=list)
    answer: Callable[[Request], Reply] = lambda request: Reply("not set up", 500)

    Reply = Reply


@pytest.fixture
def server():
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urlsplit(self.path)
            request = Request(parts.path, dict(parse_qsl(parts.query)), dict(self.headers))
            state.asked.append(request)
            reply = state.before.pop(0) if state.before else state.answer(request)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.content)))
            self.end_headers()
            self.wfile.write(reply.content[: len(reply.content) - reply.cut])

        def log_message(self, *args):
            pass

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    state.url = f"http://127.0.0.1:{listening.server_port}"
    yield state
    listening.shutdown()
    listening.server_close()
    thread.join()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def client_of(server, waits, tmp_path):
    """``client_of(name, section)``: asks the local server and never sleeps."""

    def sleep(seconds: float) -> None:
        # Waits after failures last a second at least, those for the pace a hundredth.
        if seconds >= 1:
            waits.append(seconds)

    def make(name, section, now, *, key="", store=False, replay=False) -> HttpClient:
        return HttpClient(
            name,
            section.model_copy(update={"calls_per_minute": 6_000.0}),
            now,
            key=key,
            replay=replay,
            answers=AnswerStore(tmp_path / "answers") if store else None,
            sleep=sleep,
            clock=lambda: 0.0,
        )

    return make


@pytest.fixture
def month() -> Callable[[int, int], Window]:
    def of(year: int, number: int) -> Window:
        start = dt.datetime(year, number, 1, tzinfo=dt.UTC)
        after = dt.datetime(year + number // 12, number % 12 + 1, 1, tzinfo=dt.UTC)
        return Window(start, after)

    return of
