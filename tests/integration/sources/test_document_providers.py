"""Feeds, GDELT, Alpha Vantage, Reddit, X and EDGAR in their own shapes, from a local server."""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from local_server import Reply, Request

from btq_assets.automation.partitions import partitions_of
from btq_assets.config import ConfigError, TradingConfig
from btq_assets.contracts import quarantine, raw
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.sources.answers import AnswerStore
from btq_assets.sources.assets import provider_asset
from btq_assets.sources.errors import (
    AnswerShapeError,
    MissingKeyError,
    ProviderUnavailableError,
    SourceError,
    UnknownSymbolError,
    WindowError,
    WrongKeyError,
)
from btq_assets.sources.fetching import fetch_window, key_of, window_of
from btq_assets.sources.http import HttpClient
from btq_assets.sources.provider import Fetched
from btq_assets.sources.sentiment import registry
from btq_assets.sources.sentiment.providers.x import number_at
from btq_assets.sources.vintages import new_vintages
from btq_assets.warehouse import Warehouse
from btq_assets.warehouse.paths import DataPaths
from btq_assets.warehouse.resources import ConfigResource, DeviceResource, WarehouseResource

NOW = dt.datetime(2024, 6, 3, 12, tzinfo=dt.UTC)
ENTRIES = {entry.name: entry for entry in registry.ENTRIES}
MAY = "2024-05-01"
REDDIT_KEY = "my-client:hush-hush-secret"


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)


@pytest.fixture
def settings(web) -> Callable[..., TradingConfig]:
    def make(name: str, **options) -> TradingConfig:
        given = {"base_url": web.url, "max_attempts": 1, "calls_per_minute": 600, "enabled": True}
        if name == "rss":
            given["feeds"] = (f"{web.url}/feed",)
        if name == "edgar":
            given["contact"] = "Jane Doe jane@example.org"
        if name == "reddit":
            given["token_url"] = f"{web.url}/token"
        return TradingConfig(sources={name: given | options})

    return make


@pytest.fixture
def fetch(settings) -> Callable[..., Fetched]:
    def call(name: str, *, month: str | None = None, key: str = "", now=NOW, **options) -> Fetched:
        section = getattr(settings(name, **options).sources, name)
        key = key or {"reddit": REDDIT_KEY, "x": "bearer", "alpha_vantage_news": "av-key"}.get(
            name, ""
        )
        if ENTRIES[name].partitions and month is None:
            month = MAY
        fetched, _ = fetch_window(ENTRIES[name], section, key=key, now=now, partition_key=month)
        return fetched

    return call


def rows_of(fetched: Fetched, name: str) -> pl.DataFrame:
    contract = ENTRIES[name].contracts[0]
    frame = cast_to_contract(fetched.frames[contract.table], contract)
    assert violations(frame, contract).is_empty()
    return frame.sort("published_at", "doc_id", "symbol")


def always(body: object, **options) -> Callable[[Request], Reply]:
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    return lambda request: Reply(content, **options)


# --- RSS and Atom

RSS = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel>
<title>Market Wire</title><language>en-us</language>
<item><title>Apple &amp; suppliers rally</title><link>https://n.example/1</link>
 <guid isPermaLink="false">wire-1</guid><pubDate>Fri, 31 May 2024 09:30:00 -0400</pubDate>
 <description>&lt;p&gt;Shares of &lt;b&gt;Apple&lt;/b&gt; rose.&lt;script&gt;x()&lt;/script&gt;&lt;/p&gt;</description></item>
