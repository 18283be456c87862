"""Whom a text is about: what it states, and never a guess."""

from __future__ import annotations

import pytest

from btq_assets.config import ConfigError, DocumentsSection, TradingConfig
from btq_assets.sources.sentiment.linking import Linker

LINKER = Linker(
    {
        "AAPL": ("Apple",),
        "APLE": ("Apple Hospitality",),
        "BRK.B": ("Berkshire Hathaway",),
        "ALL": ("Allstate",),
        "CAT": ("Caterpillar",),
        "JNJ": ("Johnson & Johnson", "J&J"),
        "KO": ("Coca-Cola",),
        "F": ("Ford Motor",),
    }
)


@pytest.mark.parametrize(
    ("text", "links"),
    [
        # cashtags
        ("$AAPL and $brk.b? no: $BRK.B, $aapl", {"AAPL": "cashtag", "BRK.B": "cashtag"}),
        ("long $F, short $GME", {"F": "cashtag", "GME": "cashtag"}),
        ("$ALL in", {"ALL": "cashtag"}),
        ("paid $5M, US$AAPL, $USD, $cash, A$AP, $AAPLX.toolong", {}),
        ("https://x.example/?a=$AAPLing", {}),
        # exchanges and parentheses
        ("Tesla (NASDAQ: TSLA) and Toyota (NYSE:TM)", {"TM": "exchange", "TSLA": "exchange"}),
        ("Insurer (NYSE: ALL) gains", {"ALL": "exchange"}),
        ("The maker (AAPL) gains", {"AAPL": "ticker"}),
        ("The board (ALL) and the pet (CAT) and the CEO (F)", {}),
        ("Unknown (ZZZZ) here", {}),
        # names
        ("Apple's profit", {"AAPL": "name"}),
        ("Apple\u2019s profit", {"AAPL": "name"}),
        ("APPLE PROFIT UP", {"AAPL": "name"}),
        ("an apple a day, Applebee's, pineApple, Apple-like", {}),
        ("Apple Hospitality pays", {"APLE": "name"}),
        ("Apple\u00a0Hospitality and Apple", {"AAPL": "name", "APLE": "name"}),
        ("Johnson & Johnson and J&J", {"JNJ": "name"}),
        ("Johnson and Johnson's dog", {}),
        ("Coca\u2011Cola falls", {"KO": "name"}),
        # a ticker in running text is a word
        ("AAPL CAT ALL F IT", {}),
        # the strongest way wins
        ("Apple (AAPL) up, $AAPL", {"AAPL": "cashtag"}),
        ("", {}),
    ],
)
def test_links_are_stated(text, links):
    assert LINKER.links(text) == links


def test_a_name_of_two_symbols_is_refused():
    with pytest.raises(ConfigError, match="'Apple' is given to AAPL and to APLE"):
        TradingConfig(sources={"documents": {"companies": {"AAPL": ["Apple"], "APLE": ["Apple"]}}})


def test_without_companies_only_stated_tickers_are_found():
    assert Linker({}).links("Apple $AAPL (NYSE: F) (KO)") == {"AAPL": "cashtag", "F": "exchange"}


def test_no_default_name_is_a_plain_english_word():
    """Names of the default companies that are also ordinary words must not be there."""
    words = {"target", "visa", "gap", "shell", "ford", "block", "meta", "square", "merck", "key"}
    names = {name.lower() for names in DocumentsSection().companies.values() for name in names}
    assert not names & words
