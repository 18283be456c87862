"""The patient client against a real server that behaves badly."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import socket
import time
import traceback
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from local_server import Reply

from btq_assets.config import ProviderSection
from btq_assets.sources.answers import AnswerStore
from btq_assets.sources.errors import (
    AnswerShapeError,
    NotFoundError,
    ProviderUnavailableError,
    RefusedRequestError,
    SourceError,
    WrongKeyError,
)
from btq_assets.sources.http import HttpClient, Pace, TryAgainError

NOW = dt.datetime(2024, 5, 6, 7, tzinfo=dt.UTC)
#: Characters that addresses and JSON write differently.
KEY = 'k3y+/=% "\\secret'


class Clock:
    """Monotonic seconds that pass only while one sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(web, clock, tmp_path):
    def make(*, key: str = "", now: dt.datetime = NOW, replay: bool = False, **settings):
        options = {"calls_per_minute": 6_000, "max_attempts": 3, "timeout_s": 5} | settings
        more = {name: options.pop(name) for name in ("max_answer_mib", "pace") if name in options}
        section = ProviderSection(base_url=web.url, **options)
        return HttpClient(
            "test",
            section,
            now,
            answers=AnswerStore(tmp_path / "answers"),
            key=key,
            replay=replay,
            sleep=clock.sleep,
            clock=clock,
            **more,
        )

    return make


def test_a_passing_failure_is_tried_again_with_growing_jittered_waits(web, client, clock):
    web.play(Reply("busy", 503), Reply("busy", 500), Reply("busy", 502), Reply("ok"))
    assert client(max_attempts=4).get("a") == b"ok"
    waits = [wait for wait in clock.waits if wait > 0.5]
    # Exponential from 1 s, with up to 1 s of jitter.
    assert [low <= wait <= low + 1 for low, wait in zip((1, 2, 4), waits, strict=True)] == [
        True
    ] * 3
    assert all(wait != round(wait) for wait in waits)


@pytest.mark.parametrize("status", [408, 429, 500, 503, 599])
def test_a_provider_that_stays_down_is_named_after_the_last_attempt(web, client, status):
    web.respond = lambda request: Reply("try later", status)
    with pytest.raises(
        ProviderUnavailableError,
        match=rf'test gave no usable answer to \["/a".*in 3 attempts.*HTTP {status}: try later.*max_attempts',
    ):
        client().get("a")
    assert len(web.asked) == 3


def test_retry_after_in_seconds_is_kept_to(web, client, clock):
    web.play(Reply("slow down", 429, {"Retry-After": "37"}), Reply("ok"))
    assert client().get("a") == b"ok"
    assert max(clock.waits) == 37


def test_retry_after_as_a_date_counts_from_the_providers_own_clock(web, client, clock):
    """The run's clock stands still at its start; the server sends its own time along."""
    again = format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=90), usegmt=True)
    web.play(Reply("", 503, {"Retry-After": again}), Reply("ok"))
    assert client(now=NOW).get("a") == b"ok"
    assert 85 <= max(clock.waits) <= 91


@pytest.mark.parametrize("text", ["soon", "²", "-5", "Mon, 99 Foo 2024", "", "1e3"])
def test_a_retry_after_nobody_understands_is_left_aside(web, client, clock, text):
    web.play(Reply("", 429, {"Retry-After": text.encode().decode("latin-1")}), Reply("ok"))
    assert client().get("a") == b"ok"
    assert max(clock.waits) <= 2


def test_a_wait_nobody_can_keep_is_not_waited_for(web, client, clock):
    """A daily quota: asking three more times within the hour would only annoy."""
    web.respond = lambda request: Reply("quota", 429, {"Retry-After": "86400"})
    with pytest.raises(ProviderUnavailableError, match=r"in 1 attempts.*asks to wait 86,400 s"):
        client().get("a")
    assert len(web.asked) == 1
    assert clock.waits == []