<item><title>No date here</title><link>https://n.example/2</link></item>
<item><title></title><link>https://n.example/3</link><pubDate>Fri, 31 May 2024 10:00:00 GMT</pubDate></item>
<item><title>From tomorrow</title><link>https://n.example/4</link><pubDate>Wed, 05 Jun 2024 10:00:00 GMT</pubDate></item>
</channel></rss>
"""

ATOM = """<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="de">
<title>Kurse</title><updated>2024-06-01T12:00:00Z</updated><id>urn:feed</id>
<entry><title>Überarbeitete Meldung</title><id>urn:1</id><link href="https://d.example/1"/>
<published>2024-05-30T10:00:00+02:00</published><updated>2024-06-01T11:00:00Z</updated>
<summary>Kurz.</summary></entry></feed>
"""


def test_an_rss_feed_is_read_with_its_zones_entities_and_html(web, fetch):
    web.respond = always(RSS)
    fetched = fetch("rss")
    first, undated = rows_of(fetched, "rss").iter_rows(named=True)
    # 09:30 at UTC-4 is 13:30 UTC; known a minute later.
    assert first["published_at"] == utc(2024, 5, 31, 13, 30)
    assert first["known_at"] == utc(2024, 5, 31, 13, 31)
    assert (first["headline"], first["text"]) == (
        "Apple & suppliers rally",
        "Shares of Apple rose.",
    )
    assert (first["language"], first["author"], first["url"], first["symbol"]) == (
        "en", "Market Wire", "https://n.example/1", "",
    )  # fmt: skip
    assert (undated["headline"], undated["known_at"]) == ("No date here", NOW)
    reasons = sorted(fetched.rejected["reason"])
    assert [reason[:15] for reason in reasons] == ["no headline and", "published 2024-"]


def test_an_atom_entry_is_known_from_its_last_update(web, fetch):
    web.respond = always(ATOM)
    (row,) = rows_of(fetch("rss"), "rss").iter_rows(named=True)
    assert row["published_at"] == utc(2024, 5, 30, 8)
    assert row["known_at"] == utc(2024, 6, 1, 11, 1)
    assert row["language"] == "de"
    assert row["headline"] == "Überarbeitete Meldung"


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY a{i} "{f"&a{i - 1 if i else str()};" * 10}">' for i in range(9))
    + "]><rss version='2.0'><channel><item><title>&a8;</title></item></channel></rss>"
)


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        (BOMB, AnswerShapeError, "defines XML entities"),
        (BOMB.encode("utf-16"), AnswerShapeError, "defines XML entities"),
        (RSS[:400], ProviderUnavailableError, "cut off, or no feed"),
        ("", ProviderUnavailableError, "cut off, or no feed"),
        ("<html><body>Sign in</body></html>", ProviderUnavailableError, "no feed"),
        ("<other></rss>", AnswerShapeError, "neither RSS nor Atom"),
    ],
)
def test_a_bomb_a_torn_feed_and_no_feed_are_named(web, fetch, body, error, message):
    web.respond = always(body)
    with pytest.raises(error, match=message):
        fetch("rss")


def test_a_feed_that_fails_holds_back_no_other(web, fetch):
    web.respond = lambda request: Reply(RSS) if request.path == "/good" else Reply("gone", 404)
    fetched = fetch("rss", feeds=(f"{web.url}/bad", f"{web.url}/good"))
    assert rows_of(fetched, "rss").height == 2
    assert fetched.notes["feeds_refused"] == 1
    assert any("/bad" in row for row in fetched.rejected["row_json"])


def test_an_edited_entry_is_a_new_vintage_known_from_the_fetch(web, fetch):
    contract = raw.DOCUMENTS_RSS
    web.respond = always(RSS)
    stored = rows_of(fetch("rss"), "rss")

    def added(now: dt.datetime) -> pl.DataFrame:
        again = rows_of(fetch("rss", now=now), "rss")
        return new_vintages(
            stored, again, now, key=("doc_id", "symbol"), values=ENTRIES["rss"].compared
        )

    later = NOW + dt.timedelta(hours=1)
    assert added(later).is_empty()  # the entry without a date too
    web.respond = always(RSS.replace("suppliers rally", "suppliers slump"))
    (row,) = added(later).iter_rows(named=True)
    assert (row["headline"], row["known_at"], row["known_at_basis"]) == (
        "Apple & suppliers slump", later, "recorded",
    )  # fmt: skip
    assert row["doc_id"] in set(stored["doc_id"])
    assert contract.append_only


# --- GDELT


def article(minute: int, **changes) -> dict:
    seen = utc(2024, 5, 1) + dt.timedelta(minutes=minute)
    return {
        "url": f"https://a.example/{minute}",
        "url_mobile": "",
        "title": f"Story number {minute}",
        "seendate": f"{seen:%Y%m%dT%H%M%SZ}",
        "socialimage": "",
        "domain": "a.example",
        "language": "English",
        "sourcecountry": "United States",
    } | changes


def test_gdelt_is_asked_in_halves_until_an_answer_holds_all(web, fetch):
    world = [article(minute) for minute in range(0, 44_640, 80)]  # 558 articles in May

    def respond(request: Request) -> Reply:
        low, high = (request.params[n] for n in ("startdatetime", "enddatetime"))
        found = [a for a in world if low <= a["seendate"].replace("T", "").rstrip("Z") <= high]
        return Reply(json.dumps({"articles": found[: int(request.params["maxrecords"])]}))

    web.respond = respond
    rows = rows_of(fetch("gdelt", queries=("apple",)), "gdelt")
    assert rows.height == len(world)
    # 558 > 250: the month, two halves of 279, four quarters of 140.
    assert len(web.asked) == 7
    assert rows["known_at"][0] - rows["published_at"][0] == dt.timedelta(minutes=15)
    assert rows.select("language", "author", "dataset").row(0) == ("en", "a.example", "apple")


def test_gdelts_own_kind_of_json_is_read(web, fetch):
    body = json.dumps({"articles": [article(1, title="TITLE"), article(2, seendate="never")]})
    web.respond = always(body.replace("TITLE", "Profit \\up 5\\% \t at S\\&P member"))
    fetched = fetch("gdelt")
    (row,) = rows_of(fetched, "gdelt").iter_rows(named=True)
    assert row["headline"] == "Profit \\up 5\\% at S\\&P member"
    assert fetched.rejected["reason"].to_list() == ["'never' is not a time this source writes"]


@pytest.mark.parametrize("body", ["{}", "", '{"articles": []}'])
def test_gdelt_says_nothing_in_several_ways(web, fetch, body):
    web.respond = always(body)
    assert rows_of(fetch("gdelt"), "gdelt").is_empty()


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ("Your query was too short or too long.", SourceError, "refuses the query: Your query"),
        ("Please limit requests to one every 5 seconds", ProviderUnavailableError, "limit"),
        ("<html>502</html>", ProviderUnavailableError, "no usable answer"),
        ('{"articles": [{"url": "https', ProviderUnavailableError, "not JSON"),
        ('{"articles": {"a": 1}}', AnswerShapeError, "a list under 'articles'"),
        ('["articles"]', SourceError, "articles"),
    ],
)
def test_gdelts_refusals_with_http_200_are_named(web, fetch, body, error, message):
    web.respond = always(body)
    with pytest.raises(error, match=message):
        fetch("gdelt")


def test_a_window_before_gdelts_history_is_named(fetch):
    with pytest.raises(WindowError, match="begins in 2017-01"):
        fetch("gdelt", month="2016-12-01")


# --- Alpha Vantage


def news(minute: int, **changes) -> dict:
    published = utc(2024, 5, 2) + dt.timedelta(minutes=minute)
    return {
        "title": f"News {minute}",
        "url": f"https://v.example/{minute}",
        "time_published": f"{published:%Y%m%dT%H%M%S}",
        "authors": ["A. B."],
        "summary": "A summary.",
        "banner_image": None,
        "source": "V",
        "overall_sentiment_score": 0.1,
        "overall_sentiment_label": "Neutral",
        "ticker_sentiment": [
            {"ticker": "AAPL", "relevance_score": "0.912", "ticker_sentiment_score": "-0.25",
             "ticker_sentiment_label": "Somewhat-Bearish"},
            {"ticker": "CRYPTO:BTC", "relevance_score": "0.05", "ticker_sentiment_score": None},
        ],
    } | changes  # fmt: skip


def test_alpha_vantage_news_come_page_by_page_with_their_tickers(web, fetch):
    world = [news(minute) for minute in range(0, 50, 10)]

    def respond(request: Request) -> Reply:
        low, high = (request.params[n] for n in ("time_from", "time_to"))
        found = [n for n in world if low <= n["time_published"][:13] <= high]
        return Reply(json.dumps({"items": "2", "feed": found[: int(request.params["limit"])]}))

    web.respond = respond
    fetched = fetch("alpha_vantage_news", symbols=("AAPL",), page_size=2)
    rows = rows_of(fetched, "alpha_vantage_news")
    assert rows["doc_id"].n_unique() == len(world)
    assert fetched.notes["symbols_cut_short"] == 0
    assert {r.params["apikey"] for r in web.asked} == {"av-key"}
    assert web.asked[0].params["time_from"] == "20240501T0000"
    assert web.asked[0].params["time_to"] == "20240531T2359"
    stated = rows.filter(doc_id=rows["doc_id"][0]).select("symbol", "relevance", "source_score")
    assert stated.rows() == [("AAPL", 0.912, -0.25), ("CRYPTO:BTC", 0.05, None)]


def test_more_news_in_one_minute_than_a_page_holds_ends_and_says_so(web, fetch):
    web.respond = always({"feed": [news(0), news(0, url="https://v.example/other")]})
    fetched = fetch("alpha_vantage_news", symbols=("AAPL",), page_size=2)
    assert fetched.notes["symbols_cut_short"] == 1
    assert len(web.asked) == 2


@pytest.mark.parametrize(
    ("said", "error", "message"),
    [
        ({"Note": "Thank you! 5 calls per minute"}, ProviderUnavailableError, "in 1 attempts"),
        (
            {"Information": "We have detected your API key as av-key: 25 requests per day."},
            ProviderUnavailableError,
            r"quota of the day.*as \*\*\*",
        ),
        ({"Information": "This is a premium endpoint."}, WrongKeyError, "ALPHA_VANTAGE_KEY"),
        ({"Error Message": "the parameter apikey is invalid"}, WrongKeyError, "refused the key"),
        ({"Information": "Invalid inputs. See tickers."}, SourceError, "question about 'NOPE'"),
        ({"other": 1}, AnswerShapeError, "a list under 'feed'"),
        ([1], AnswerShapeError, "a list under 'feed'"),
    ],
)
def test_what_alpha_vantage_says_with_http_200_is_named(web, fetch, said, error, message):
    web.respond = always(said)
    with pytest.raises(error, match=message) as caught:
        fetch("alpha_vantage_news", symbols=("NOPE",))
    assert "av-key" not in str(caught.value)


def test_no_articles_are_no_error(web, fetch):
    web.respond = always({"Information": "No articles found. Please adjust the time range."})
    assert rows_of(fetch("alpha_vantage_news"), "alpha_vantage_news").is_empty()


# --- Reddit


def post(number: int, **changes) -> dict:
    data = {
        "id": f"p{number}",
        "name": f"t3_p{number}",
        "title": f"Post {number} about $AAPL",
        "selftext": "Long story.",
        "created_utc": (utc(2024, 6, 3, 11) - dt.timedelta(minutes=number)).timestamp(),
        "edited": False,
        "permalink": f"/r/stocks/comments/p{number}/post/",
        "subreddit": "stocks",
        "author": "somebody",
        "stickied": False,
    }
    return {"kind": "t3", "data": data | changes}


def reddit(pages: list[list[dict]]) -> Callable[[Request], Reply]:
    def respond(request: Request) -> Reply:
        if request.path == "/token":
            return Reply(json.dumps({"access_token": "tok-123", "expires_in": 86_400}))
        page = int(request.params.get("after", "0"))
        after = str(page + 1) if page + 1 < len(pages) else None
        return Reply(
            json.dumps({"kind": "Listing", "data": {"after": after, "children": pages[page]}})
        )

    return respond


def test_reddit_posts_come_through_a_token_and_pages(web, fetch):
    edited = utc(2024, 6, 3, 11, 30).timestamp()
    pages = [
        [post(1), post(2, edited=edited, selftext="[removed]"), post(3, stickied=True)],
        [post(4, created_utc=None), post(5, title=""), {"kind": "t3"}],
        [post(6, title="Half \ud83d of a pair")],
    ]
    web.respond = reddit(pages)
    fetched = fetch("reddit", subreddits=("stocks",))
    rows = rows_of(fetched, "reddit")
    token, *listings = web.asked
    assert (token.method, token.body) == ("POST", b"grant_type=client_credentials")
    basic = base64.b64encode(REDDIT_KEY.encode()).decode()
    assert token.headers["authorization"] == f"Basic {basic}"
    assert {r.headers["authorization"] for r in listings} == {"Bearer tok-123"}
    assert all("btquant" in r.headers["user-agent"] for r in web.asked)
    assert [r.path for r in listings] == ["/r/stocks/new"] * 3
    by_headline = {r["headline"]: r for r in rows.iter_rows(named=True)}
    assert set(by_headline) == {
        "Post 1 about $AAPL", "Post 2 about $AAPL", "Half ? of a pair",
    }  # fmt: skip
    second = by_headline["Post 2 about $AAPL"]
    assert second["known_at"] == utc(2024, 6, 3, 11, 31)
    assert second["text"] is None
    assert by_headline["Post 1 about $AAPL"]["url"].startswith("https://www.reddit.com/r/stocks/")
    assert "somebody" not in str(rows.rows())
    assert fetched.rejected.height == 3


@pytest.mark.parametrize(
    ("reply", "error", "message"),
    [
        (Reply('{"error": "invalid_grant"}'), WrongKeyError, "refused the application"),
        (Reply("unauthorized", 401), WrongKeyError, "HTTP 401"),
        (Reply('{"token": "tok-123"}'), SourceError, "a shape nobody here knows"),
        (Reply("slow down", 429), ProviderUnavailableError, "HTTP 429"),
    ],
)
def test_a_token_that_is_refused_is_named_and_never_shown(web, fetch, reply, error, message):
    web.respond = lambda request: reply
    with pytest.raises(error, match=message) as caught:
        fetch("reddit")
    assert "hush-hush-secret" not in str(caught.value)
    assert "tok-123" not in str(caught.value)


def test_reddit_credentials_without_a_colon_are_named(fetch):
    with pytest.raises(WrongKeyError, match="client_id:client_secret"):
        fetch("reddit", key="only-one-part")


def test_an_unknown_subreddit_holds_back_no_other(web, fetch):
    good = reddit([[post(1)]])
    web.respond = lambda r: Reply("{}", 404) if "/r/nope" in r.path else good(r)
    fetched = fetch("reddit", subreddits=("nope", "stocks"))
    assert rows_of(fetched, "reddit").height == 1
    assert "no subreddit 'nope'" in fetched.rejected["reason"][0]
    with pytest.raises(UnknownSymbolError, match=r"sources\.reddit\.subreddits"):
        fetch("reddit", subreddits=("nope",))


def test_a_reddit_token_is_in_no_stored_answer(web, settings, tmp_path):
    web.respond = reddit([[post(1)]])
    section = settings("reddit", subreddits=("stocks",)).sources.reddit
    entry = ENTRIES["reddit"]
    kept = tmp_path / "answers"
    first, _ = fetch_window(entry, section, key=REDDIT_KEY, now=NOW, answers=kept)
    texts = [
        str(found)
        for file in kept.rglob("*.gz")
        if (found := AnswerStore(kept).find(_address_of(file)))
    ]
    assert len(texts) == 1
    for secret in ("tok-123", "hush-hush-secret", base64.b64encode(REDDIT_KEY.encode()).decode()):
        assert not any(secret in text for text in texts)
    # A replay needs neither key nor server.
    web.respond = always("down", status=503)
    again, counts = fetch_window(entry, section, now=NOW, answers=kept, replay=True)
    assert rows_of(again, "reddit").equals(rows_of(first, "reddit"))
    assert counts == {"requests": 0, "stored_answers": 1}


def _address_of(file: Path) -> str:
    return json.loads(gzip.decompress(file.read_bytes()).split(b"\n")[0])["address"]


# --- X


def tweet(number: int, **changes) -> dict:
    return {
        "id": str(number),
        "text": f"$AAPL to the moon {number}",
        "created_at": "2024-06-02T10:00:00.000Z",
        "lang": "en",
        "edit_history_tweet_ids": [str(number)],
    } | changes


def test_x_posts_come_page_by_page_up_to_the_limit(web, fetch):
    def respond(request: Request) -> Reply:
        page = int(request.params.get("next_token", "0"))
        answer = {"data": [tweet(page)], "meta": {"result_count": 1, "next_token": str(page + 1)}}
        if page == 1:
            answer["data"] += [tweet(77, created_at=None), tweet(78, lang="qme", text="x" * 600)]
            answer["errors"] = [{"title": "Not Found Error", "value": "9"}]
        return Reply(json.dumps(answer))

    web.respond = respond
    fetched = fetch("x", queries=("$AAPL",), max_pages=3)
    rows = rows_of(fetched, "x")
    assert len(web.asked) == 3
    assert {r.headers["authorization"] for r in web.asked} == {"Bearer bearer"}
    assert fetched.notes["queries_cut_short"] == 1
    assert fetched.rejected.height == 2
    assert rows.height == 4
    long = rows.filter(pl.col("text").is_not_null()).row(0, named=True)
    assert (len(long["text"]), len(long["headline"]), long["language"]) == (600, 400, None)
    short = rows.filter(headline="$AAPL to the moon 0").row(0, named=True)
    assert (short["known_at"], short["language"]) == (utc(2024, 6, 2, 10, 1), "en")


def test_x_without_results_is_empty_and_without_shape_an_error(web, fetch):
    web.respond = always({"meta": {"result_count": 0}})
    assert rows_of(fetch("x"), "x").is_empty()
    web.respond = always({"title": "odd"})
    with pytest.raises(AnswerShapeError, match="posts under 'data'"):
        fetch("x")
    web.respond = always({"title": "Unauthorized"}, status=401)
    with pytest.raises(WrongKeyError, match="HTTP 401"):
        fetch("x")


class Timeline:
    """X's recent search over posts by number, newest first, `page` at a time."""

    def __init__(self, numbers: list[int], page: int = 2) -> None:
        self.numbers, self.page = numbers, page

    def __call__(self, request: Request) -> Reply:
        ask = request.params
        since, until = int(ask.get("since_id", 0)), int(ask.get("until_id", 1 << 62))
        if "since_id" in ask:
            assert since > number_at(NOW - dt.timedelta(days=7)), "X refuses numbers it forgot"
        found = sorted((n for n in self.numbers if since < n < until), reverse=True)
        start = int(ask.get("next_token", 0))
        meta: dict = {"result_count": len(found)}
        if start + self.page < len(found):
            meta["next_token"] = str(start + self.page)
        return Reply(
            json.dumps({"data": [tweet(n) for n in found[start : start + self.page]], "meta": meta})
        )


