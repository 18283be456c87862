"""Every remote provider against everything a server can do wrong: the fault matrix.

Each provider answers from a local server in its own shape (`provider_shapes`), and each fault is
played on its first and on its last request. What must come of it is the same for all: a named
error, or another try and then the same rows, or quarantine; never part of a window, never the key.
"""

from __future__ import annotations

import base64
import gzip
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from local_server import Reply, Request, Web, serving
from provider_shapes import KEY, SHAPES, Respond, Shape

from btq_assets.config import TradingConfig
from btq_assets.contracts import quarantine
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.sources import fetching
from btq_assets.sources.assets import provider_asset
from btq_assets.sources.errors import AnswerShapeError, ProviderUnavailableError, SourceError
from btq_assets.sources.http import HttpClient
from btq_assets.sources.provider import Fetched, ProviderEntry
from btq_assets.sources.registry import PROVIDERS
from btq_assets.warehouse import Warehouse
from btq_assets.warehouse.paths import DataPaths
from btq_assets.warehouse.resources import ConfigResource, DeviceResource, WarehouseResource

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")

ENTRIES = {entry.name: entry for entry in PROVIDERS}
ATTEMPTS = 2
SECRETS = (KEY, base64.b64encode(f"my-client:{KEY}".encode()).decode())


def echo(request: Request) -> str:
    """What servers repeat in their error pages: all they were sent, keys included."""
    return f"{request.path} {request.params} {request.headers.get('authorization')}"


@dataclass(frozen=True)
class Fault:
    """What goes wrong, for how long, and what must come of it.

    Parameters
    ----------
    reply
        Made of the right answer to the same question, and of what the question was.
    once
        Only the first time; otherwise every time.
    ends
        ``same``: the rows of an undisturbed fetch. ``quarantine``: an error, or what could not be
        read is refused and the rest are rows of an undisturbed fetch. Otherwise the error.
    waits_s
        The longest wait must be at least so long.
    attempts
        Requests for the answer that goes wrong, where they are always as many.
    """

    reply: Callable[[Reply, str], Reply]
    once: bool = False
    ends: str | type[SourceError] = ProviderUnavailableError
    waits_s: float = 0.0
    attempts: int | None = None