@pytest.mark.parametrize(
    ("status", "error", "text"),
    [
        (401, WrongKeyError, r"refused the request \(HTTP 401\): no such key. Check its key"),
        (403, WrongKeyError, "its plan allows"),
        (404, NotFoundError, r'nothing at \["/a", \{\}, null\]'),
        (410, NotFoundError, "HTTP 410"),
        (400, RefusedRequestError, "HTTP 400"),
        (451, SourceError, "HTTP 451"),
    ],
)
def test_a_no_is_taken_at_once(web, client, clock, status, error, text):
    web.respond = lambda request: Reply("no such key", status)
    with pytest.raises(error, match=text) as caught:
        client().get("a")
    assert len(web.asked) == 1
    assert [wait for wait in clock.waits if wait > 0.5] == []
    if isinstance(caught.value, RefusedRequestError):
        assert (caught.value.status, caught.value.said) == (status, "no such key")


@pytest.mark.parametrize("how", ["cut", "cut_chunks", "drop"])
def test_half_an_answer_is_no_answer(web, client, how):
    web.play(Reply("0123456789" * 50, how=how), Reply("whole"))
    assert client().get("a") == b"whole"
    web.respond = lambda request: Reply("0123456789", how=how)
    with pytest.raises(ProviderUnavailableError, match="3 attempts"):
        client().get("b")


@pytest.mark.parametrize("how", ["cut", "cut_chunks"])
def test_half_a_compressed_answer_is_no_answer(web, client, how):
    packed = gzip.compress(bytes(range(256)) * 40)
    web.play(
        Reply(packed, headers={"Content-Encoding": "gzip"}, how=how),
        Reply(packed, headers={"Content-Encoding": "gzip"}),
    )
    assert client().get("a") == bytes(range(256)) * 40


def test_a_body_that_is_not_what_it_says_is_tried_again(web, client):
    web.play(Reply("plain text", headers={"Content-Encoding": "gzip"}), Reply("ok"))
    assert client().get("a") == b"ok"
    # The same with an error status: reading what was said may fail too.
    web.play(Reply("plain text", 500, headers={"Content-Encoding": "gzip"}), Reply("ok"))
    assert client().get("b") == b"ok"
    web.play(Reply("0123456789" * 9, 500, how="cut"), Reply("ok"))
    assert client().get("c") == b"ok"


def test_a_slow_drip_is_given_up(web, client):
    """Each byte comes in time, so no read ever times out; the answer as a whole does."""
    made = client(timeout_s=0.1, max_attempts=1)
    made.clock = time.monotonic
    web.respond = lambda request: Reply("x" * 10_000, how="drip", pause_s=0.02)
    started = time.monotonic()
    with pytest.raises(ProviderUnavailableError, match=r"only \d+ bytes in"):
        made.get("a")
    assert time.monotonic() - started < 3


def test_a_read_that_times_out_is_tried_again(web, client):
    web.play(Reply("slow", how="drip", pause_s=1.0), Reply("ok"))
    assert client(timeout_s=0.2).get("a") == b"ok"


def test_a_server_that_is_not_there_is_named(client):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = client()
    made.settings = made.settings.model_copy(update={"base_url": f"http://127.0.0.1:{port}"})
    with pytest.raises(ProviderUnavailableError, match="ConnectionError"):
        made.get("a")


def test_an_oversized_answer_is_refused_once(web, client):
    web.respond = lambda request: Reply(b"x" * 300_000)
    with pytest.raises(SourceError, match=r"more than 0\.1 MiB; nothing was stored"):
        client(max_answer_mib=0.1).get("a")
    assert len(web.asked) == 1


def test_a_small_answer_that_unpacks_without_end_is_refused(web, client):
    bomb = gzip.compress(b"\0" * 5_000_000)
    web.respond = lambda request: Reply(bomb, headers={"Content-Encoding": "gzip"})
    with pytest.raises(SourceError, match="more than 1 MiB"):
        client(max_answer_mib=1).get("a")