def test_x_goes_on_where_the_last_run_ended_and_comes_back_for_what_it_left_out(
    web, settings, tmp_path
):
    """X bills by the post: each is asked for once, and after a burst none stays unread."""
    first = number_at(utc(2024, 6, 2, 10))
    timeline = web.respond = Timeline([first + n for n in range(3)])
    entry, contract = ENTRIES["x"], raw.DOCUMENTS_X
    section = settings("x", queries=("$AAPL",), max_pages=2, answers_fresh_hours=0).sources.x
    table, minutes = contract.empty(), iter(range(60))

    def run(*, commits: bool = True) -> list[int]:
        nonlocal table
        web.asked.clear()
        now, answers = NOW + dt.timedelta(minutes=next(minutes)), tmp_path / "answers"
        fetched, _ = fetch_window(
            entry, section, key="k", now=now, answers=answers, stored=lambda: table
        )
        rows = rows_of(fetched, "x")
        if commits:
            table = pl.concat([table, rows]).unique("doc_id", keep="first")
        return sorted(int(url.rsplit("/", 1)[1]) - first for url in rows["url"])

    assert run() == [0, 1, 2]
    # Nothing new: one request that brings no post.
    assert run() == []
    assert [r.params["since_id"] for r in web.asked] == [str(first + 2)]
    # A burst of nine: two pages of two, the newest ones.
    timeline.numbers += [first + n for n in range(3, 12)]
    assert run() == [8, 9, 10, 11]
    # Again with the same budget: nothing new, and a page of what was left out. It is not stored.
    assert run(commits=False) == [6, 7]
    assert [(r.params["since_id"], r.params.get("until_id")) for r in web.asked] == [
        (str(first + 11), None), (str(first + 2), str(first + 8)),
    ]  # fmt: skip
    # What was not committed is asked for again; then the rest, and then nothing is left.
    assert run() == [6, 7]
    assert run() == [4, 5]
    assert run() == [3]
    assert run() == []
    assert len(web.asked) == 1
    assert table.height == 12