def _spoilt(good: Reply, asked: str) -> Reply:
    return Reply(good.content[: max(1, len(good.content) * 2 // 3)] + b"\x00" + asked.encode())


FAULTS: dict[str, Fault] = {
    "429": Fault(lambda good, asked: Reply(asked, 429), attempts=ATTEMPTS),
    "429, Retry-After": Fault(
        lambda good, asked: Reply(asked, 429, {"Retry-After": "70"}),
        once=True,
        ends="same",
        waits_s=70,
    ),
    "429, Retry-After an hour": Fault(
        lambda good, asked: Reply(asked, 429, {"Retry-After": "3600"}), attempts=1
    ),
    "500, then good": Fault(
        lambda good, asked: Reply(asked, 500), once=True, ends="same", waits_s=1
    ),
    "500": Fault(lambda good, asked: Reply(asked, 500), attempts=ATTEMPTS),
    "cut, then good": Fault(
        lambda good, asked: Reply(good.content, how="cut"), once=True, ends="same"
    ),
    "cut": Fault(lambda good, asked: Reply(good.content, how="cut")),
    "dropped, then good": Fault(lambda good, asked: Reply(how="drop"), once=True, ends="same"),
    "dropped": Fault(lambda good, asked: Reply(how="drop")),
    "drip": Fault(lambda good, asked: Reply(good.content, how="drip", pause_s=0.004)),
    "malformed": Fault(_spoilt, ends="quarantine"),
}


@dataclass
class Playing:
    """Answers rightly, but for the requests that carry data at some places."""

    shape: Shape
    fault: Fault
    place: int
    n_seen: int = 0
    n_spoilt: int = 0

    def __call__(self, request: Request) -> Reply:
        good = self.shape.good(request)
        if not self.shape.hits(request):
            return good
        at, self.n_seen = self.n_seen, self.n_seen + 1
        if at < self.place or (self.fault.once and self.n_spoilt):
            return good
        self.n_spoilt += 1
        return self.fault.reply(good, echo(request))


@pytest.fixture(scope="module")
def server() -> Iterator[Web]:
    with serving() as web:
        yield web


@pytest.fixture(autouse=True)
def _libraries_keep_to_this_folder(tmp_path):
    import yfinance

    yfinance.set_tz_cache_location(str(tmp_path / "yfinance"))


def configured(name: str, url: str, **more) -> TradingConfig:
    given = {
        "enabled": True, "base_url": url, "max_attempts": ATTEMPTS, "calls_per_minute": 600,
        "answers_fresh_hours": 0, "timeout_s": 5, **SHAPES[name].settings, **more,
    }  # fmt: skip
    if name == "rss":
        given["feeds"] = (f"{url}/feed",)
    if name == "reddit":
        given["token_url"] = f"{url}/token"
    return TradingConfig(sources={name: given})


@dataclass
class Asked:
    """Fetches a provider's window from the local server, without waiting."""

    server: Web
    waits: list[float] = field(default_factory=list)

    def __call__(self, name: str, respond: Respond, *, month: str | None = None) -> Fetched:
        shape, entry = SHAPES[name], ENTRIES[name]
        self.server.respond = respond
        self.server.asked.clear()
        self.waits.clear()
        section = getattr(configured(name, self.server.url).sources, name)
        # Each look at the clock takes a second: thirty of them are too many for one answer.
        client = HttpClient(
            name,
            section,
            shape.now,
            key=shape.key,
            sleep=self.waits.append,
            clock=partial(next, itertools.count(0.0, 1.0)),
        )
        window = fetching.window_of(entry, month or shape.month, shape.now)
        return entry.open(section, client).fetch(window, shape.now)


@pytest.fixture
def fetch(server) -> Asked:
    return Asked(server)


def rows_of(entry: ProviderEntry, fetched: Fetched) -> dict[str, pl.DataFrame]:
    """Rows by table, cast and judged as before a commit."""
    found = {}
    for contract in entry.contracts:
        frame = cast_to_contract(fetched.frames[contract.table], contract)
        assert violations(frame, contract).is_empty()
        found[contract.table] = frame.sort(contract.key)
    return found


@pytest.fixture(scope="module")
def undisturbed(server) -> Callable[[str], tuple[dict[str, pl.DataFrame], int]]:
    """Rows of a fetch without a fault, and how many requests carried data; asked once."""

    @cache
    def ask(name: str) -> tuple[dict[str, pl.DataFrame], int]:
        counting = Playing(SHAPES[name], Fault(lambda good, asked: good), place=1_000)
        rows = rows_of(ENTRIES[name], Asked(server)(name, counting))
        assert rows[ENTRIES[name].contracts[0].table].height > 0
        return rows, counting.n_seen

    return ask


def plain(rows: dict[str, pl.DataFrame]) -> list[str]:
    return [json.dumps(row, default=str) for frame in rows.values() for row in frame.to_dicts()]


def told(error: BaseException) -> str:
    """All an error says, and all the errors it came from."""
    texts = []
    while error is not None:
        texts += [str(error), repr(error.args)]
        error = error.__cause__  # type: ignore[assignment]
    return " ".join(texts)


def outcome(fetch: Asked, name: str, respond: Respond) -> tuple[SourceError | None, Any]:
    """The error of a fetch, or what it gave."""
    try:
        return None, fetch(name, respond)
    except SourceError as error:
        return error, None


def test_every_provider_is_in_the_matrix():
    assert set(SHAPES) == set(ENTRIES)
    for name, shape in SHAPES.items():
        assert (shape.month is not None) == (ENTRIES[name].partitions is not None), name
        assert bool(shape.key) == bool(ENTRIES[name].key), name


#: The others are played in the slow suite: what they share with these is tested in `test_http.py`.
_QUICK = ("429, Retry-After", "500, then good", "cut", "malformed")
_PLAYED = [
    what if what in _QUICK else pytest.param(what, marks=pytest.mark.slow) for what in FAULTS
]


@pytest.mark.parametrize("what", _PLAYED)
@pytest.mark.parametrize("name", sorted(SHAPES))
def test_a_fault_is_outlasted_or_named(fetch, undisturbed, name, what):
    fault, shape = FAULTS[what], SHAPES[name]
    rows, n_requests = undisturbed(name)
    for place in sorted({0, n_requests - 1}):
        playing = Playing(shape, fault, place)
        if fault.ends == "same":
            assert plain(rows_of(ENTRIES[name], fetch(name, playing))) == plain(rows)
        else:
            error, fetched = outcome(fetch, name, playing)
            said = told(error) if error else str((fetched.notes, fetched.rejected.rows()))
            if error is not None:
                assert isinstance(error, SourceError if fault.ends == "quarantine" else fault.ends)
                assert name in said
            else:
                assert fault.ends == "quarantine", "no error, and nothing refused"
                assert not fetched.rejected.is_empty()
                assert set(plain(rows_of(ENTRIES[name], fetched))) < set(plain(rows))
            assert not any(secret in said for secret in SECRETS)
        assert playing.n_spoilt > 0, "the fault was never played"
        # Libraries try again on their own account, and at once.
        if not shape.parsed_by_library:
            assert playing.n_spoilt == (fault.attempts or playing.n_spoilt)
        if not shape.parsed_by_library or fault.waits_s > 1:
            assert max(fetch.waits, default=0.0) >= fault.waits_s


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_another_shape_is_named_and_nothing_is_taken_from_it(fetch, undisturbed, name):
    shape = SHAPES[name]
    _, n_requests = undisturbed(name)
    wrong = Fault(lambda good, asked: Reply(shape.wrong))
    for place in sorted({0, n_requests - 1}):
        with pytest.raises(SourceError) as caught:
            fetch(name, Playing(shape, wrong, place))
        assert name in str(caught.value)
        assert not any(secret in told(caught.value) for secret in SECRETS)
        if not shape.parsed_by_library and shape.hits is Shape.hits and place:
            assert isinstance(caught.value, (AnswerShapeError, ProviderUnavailableError))


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_an_empty_answer_is_named_or_is_known_to_mean_nothing(fetch, undisturbed, name):
    shape = SHAPES[name]
    full, n_requests = undisturbed(name)
    playing = Playing(shape, Fault(lambda good, asked: Reply(b"")), n_requests - 1)
    if shape.nothing_is == "error":
        with pytest.raises(SourceError, match=name):
            fetch(name, playing)
    else:
        rows = rows_of(ENTRIES[name], fetch(name, playing))
        assert set(plain(rows)) < set(plain(full))


@pytest.mark.parametrize("name", sorted(n for n, shape in SHAPES.items() if shape.nulls))
def test_a_null_among_the_elements_of_a_list_costs_that_element_alone(fetch, undisturbed, name):
    shape, entry = SHAPES[name], ENTRIES[name]
    good, _ = undisturbed(name)
    fetched = fetch(name, shape.nulls)
    rows = rows_of(entry, fetched)
    table = entry.contracts[0].table
    assert 0 < rows[table].height <= good[table].height
    assert set(plain(rows)) <= set(plain(good))
    assert fetched.rejected.is_empty() == (shape.null_is == "missing")


@pytest.fixture
def impatient(monkeypatch):
    """Clients of assets do not wait either, and give up a drip soon."""
    quick = partial(
        HttpClient,
        sleep=lambda seconds: None,
        clock=partial(next, itertools.count(0.0, 1.0)),
    )
    monkeypatch.setattr(fetching, "HttpClient", quick)


_CUTS = {
    "month": dg.MonthlyPartitionsDefinition(start_date="2024-01-01", timezone="UTC"),
    "day": dg.DailyPartitionsDefinition(start_date="2024-01-01", timezone="UTC"),
}


@dataclass
class House:
    """One provider's asset over a warehouse of its own."""

    name: str
    server: Web
    root: Path

    def ingest(self, respond: Respond, month: str | None) -> dg.ExecuteInProcessResult:
        # Checks on good rows have tests of their own; here it is faults that count.
        entry = replace(ENTRIES[self.name], checks=())
        self.server.respond = respond
        config = configured(self.name, self.server.url, **self._start())
        asset = provider_asset(entry, {entry.key: SHAPES[self.name].key} if entry.key else {})
        return dg.materialize(
            [asset.definition(config, _CUTS.get(entry.partitions or ""))],
            resources={
                "trading": ConfigResource.of(config),
                "warehouse": WarehouseResource(path=str(self.root), lock_timeout_s=5),
                "device": DeviceResource(device="cpu"),
            },
            partition_key=month,
            raise_on_error=False,
        )

    def _start(self) -> dict[str, str]:
        start = {"month": {"start_month": "2024-01"}, "day": {"start_day": "2024-01-01"}}
        return start.get(ENTRIES[self.name].partitions or "", {})

    def stored(self) -> dict[str, list[dict]]:
        warehouse = Warehouse(DataPaths(self.root), 5)
        return {
            contract.table: warehouse.read(contract).sort(contract.key).to_dicts()
            for contract in ENTRIES[self.name].contracts
        }

    def said(self, result: dg.ExecuteInProcessResult) -> str:
        """All that the run's events, the refused rows and the stored answers show."""
        rows = Warehouse(DataPaths(self.root), 5).read(quarantine.ROWS).rows()
        kept = [gzip.decompress(f.read_bytes()) for f in self.root.rglob("answers/**/*.gz")]
        return (
            str([(e.message, e.event_specific_data) for e in result.all_events])
            + str(rows)
            + str(kept)
        )


#: Assets commit: a partitioned provider and another show it every time, all in the slow suite.
_COMMITTED = [
    name if name in ("binance", "vix") else pytest.param(name, marks=pytest.mark.slow)
    for name in sorted(SHAPES)
]


@pytest.mark.parametrize("name", _COMMITTED)
def test_a_fault_leaves_what_is_stored_alone(server, tmp_path, impatient, name):
    """Another partition, and earlier rows of an unpartitioned table, stay to the last bit."""
    shape = SHAPES[name]
    house = House(name, server, tmp_path / "data")
    assert house.ingest(shape.good, shape.other).success
    before = house.stored()
    assert any(before.values())
    playing = Playing(shape, FAULTS["cut"], place=0)
    failed = house.ingest(playing, shape.month)
    assert not failed.success
    assert playing.n_spoilt > 0
    assert house.stored() == before
    said = house.said(failed)
    assert f"{name} gave no" in said
    assert not any(secret in said for secret in SECRETS)
    # The same question again, once the provider is well: nothing is lost, nothing twice.
    healed = house.ingest(shape.good, shape.month)
    assert healed.success
    after = house.stored()
    for table, rows in before.items():
        assert [row for row in after[table] if row in rows] == rows
    assert house.ingest(shape.good, shape.month).success
    assert house.stored() == after
    assert not any(secret in house.said(healed) for secret in SECRETS)
