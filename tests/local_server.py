"""A local stand-in for any provider: it says what a test tells it to, as badly as it is told to."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Reply:
    """One answer.

    Parameters
    ----------
    how
        ``whole``; ``cut`` (half the announced bytes, then the end); ``cut_chunks`` (chunked, the
        last chunk missing); ``unannounced`` (no length, closed at the end); ``drop`` (closed
        without a word); ``drip`` (a byte at a time, `pause_s` apart).
    """

    body: bytes | str = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    how: Literal["whole", "cut", "cut_chunks", "unannounced", "drop", "drip"] = "whole"
    pause_s: float = 0.05

    @property
    def content(self) -> bytes:
        return self.body.encode() if isinstance(self.body, str) else self.body


@dataclass(frozen=True)
class Request:
    """What was asked."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""


Respond = Callable[[Request], Reply]


@dataclass
class Web:
    """The server: `script` is played first, then `respond` answers."""

    url: str = ""
    script: list[Reply] = field(default_factory=list)
    respond: Respond = lambda request: Reply("nothing here", 404)
    asked: list[Request] = field(default_factory=list)

    def play(self, *replies: Reply) -> None:
        self.script.extend(replies)

    def answer(self, request: Request) -> Reply:
        self.asked.append(request)
        return self.script.pop(0) if self.script else self.respond(request)


@contextmanager
def serving() -> Iterator[Web]:
    """A `Web` on a free port of the loopback, in a thread."""
    web = Web()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            request = Request(
                self.command,
                parts.path,
                dict(parse_qsl(parts.query, keep_blank_values=True)),
                {name.lower(): value for name, value in self.headers.items()},
                self.rfile.read(length),
            )
            try:
                self._send(web.answer(request))
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        do_POST = do_GET  # noqa: N815

        def _send(self, reply: Reply) -> None:
            body = reply.content
            if reply.how != "whole":
                self.close_connection = True
            if reply.how == "drop":
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.how == "cut_chunks":
                self.send_header("Transfer-Encoding", "chunked")
            elif reply.how != "unannounced" and reply.status != 304:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if reply.how == "cut":
                self.wfile.write(body[: len(body) // 2])
            elif reply.how == "cut_chunks":
                self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body))
            elif reply.how == "drip":
                for place in range(len(body)):
                    self.wfile.write(body[place : place + 1])
                    self.wfile.flush()
                    time.sleep(reply.pause_s)
            elif reply.status != 304:
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    web.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