def test_x_is_not_asked_about_what_it_has_forgotten(web, fetch, settings, tmp_path):
    old = number_at(NOW - dt.timedelta(days=8))
    web.respond = always({"data": [tweet(old)], "meta": {"result_count": 1}})
    table = rows_of(fetch("x", queries=("$AAPL",)), "x")
    section = settings("x", queries=("$AAPL",)).sources.x
    web.asked.clear()
    fetch_window(ENTRIES["x"], section, key="k", now=NOW, stored=lambda: table)
    assert "since_id" not in web.asked[0].params


# --- EDGAR


def columns(*rows: dict) -> dict:
    names = ("accessionNumber", "filingDate", "reportDate", "acceptanceDateTime", "form", "items",
             "primaryDocument")  # fmt: skip
    return {name: [row.get(name, "") for row in rows] for name in names}


#: Apple's 8-K of 2024-05-02 in the form of the submissions file, and rows of other kinds.
FILINGS = columns(
    {"accessionNumber": "0000320193-24-000067", "filingDate": "2024-05-02",
     "acceptanceDateTime": "2024-05-02T16:30:41.000Z", "form": "8-K", "items": "2.02,9.01",
     "primaryDocument": "aapl-20240502.htm"},
    {"accessionNumber": "0000320193-24-000069", "filingDate": "2024-05-03",
     "acceptanceDateTime": "2024-05-02T18:04:25.000Z", "form": "10-Q",
     "primaryDocument": "aapl-20240330.htm"},
    {"accessionNumber": "0000320193-24-000070", "filingDate": "2024-05-03",
     "acceptanceDateTime": "2024-05-03T18:30:00.000Z", "form": "4"},
    {"accessionNumber": "0000320193-24-000071", "filingDate": "soon",
     "acceptanceDateTime": "2024-05-06T12:00:00.000Z", "form": "8-K"},
)  # fmt: skip
OLDER = columns(
    {"accessionNumber": "0000320193-21-000001", "filingDate": "2021-01-28",
     "acceptanceDateTime": "2021-01-28T10:00:00.000Z", "form": "10-Q"},
)  # fmt: skip