def test_the_pace_is_kept_over_requests_and_over_clients(web, client, clock):
    web.respond = lambda request: Reply("ok")
    pace = Pace()
    for number in range(3):
        made = client(calls_per_minute=30, pace=pace)
        made.get("a", {"n": number})
        made.get("b", {"n": number})
    # 30 a minute are two seconds apart; the first one waits for nobody.
    assert clock.waits == [2.0] * 5


def test_attempts_keep_the_pace_too(web, client, clock):
    web.respond = lambda request: Reply("", 500)
    with pytest.raises(ProviderUnavailableError):
        client(calls_per_minute=1).get("a")
    assert clock.now >= 120


def test_a_stored_answer_is_used_while_it_is_fresh_and_confirmed_when_it_is_not(web, client):
    web.respond = lambda request: (
        Reply(status=304)
        if request.headers.get("if-none-match") == '"v1"'
        else Reply(
            "one", headers={"ETag": '"v1"', "Last-Modified": "Mon, 06 May 2024 05:00:00 GMT"}
        )
    )
    assert client().get("a") == b"one"
    soon = client(now=NOW + dt.timedelta(hours=11))
    assert soon.get("a") == b"one"
    assert (soon.n_requests, soon.n_stored, len(web.asked)) == (0, 1, 1)
    later = client(now=NOW + dt.timedelta(hours=13))
    assert later.get("a") == b"one"
    assert web.asked[-1].headers["if-modified-since"] == "Mon, 06 May 2024 05:00:00 GMT"
    assert len(web.asked) == 2
    # The confirmation counts as fetched now: within twelve hours of it nobody is asked.
    assert client(now=NOW + dt.timedelta(hours=20)).get("a") == b"one"
    assert len(web.asked) == 2


def test_a_changed_answer_takes_the_place_of_the_stored_one(web, client):
    web.play(Reply("one", headers={"ETag": '"v1"'}), Reply("two", headers={"ETag": '"v2"'}))
    assert client().get("a") == b"one"
    assert client(answers_fresh_hours=0, now=NOW + dt.timedelta(seconds=1)).get("a") == b"two"
    assert client(replay=True).get("a") == b"two"


def test_replay_asks_nobody_whatever_the_age(web, client):
    web.respond = lambda request: Reply('{"a": 1}')
    client().get_json("a", {"x": 1, "none": None})
    web.asked.clear()
    old = client(replay=True, now=NOW + dt.timedelta(days=4_000))
    assert old.get_json("a", {"x": 1}) == {"a": 1}
    with pytest.raises(
        ProviderUnavailableError, match=r'no stored answer to .*"x": 2.*replay: false'
    ):
        old.get_json("a", {"x": 2})
    assert web.asked == []


def test_a_body_the_judge_refuses_is_neither_returned_nor_stored(web, client):
    def judge(body: bytes) -> None:
        if b"Note" in body:
            raise TryAgainError("throttled", wait_s=60)

    web.play(Reply("Note: slow down"), Reply("data"))
    made = client()
    assert made.get("a", judge=judge) == b"data"
    assert client(replay=True).get("a") == b"data"


@pytest.mark.parametrize("body", ["", "<html>oops</html>", '{"a": 1', "NaN?"])
def test_what_is_not_json_is_asked_for_again_and_then_named(web, client, body):
    web.play(Reply(body), Reply("[1]"))
    assert client().get_json("a") == [1]
    web.respond = lambda request: Reply(body)
    with pytest.raises(ProviderUnavailableError, match="not JSON"):
        client().get_json("b")


def test_a_stored_answer_that_is_not_json_is_named(web, client):
    web.respond = lambda request: Reply("plain")
    client().get("a")
    with pytest.raises(AnswerShapeError, match="expected JSON, found plain"):
        client().get_json("a")


def test_a_post_is_another_question_than_a_get(web, client):
    web.respond = lambda request: Reply(request.method.encode() + request.body)
    assert client().get("a", post_json={"b": 1}) == b'POST{"b": 1}'
    assert client().get("a") == b"GET"


def leaks(text: str, key: str = KEY) -> bool:
    from urllib.parse import quote, quote_plus

    forms = {key, quote(key), quote(key, safe=""), quote_plus(key), json.dumps(key)[1:-1]}
    return any(form in text or form.lower() in text for form in forms)


