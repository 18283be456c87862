"""ccxt itself against a local server in Bybit's shape: closed bars drive the loop on paper.

Time is a clock that the waits of the feed move on; the server answers by the same clock.
"""

from __future__ import annotations

import ast
import datetime as dt
import json
from pathlib import Path

import live_cases as cases
import polars as pl
import pytest
from local_server import Reply, serving

import btq_assets
from btq_assets.execution.live import LiveError, LiveSettings, LiveTradingEngine, PublicFeed
from btq_assets.execution.live.feed import ReplayClock
from btq_assets.execution.live.tables import journal_tables
from btq_assets.sources.errors import SourceError, UnknownSymbolError
from btq_assets.sources.market.providers.ccxt_public import (
    OrdersDoNotExistError,
    PublicExchange,
    open_public_exchange,
)
from btq_assets.sources.patience import TryAgainError

ccxt = pytest.importorskip("ccxt")

NOON = dt.datetime(2024, 5, 6, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
PAIRS = ("BTC/USDT", "ETH/USDT")


def price(symbol: str, minute: int) -> float:
    """Between 95 and 105, by the number of the minute."""
    return 100.0 + (minute * (7 if symbol.startswith("B") else 11)) % 11 - 5


class Bybit:
    """Minute bars until now, the last one unfinished; `frozen` stops the market, `gone` a symbol."""

    def __init__(self, web, clock) -> None:
        self.web, self.clock = web, clock
        self.frozen: dt.datetime | None = None
        self.gone: set[str] = set()
        web.respond = self.answer

    def answer(self, request) -> Reply:
        ask = request.params
        if request.path.endswith("/instruments-info"):
            listed = [
                {
                    "symbol": f"{base}USDT", "baseCoin": base, "quoteCoin": "USDT", "status": "Trading",
                    "innovation": "0", "marginTrading": "both",
                    "priceFilter": {"minPrice": "0.1", "maxPrice": "1999999.8", "tickSize": "0.01"},
                    "lotSizeFilter": {"basePrecision": "0.000001", "quotePrecision": "0.0000001", "minOrderQty": "0.00005"},
                }
                for base in ("BTC", "ETH")
            ]  # fmt: skip
            rows = listed if ask["category"] == "spot" else []
            return said({"category": ask["category"], "list": rows})
        if request.path.endswith("/orderbook"):
            book = {"s": "BTCUSDT", "b": [["99.5", "2"]], "a": [["100.5", "3"]], "ts": 1, "u": 1}
            return said(book)
        now = min(self.clock(), self.frozen or self.clock())
        last = int(now.timestamp()) // 60 - (now < self.clock())
        first = int(ask["start"]) // 60_000
        minutes = [] if ask["symbol"] in self.gone else range(first, last + 1)
        rows = []
        for minute in list(minutes)[: int(ask["limit"])]:
            p, before = price(ask["symbol"], minute), price(ask["symbol"], minute - 1)
            high, low = max(p, before) + 1, min(p, before) - 1
            rows.append([str(minute * 60_000), *map(str, (before, high, low, p)), "1000", "1"])
        return said({"symbol": ask["symbol"], "list": rows[::-1]})

    @property
    def asked(self) -> list[str]:
        return [request.path.rsplit("/", 1)[-1] for request in self.web.asked]


def said(result: dict) -> Reply:
    body = {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": 1}
    return Reply(json.dumps(body), headers={"Content-Type": "application/json"})


@pytest.fixture
def clock() -> ReplayClock:
    return ReplayClock(NOON + dt.timedelta(seconds=5))


@pytest.fixture
def bybit(clock):
    with serving() as web:
        yield Bybit(web, clock)


def feed_of(bybit, clock, *, until: dt.datetime | None = None, at=None, **settings) -> PublicFeed:
    """A feed that ends at `until`; `at` maps times to what is done to the server then."""
    todo = sorted((at or {}).items())

    def wait(seconds: float) -> None:
        clock.advance(dt.timedelta(seconds=seconds))
        while todo and clock() >= todo[0][0]:
            todo.pop(0)[1]()

    base = {"universe": cases.UNIVERSE, "history_bars": 90, "look_up_s": 5.0}
    return PublicFeed(
        open_public_exchange("bybit", base_url=bybit.web.url),
        PAIRS,
        clock=clock,
        wait=wait,
        stop=lambda: until is not None and clock() >= until,
        **base | settings,
    )


def run(feed, folder: Path, **more):
    config = cases.live_config(max_position_size=1.0)
    settings = {"decide": "bar", "daily_loss": None, "drawdown": 0.9, "stale_after": 3 * MINUTE}
    engine = LiveTradingEngine(
        config,
        targets=cases.PlainTargets(list(PAIRS), gross=0.8),
        feed=feed,
        folder=folder,
        settings=LiveSettings(**settings | more),
    )
    return engine.start(), journal_tables(folder / "engine.journal", cases.UNIVERSE)


def minutes(*numbers: int) -> list[dt.datetime]:
    return [NOON + n * MINUTE for n in numbers]


def test_closed_bars_drive_the_loop_and_the_unfinished_one_never_does(
    bybit, clock, tmp_path
) -> None:
    """By hand: bars end at 12:01 to 12:05; an order of one is filled at the open of the next."""
    summary, tables = run(
        feed_of(bybit, clock, until=NOON + dt.timedelta(minutes=5, seconds=30)), tmp_path
    )
    assert tables["execution.account"]["ts"].to_list() == minutes(1, 2, 3, 4, 5)
    assert summary.stopped == ""
    assert summary.refused == {}
    fills = tables["execution.fills"]
    assert fills["filled_at"].unique().sort().to_list() == minutes(2, 3, 4, 5)
    opened = {
        (s, end): price(s.replace("/", ""), int(end.timestamp()) // 60 - 2)
        for s in PAIRS
        for end in minutes(2, 3, 4, 5)
    }
    for symbol, at, paid in fills.select("symbol", "filled_at", "price").iter_rows():
        assert paid == opened[symbol, at]
    # asked when a bar is due, not all the time: two symbols, five bars, a few of them twice
    assert bybit.asked.count("kline") <= 2 + 2 * 5 * 2
    assert {request.method for request in bybit.web.asked} == {"GET"}


def test_history_is_what_had_closed(bybit, clock) -> None:
    bars = feed_of(bybit, clock).history(None)
    assert bars["ts"].max() == NOON
    assert bars.group_by("symbol").len()["len"].to_list() == [90, 90]
    earlier = feed_of(bybit, clock).history(NOON - 10 * MINUTE)
    assert earlier["ts"].max() == NOON - 10 * MINUTE


def test_failures_are_waited_out_and_no_bar_is_lost(bybit, clock, tmp_path) -> None:
    """Two minutes of broken answers of five kinds; then all bars come, in order, each once."""
    broken = [
        Reply("later", 503), Reply("too many", 429), Reply("<html>", 200), Reply(how="drop"),
        Reply('{"retCode": 10006, "retMsg": "Too many visits!"}'), Reply("{}", how="cut"),
    ]  # fmt: skip
    at = {NOON + 2 * MINUTE - dt.timedelta(seconds=2): lambda: bybit.web.play(*broken)}
    feed = feed_of(bybit, clock, until=NOON + dt.timedelta(minutes=6, seconds=30), at=at)
    summary, tables = run(feed, tmp_path)
    assert tables["execution.account"]["ts"].to_list() == minutes(1, 2, 3, 4, 5, 6)
    assert (feed.n_failures, feed.n_reconnects) == (6, 1)
    assert feed.last_error == ""
    # by hand: 1 + 2 + 4 + 8 + 16 + 32 seconds of waiting from 12:02 on
    assert summary.stopped == ""
    decided = tables["execution.orders"]["decided_at"].unique().sort().to_list()
    assert decided == minutes(1, 2, 3, 4, 5, 6)


def test_waits_double_up_to_their_bound(clock) -> None:
    """By hand: 1, 2, 4, 8, 8 seconds; a wait the exchange asks for is kept."""
    waits: list[float] = []

    class Silent:
        name = "silent"
        n = 0

        def bars(self, *_: object) -> list[list[float]]:
            self.n += 1
            raise TryAgainError("no answer", 30.0 if self.n == 6 else None)

    def wait(seconds: float) -> None:
        waits.append(seconds)
        clock.advance(dt.timedelta(seconds=seconds))

    silent = Silent()
    feed = PublicFeed(
        silent,
        ["X"],
        universe="u",
        clock=clock,
        wait=wait,
        longest_wait_s=8.0,
        look_up_s=100.0,
        stop=lambda: silent.n >= 6,
    )
    with pytest.raises(LiveError, match="stopped before silent answered: no answer"):
        feed.history(None)
    assert waits == [1.0, 2.0, 4.0, 8.0, 8.0]


def test_stale_data_stop_new_orders_until_bars_come_again(bybit, clock, tmp_path) -> None:
    """The market stands still from 12:02 to 12:10: nothing is sent on what comes late."""
    freeze = NOON + dt.timedelta(minutes=2, seconds=30)

    def thaw() -> None:
        bybit.frozen = None

    bybit.frozen = None
    at = {freeze: lambda: setattr(bybit, "frozen", freeze), NOON + 10 * MINUTE: thaw}
    feed = feed_of(bybit, clock, until=NOON + dt.timedelta(minutes=7), at=dict(at), poll_s=20.0)
    summary, tables = run(feed, tmp_path)
    assert summary.stopped == "stale_data"
    assert tables["execution.account"]["ts"].to_list() == minutes(1, 2)
    beat = json.loads((tmp_path / "heartbeat.json").read_text())
    assert beat["stopped"] == "stale_data"
    feed = feed_of(
        bybit, clock, until=NOON + dt.timedelta(minutes=12, seconds=30), at={min(k for k in at if k > clock()): thaw}, poll_s=20.0
    )  # fmt: skip
    summary, tables = run(feed, tmp_path)
    assert summary.stopped == ""
    account = tables["execution.account"]
    assert account["ts"].to_list() == minutes(*range(1, 13))
    late = account.filter(pl.col("stopped") == "stale_data")["ts"].to_list()
    # by hand: they come just after 12:10, when that of 12:07 is older than three minutes
    assert late == minutes(3, 4, 5, 6, 7)
    decided = tables["execution.orders"]["decided_at"].unique().sort().to_list()
    assert decided == minutes(1, 2, *range(8, 13))


def test_a_symbol_that_is_silent_is_waited_for_and_then_left_out(bybit, clock) -> None:
    feed = feed_of(
        bybit,
        clock,
        until=NOON + dt.timedelta(minutes=2, seconds=20),
        grace_s=12.0,
        at={NOON + dt.timedelta(seconds=30): lambda: bybit.gone.add("ETHUSDT")},
    )
    assert feed.history(None)["ts"].max() == NOON
    came = []
    for batch in feed.batches(None):
        if batch is not None:
            came.append((clock(), batch.bars["symbol"].to_list()))
    assert [symbols for _, symbols in came] == [["BTC/USDT"]] * 2
    for k, (at, _) in enumerate(came, 1):
        assert dt.timedelta(seconds=12) <= at - (NOON + k * MINUTE) < dt.timedelta(seconds=17)


def test_a_restart_goes_on_where_the_journal_ends(bybit, clock, tmp_path) -> None:
    run(feed_of(bybit, clock, until=NOON + dt.timedelta(minutes=2, seconds=30)), tmp_path)
    _, tables = run(
        feed_of(bybit, clock, until=NOON + dt.timedelta(minutes=4, seconds=30)), tmp_path
    )
    assert tables["execution.account"]["ts"].to_list() == minutes(1, 2, 3, 4)
    orders = tables["execution.orders"]
    assert orders["client_id"].n_unique() == orders.height == 8


def test_names_and_settings_that_cannot_be(bybit, clock) -> None:
    with pytest.raises(
        SourceError, match=r"'bybitt': ccxt .* knows no such exchange, near is bybit"
    ):
        open_public_exchange("bybitt")
    with pytest.raises(UnknownSymbolError, match="does not know the symbol"):
        open_public_exchange("bybit", base_url=bybit.web.url).bars("NO/SUCH", "1m", 0, 1)
    for wrong, message in (
        ({"timeframe": "2m"}, "timeframe = '2m': one of 1m"),
        ({"poll_s": 0.0}, "poll_s = 0.0"),
        ({"history_bars": 0}, "history_bars = 0"),
        ({"settle_s": 20.0}, "settle_s = 20.0"),
    ):
        with pytest.raises(LiveError, match=message):
            feed_of(bybit, clock, **wrong)


# -- no order leaves this house -------------------------------------------------------------------

WRITING = ("create", "cancel", "edit", "close_position", "withdraw", "transfer", "borrow", "repay")


def test_whatever_writes_is_refused_by_name(bybit) -> None:
    exchange = open_public_exchange("bybit", base_url=bybit.web.url)
    assert exchange.order_book("BTC/USDT") == ([[99.5, 2.0]], [[100.5, 3.0]])
    before = len(bybit.web.asked)
    writers = [name for name in dir(ccxt.bybit) if name.lower().startswith(WRITING)]
    assert len(writers) > 50
    for name in (
        *writers,
        "createOrder",
        "private_post_v5_order_create",
        "sign",
        "fetch2",
        "session",
    ):
        with pytest.raises(OrdersDoNotExistError, match="only read here"):
            getattr(exchange, name)
    assert len(bybit.web.asked) == before


def test_the_exchange_underneath_cannot_write_either(bybit) -> None:
    """Reached by force through its closure: every private or writing request dies before the wire."""
    outer = open_public_exchange("bybit", base_url=bybit.web.url)
    asking = outer._PublicExchange__ask
    inner = dict(zip(asking.__code__.co_freevars, asking.__closure__, strict=True))["exchange"]
    exchange = inner.cell_contents
    before = len(bybit.web.asked)
    with pytest.raises(OrdersDoNotExistError, match="holds"):
        exchange.apiKey, exchange.secret = "key", "secret"
        outer.bars("BTC/USDT", "1m", 0, 1)
    # keys are refused with a request of any kind, and without them nothing private is signed
    for keys in (("key", "secret"), ("", "")):
        exchange.apiKey, exchange.secret = keys
        for call in (
            lambda: exchange.private_post_v5_order_create({"symbol": "BTCUSDT"}),
            lambda: exchange.fetch2("v5/order/create", "private", "POST", {}),
            lambda: exchange.fetch2("v5/order/create", "public", "POST", {}),
            lambda: exchange.session.post(f"{bybit.web.url}/v5/order/create"),
            lambda: exchange.session.request("DELETE", f"{bybit.web.url}/v5/order"),
        ):
            with pytest.raises(OrdersDoNotExistError):
                call()
    assert len(bybit.web.asked) == before
    with pytest.raises(OrdersDoNotExistError, match=r"holds \['apiKey'\]"):
        PublicExchange(ccxt.bybit({"apiKey": "key"}))


def modules_with(*words: str) -> dict[str, ast.Module]:
    """Modules of the house whose text holds one of these words in any spelling, parsed."""
    root = Path(btq_assets.__file__).parent
    files = sorted(root.rglob("*.py"))
    assert len(files) > 300
    found = {}
    for file in files:
        text = file.read_text()
        if any(word in text.lower() for word in words):
            found[str(file.relative_to(root))] = ast.parse(text)
    return found


def test_no_source_of_the_house_names_an_order_call() -> None:
    """Names and strings of every module: no attribute, call or text that would place an order."""
    words = (
        "create_order", "createorder", "create_market_", "create_limit_", "cancel_order", "cancelorder",
        "edit_order", "editorder", "place_order", "placeorder", "submit_order", "order/create",
        "private_post", "privatepost",
    )  # fmt: skip
    found = []
    for name, tree in modules_with(*words).items():
        docs = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            text = ""
            if isinstance(node, ast.Attribute):
                text = node.attr
            elif isinstance(node, ast.Name):
                text = node.id
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = "" if id(node) in docs else node.value
            if any(word in text.lower() for word in words):
                found.append(f"{name}:{node.lineno} {text[:60]}")
    assert found == []


def test_ccxt_is_opened_in_two_places_and_both_only_read() -> None:
    """Whoever imports ccxt could trade with it: the list of such modules is this one."""
    importers = {
        name
        for name, tree in modules_with("ccxt").items()
        for node in ast.walk(tree)
        if (
            isinstance(node, ast.Import) and any(a.name.split(".")[0] == "ccxt" for a in node.names)
        )
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ccxt")
    }
    places = "sources/market/providers/ccxt_exchange.py", "sources/market/providers/ccxt_public.py"
    assert importers == set(places)