def edgar(request: Request) -> Reply:
    if request.path.endswith("-submissions-001.json"):
        return Reply(json.dumps(OLDER))
    files = [
        {"name": "CIK0000320193-submissions-001.json", "filingTo": "2021-12-31"},
        {"name": "CIK0000320193-submissions-002.json", "filingTo": "2014-12-31"},
    ]
    filings = {"recent": FILINGS, "files": files}
    return Reply(json.dumps({"cik": "320193", "name": "Apple Inc.", "filings": filings}))


def test_filings_are_known_when_the_public_could_read_them(web, fetch):
    web.respond = edgar
    fetched = fetch("edgar", companies={"AAPL": 320193})
    rows = rows_of(fetched, "edgar")
    assert [r.path for r in web.asked] == [
        "/submissions/CIK0000320193.json",
        "/submissions/CIK0000320193-submissions-001.json",
    ]
    assert {r.headers["user-agent"] for r in web.asked} == {"btquant Jane Doe jane@example.org"}
    quarter, results, evening = rows.iter_rows(named=True)
    assert quarter["published_at"].year == 2021
    # 16:30:41 read as New York time is 20:30:41 UTC, the later of the two readings.
    assert results["known_at"] == utc(2024, 5, 2, 20, 30, 41)
    assert results["known_at_basis"] == "recorded"
    assert results["headline"] == (
        "Apple Inc. files 8-K: Results of Operations and Financial Condition; "
        "Financial Statements and Exhibits"
    )
    assert results["symbol"] == "AAPL"
    assert results["url"].endswith("/320193/000032019324000067/aapl-20240502.htm")
    # Accepted after 17:30 New York time, filed as of the next day: shown at 6:00, 10:00 UTC.
    assert evening["known_at"] == utc(2024, 5, 3, 10)
    assert evening["known_at_basis"] == "assumed_lag"
    assert fetched.rejected["reason"].to_list() == ["filingDate 'soon' is not a date"]


