"""Providers of alternative data, opened on a local server."""

from __future__ import annotations

import datetime as dt

import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.checks import CheckContext
from btq_assets.sources.alternative import checks
from btq_assets.sources.alternative.registry import ENTRIES
from btq_assets.sources.fetching import window_of
from btq_assets.sources.http import HttpClient

BY_NAME = {entry.name: entry for entry in ENTRIES}
#: The suites of `data_quality` judge whole tables, and have tests of their own.
OWN_CHECKS = (
    *checks.OPTION_CHECKS,
    *checks.OPTION_TRADE_CHECKS,
    *checks.DARK_POOL_CHECKS,
    *checks.SHORT_VOLUME_CHECKS,
    *checks.ONCHAIN_CHECKS,
)


class Asked:
    """Asks a provider as its asset would, without waiting."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.waits: list[float] = []
        self.fetched = None

    def __call__(self, name: str, now: dt.datetime, partition: str | None = None, **settings):
        """Rows of the provider's table; what else came is in `fetched`."""
        entry = BY_NAME[name]
        given = {"enabled": True, "base_url": self.url, "calls_per_minute": 6_000, **settings}
        section = getattr(TradingConfig(sources={name: given}).sources, name)
        client = HttpClient(name, section, now, sleep=self.waits.append)
        self.fetched = entry.open(section, client).fetch(window_of(entry, partition, now), now)
        (contract,) = entry.contracts
        rows = cast_to_contract(self.fetched.frames[contract.table], contract)
        assert violations(rows, contract).is_empty()
        for group in (group for group in entry.checks if group in OWN_CHECKS):
            context = CheckContext({contract.table: rows}, {}, None)
            failed = [outcome for outcome in group.answer(context) if not outcome.passed]
            assert not failed, failed
        return rows

    @property
    def reasons(self) -> list[str]:
        return self.fetched.rejected["reason"].to_list()


@pytest.fixture
def ask(web) -> Asked:
    return Asked(web.url)