FAILURES = [
    Reply("", how="drop"),
    Reply(f"bad key {KEY}", 401),
    Reply(f"no {KEY}", 404),
    Reply(f"wrong {KEY}", 400),
    Reply(f"{'x' * 190}{KEY}", 400),
    Reply(f"limit of {KEY}", 429),
    Reply(json.dumps({"next": KEY}), 500),
    Reply(f"<html>{KEY}</html>"),
    Reply(KEY * 30, how="cut"),
    Reply("", 302, {"Location": "http://127.0.0.1:9/elsewhere?api_key=k3y%2B%2F%3D%25%20%22%5Csecret"}),
]  # fmt: skip


@pytest.mark.parametrize("reply", FAILURES, ids=lambda reply: f"{reply.status}-{reply.how}")
def test_no_error_shows_the_key(web, client, tmp_path, reply):
    web.respond = lambda request: reply
    made = client(key=KEY, max_attempts=2)
    with pytest.raises(SourceError) as caught:
        made.get_json("a", secret_params={"api_key": KEY})
    # As a log and Dagster show it: the message and its chain of causes.
    shown = "".join(traceback.format_exception(caught.value))
    assert not leaks(shown), shown
    assert not leaks(repr(made) + str(caught.value.args))
    assert not any(leaks(file.read_text(errors="replace")) for file in stored_files(tmp_path))


def stored_files(root):
    return [file for file in root.rglob("*") if file.is_file()]


def test_no_stored_answer_holds_the_key_and_a_replay_finds_the_next_page_without_it(
    web, client, tmp_path
):
    def respond(request):
        if request.path == "/page":
            following = f"{web.url}/next?cursor=2&api_key=k3y%2B%2F%3D%25%20%22%5Csecret"
            return Reply(json.dumps({"rows": [1], "next": following, "echo": KEY}))
        return Reply(json.dumps({"rows": [2]}))

    web.respond = respond

    def pages(made: HttpClient) -> list[int]:
        first = made.get_json("page", secret_params={"api_key": KEY}, secret_headers={"X-Key": "h"})
        return first["rows"] + made.get_json(first["next"])["rows"]

    assert pages(client(key=KEY)) == [1, 2]
    assert web.asked[0].params["api_key"] == KEY
    for file in stored_files(tmp_path):
        assert not leaks(gzip.decompress(file.read_bytes()).decode())
        assert not leaks(file.name)
    web.asked.clear()
    # A replay has no key.
    assert pages(client(replay=True)) == [1, 2]
    assert web.asked == []


def test_a_key_in_a_header_does_not_follow_a_redirect(web, client):
    web.respond = lambda request: Reply("", 302, {"Location": f"{web.url}/elsewhere"})
    with pytest.raises(RefusedRequestError, match="HTTP 302"):
        client(key="k").get("a", secret_headers={"X-Api-Key": "k"})
    assert [request.path for request in web.asked] == ["/a"]


def test_a_key_no_header_can_carry_is_named_without_being_shown(client):
    key = "".join(map(chr, (0x2192, 0x73, 0x2190)))  # Not in the source lines of the traceback.
    with pytest.raises(SourceError, match="copy the key again") as caught:
        client(key=key).get("a", secret_headers={"X-Key": key})
    assert key not in "".join(traceback.format_exception(caught.value))


@settings(max_examples=60, deadline=None)
@given(key=st.text(min_size=3, max_size=20).filter(lambda text: "*" not in text), data=st.data())
def test_blotting_removes_every_way_to_write_a_key(key, data):
    from urllib.parse import quote, quote_plus

    made = HttpClient("test", ProviderSection(), NOW, key=key)
    write = data.draw(st.sampled_from([str, quote, quote_plus, lambda k: json.dumps(k)[1:-1]]))
    assert write(key) not in made.blot(f"before {write(key)} after")
    assert write(key) not in made.excerpt(("y" * 195 + write(key)).encode("utf-8", "replace"))