#: An inline-XBRL page, as issuers file them: a hidden part for machines, then what is read.
EIGHT_K = """<html xmlns:ix="http://www.xbrl.org/2013/inlineXBRL"><head><title>8-K</title></head><body>
<div style="display:none"><ix:header><ix:hidden><ix:nonNumeric>0000320193</ix:nonNumeric></ix:hidden>
</ix:header></div><p>Item 2.02&#160;Results of Operations.</p><p>On <b>May 2, 2024</b> Apple issued a
press release.</p></body></html>"""


def test_the_text_of_configured_forms_is_fetched_once_and_known_with_the_filing(
    web, settings, tmp_path
):
    def respond(request: Request) -> Reply:
        return Reply(EIGHT_K) if request.path.endswith(".htm") else edgar(request)

    web.respond = respond
    entry = ENTRIES["edgar"]

    def texts(**options) -> dict[str, str | None]:
        given = {"companies": {"AAPL": 320193}, "archives_url": web.url} | options
        section = settings("edgar", **given).sources.edgar
        web.asked.clear()
        fetched, _ = fetch_window(entry, section, now=NOW, answers=tmp_path / "answers")
        rows = rows_of(fetched, "edgar")
        assert rows["known_at"].to_list()[1] == utc(2024, 5, 2, 20, 30, 41)
        return dict(rows.select("author", "text").rows())

    assert texts() == {"10-Q": None, "8-K": None}
    assert not [r for r in web.asked if r.path.startswith("/Archives")]
    read = texts(text_forms=("8-K",))
    assert read["8-K"] == (
        "Item 2.02 Results of Operations. On May 2, 2024 Apple issued a press release."
    )
    assert read["10-Q"] is None
    (asked,) = [r for r in web.asked if r.path.startswith("/Archives")]
    assert asked.path == "/Archives/edgar/data/320193/000032019324000067/aapl-20240502.htm"
    assert "jane@example.org" in asked.headers["user-agent"]
    # A filed document never changes.
    assert texts(text_forms=("8-K",), answers_fresh_hours=0) == read
    assert not [r for r in web.asked if r.path.startswith("/Archives")]


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (Reply("no such key", 404), None),
        (Reply("Undeclared automated tool", 403), r"sources\.edgar\.contact"),
        (Reply(EIGHT_K, how="cut"), "gave no usable answer"),
    ],
)
def test_a_filing_stands_without_its_document_and_not_with_half_of_it(web, fetch, reply, outcome):
    web.respond = lambda request: reply if request.path.endswith(".htm") else edgar(request)
    options = {"companies": {"AAPL": 320193}, "archives_url": web.url, "text_forms": ("8-K",)}
    if outcome is None:
        fetched = fetch("edgar", **options)
        assert rows_of(fetched, "edgar")["text"].null_count() == 3
        assert fetched.notes["documents_without_text"] == 1
    else:
        with pytest.raises(SourceError, match=outcome):
            fetch("edgar", **options)


