"""Which instruments a text is about, by what it says and not by guessing.

Belongs here: cashtags, tickers in parentheses, configured names. Does not belong here: symbols a
source states itself (those come with the document).

A link is made where a text gives a cashtag (``$AAPL``), a ticker after its exchange
(``(NASDAQ: AAPL)``), a known ticker alone in parentheses (``(AAPL)``), or a configured name as it
is written. A ticker that is also a word or an abbreviation of everyday news (``ALL``, ``IT``,
``CEO``) needs a cashtag or an exchange; a ticker in running text is never enough.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

#: Strongest first: the way a link was found, when there are several.
WAYS = ("source", "cashtag", "exchange", "ticker", "name")

_EXCHANGES = (
    "NYSE American|NYSE Arca|NYSEAMERICAN|NYSEARCA|NYSE|NasdaqGS|NasdaqGM|NasdaqCM|NASDAQ|AMEX|BATS|"
    "CBOE|OTCQX|OTCQB|OTC|LSE|LON|TSX|TSE|ASX|FRA|ETR|XETRA|EPA|AMS|SWX|HKG|HKEX"
)
_TICKER = r"[A-Z]{1,6}(?:[.\-][A-Z]{1,2})?"
_CASHTAG = re.compile(rf"(?<![\w$&])\$({_TICKER}|[a-z]{{2,6}})(?![\w$]|[.\-][A-Za-z]\w)")
_WITH_EXCHANGE = re.compile(rf"\b(?i:{_EXCHANGES})\s*:\s*({_TICKER})\b")
_IN_PARENTHESES = re.compile(rf"\(\s*({_TICKER})\s*\)")

#: Tickers that in parentheses mean something else more often than not.
AMBIGUOUS = frozenset(
    {
        "A", "AG", "AGM", "AI", "ALL", "AM", "AN", "ANY", "API", "AR", "ARE", "ARM", "AS", "AT",
        "BE", "BIG", "BIT", "C", "CAN", "CAR", "CAT", "CEO", "CFO", "COO", "CPI", "CTO", "D", "DC",
        "DD", "E", "EBITDA", "ECB", "EPA", "EPS", "ESG", "ETF", "EU", "EV", "F", "FAST", "FBI",
        "FCC", "FDA", "FED", "FOR", "FTC", "FX", "GAAP", "GDP", "GO", "GOOD", "H", "HAS", "HE", "I",
        "IMF", "IPO", "IR", "IRS", "IT", "K", "KEY", "L", "LA", "LIFE", "LOW", "M", "ML", "MORE",
        "NASA", "NATO", "NEW", "NEXT", "NOW", "O", "OIL", "ON", "ONE", "OPEC", "OPEN", "OR", "OUT",
        "PC", "PDF", "PLAY", "PM", "PR", "Q", "R", "REAL", "ROE", "ROI", "S", "SEC", "SEE", "SO",
        "SPAC", "T", "TV", "TWO", "U", "UK", "UN", "US", "USA", "USD", "V", "VC", "VR", "WELL", "X",
        "Y", "YOU", "YTD",
    }
)  # fmt: skip

#: ``$USD`` and the like name money.
_CURRENCIES = frozenset(
    [
        "USD",
        "EUR",
        "GBP",
        "JPY",
        "CHF",
        "CAD",
        "AUD",
        "NZD",
        "CNY",
        "HKD",
        "SGD",
        "SEK",
        "NOK",
        "DKK",
        "MXN",
        "BRL",
        "INR",
        "KRW",
        "ZAR",
        "TRY",
        "RUB",
    ]
)


@dataclass(frozen=True)
class Linker:
    """Finds the instruments a text names.

    Parameters
    ----------
    companies
        Symbol → names a text may use for it. Names are matched as written, or in capitals.
    """

    companies: Mapping[str, Sequence[str]]
    _names: re.Pattern[str] | None = field(init=False, repr=False, default=None)
    _owners: dict[str, str] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        for symbol, names in self.companies.items():
            for name in names:
                self._owners[_folded(name)] = symbol
                self._owners.setdefault(_folded(name.upper()), symbol)
        # Longest first, so that "Apple Hospitality" is not also "Apple".
        written = sorted(self._owners, key=lambda name: (-len(name), name))
        if written:
            words = "|".join(re.escape(name).replace(r"\ ", r"\s+") for name in written)
            object.__setattr__(
                self, "_names", re.compile(rf"(?<![\w$@#&\-])(?:{words})(?![\w&]|-\w)")
            )

    def links(self, text: str) -> dict[str, str]:
        """Symbol → the strongest way it was found, by symbol.

        Parameters
        ----------
        text
            Headline, or headline and body.
        """
        found: dict[str, str] = {}

        def add(symbol: str, way: str) -> None:
            if symbol not in found or WAYS.index(way) < WAYS.index(found[symbol]):
                found[symbol] = way

        text = _folded(text)
        for match in _CASHTAG.finditer(text):
            symbol = match.group(1).upper()
            # In lower case only what is known: "$cash" is no ticker.
            known = symbol in self.companies
            if known or (match.group(1).isupper() and symbol not in _CURRENCIES):
                add(symbol, "cashtag")
        for match in _WITH_EXCHANGE.finditer(text):
            add(match.group(1), "exchange")
        for match in _IN_PARENTHESES.finditer(text):
            if match.group(1) in self.companies and match.group(1) not in AMBIGUOUS:
                add(match.group(1), "ticker")
        if self._names is not None:
            for match in self._names.finditer(text):
                add(self._owners[" ".join(match.group().split())], "name")
        return dict(sorted(found.items()))


def _folded(text: str) -> str:
    """Curly apostrophes and hard spaces as plain ones."""
    return text.translate(_PLAIN)


_PLAIN = str.maketrans({"\u2019": "'", "\u2018": "'", "\u00a0": " ", "\u2011": "-", "\u2010": "-"})