@pytest.mark.parametrize(
    ("reply", "error", "message"),
    [
        (Reply("{}", 404), UnknownSymbolError, r"no company 320193 \(AAPL\)"),
        (Reply("Undeclared automated tool", 403), SourceError, r"sources\.edgar\.contact"),
        (Reply('{"name": "A"}'), AnswerShapeError, "an object under 'filings'"),
        (Reply('{"filings": {"recent": {"form": ["8-K"]}}}'), AnswerShapeError, "lists under"),
        (
            Reply(json.dumps({"filings": {"recent": FILINGS | {"form": ["8-K"]}}})),
            AnswerShapeError,
            "lists of one length",
        ),
    ],
)
def test_what_the_sec_refuses_is_named(web, fetch, reply, error, message):
    web.respond = lambda request: reply
    with pytest.raises(error, match=message):
        fetch("edgar", companies={"AAPL": 320193})


def test_the_sec_is_not_asked_without_a_contact():
    with pytest.raises(ConfigError, match="a name and a mail address"):
        TradingConfig(sources={"edgar": {"enabled": True}})


# --- all of them

GOOD: dict[str, Callable[[Request], Reply]] = {
    "rss": always(RSS),
    "gdelt": always({"articles": [article(1)]}),
    "alpha_vantage_news": always({"feed": [news(1)]}),
    "reddit": reddit([[post(1)]]),
    "x": always({"data": [tweet(1)], "meta": {"result_count": 1}}),
    "edgar": edgar,
}


def test_every_provider_has_an_answer_here():
    assert set(GOOD) == set(ENTRIES)


@pytest.mark.parametrize("name", sorted(GOOD))
@pytest.mark.parametrize(
    "first", [Reply("busy", 503), Reply("x" * 500, how="cut"), Reply(how="drop"), Reply("q", 429)]
)
def test_a_passing_failure_is_tried_again(web, settings, name, first):
    web.respond = GOOD[name]
    expected = _direct(settings, name, [])
    web.play(first)
    waits: list[float] = []
    assert _direct(settings, name, waits).equals(expected)
    assert len(waits) >= 1


def _direct(settings, name: str, waits: list[float]) -> pl.DataFrame:
    entry = ENTRIES[name]
    section = getattr(settings(name, max_attempts=3).sources, name)
    client = HttpClient(name, section, NOW, key=REDDIT_KEY, sleep=waits.append)
    window = window_of(entry, MAY if entry.partitions else None, NOW)
    fetched = entry.open(section, client).fetch(window, NOW)
    return rows_of(fetched, name)


@pytest.mark.parametrize("name", ["alpha_vantage_news", "reddit", "x"])
def test_a_missing_key_names_its_variable_and_page(name):
    entry = ENTRIES[name]
    with pytest.raises(MissingKeyError, match=f"{entry.key}.*https://"):
        key_of(entry, {})


@pytest.fixture
def materialize(settings, tmp_path):
    root = tmp_path / "data"

    def execute(name: str, environment: dict[str, str]) -> dg.ExecuteInProcessResult:
        config = settings(name)
        asset = provider_asset(ENTRIES[name], environment)
        return dg.materialize(
            [asset.definition(config, partitions_of(asset, config))],
            resources={
                "trading": ConfigResource.of(config),
                "warehouse": WarehouseResource(path=str(root), lock_timeout_s=5),
                "device": DeviceResource(device="cpu"),
            },
            partition_key=MAY if ENTRIES[name].partitions else None,
        )

    execute.warehouse = Warehouse(DataPaths(root), 5)
    execute.root = root
    return execute


@pytest.mark.parametrize("name", sorted(GOOD))
def test_the_asset_appends_once_and_keeps_no_secret(web, materialize, name):
    """The rows of the local server, whichever way it answers, twice: the second adds nothing."""
    secret = "planted-id:planted-secret"
    web.respond = GOOD[name]
    contract, key = ENTRIES[name].contracts[0], ENTRIES[name].key
    environment = {key: secret} if key else {}
    assert materialize(name, environment).success
    stored = materialize.warehouse.read(contract)
    assert stored.height >= 1
    assert materialize(name, environment).success
    assert materialize.warehouse.read(contract).equals(stored)
    refused = materialize.warehouse.read(quarantine.ROWS)
    assert set(refused["table_name"]) <= {contract.table}
    for file in materialize.root.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            plain = gzip.decompress(content) if file.suffix == ".gz" else content
            assert b"planted-secret" not in plain
            assert b"tok-123" not in plain
