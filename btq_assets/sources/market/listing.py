"""From the names a user writes to the names a provider is asked by, and where each one trades.

Belongs here: the one mapping of symbols, and each provider's own rules of suffixes and pairs, for
the exchanges this house knows. Does not belong here: fetching.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from btq_assets.config.sources.market import (
    AlphaVantageSourceSection,
    BarsProviderSection,
    BinanceSourceSection,
    CcxtSourceSection,
    EcbSourceSection,
    NasdaqDataLinkSourceSection,
    YahooSourceSection,
)
from btq_assets.sources.errors import SourceError


@dataclass(frozen=True)
class Listing:
    """Calendar and currency of a symbol.

    Parameters
    ----------
    calendar
        Code of an ``exchange_calendars`` calendar.
    currency
        Currency the provider quotes in (``GBp`` is pence).
    """

    calendar: str
    currency: str


@dataclass(frozen=True)
class Instrument:
    """One configured instrument of one provider.

    Parameters
    ----------
    symbol
        Name in this house.
    asked_as
        Name the provider knows.
    listing
        Where it trades, and in what currency.
    """

    symbol: str
    asked_as: str
    listing: Listing


_YAHOO_SUFFIXES = {
    "-USD": Listing("24/7", "USD"),
    "-EUR": Listing("24/7", "EUR"),
    ".AS": Listing("XAMS", "EUR"),
    ".AX": Listing("XASX", "AUD"),
    ".DE": Listing("XETR", "EUR"),
    ".HK": Listing("XHKG", "HKD"),
    ".L": Listing("XLON", "GBp"),
    ".PA": Listing("XPAR", "EUR"),
    ".SW": Listing("XSWX", "CHF"),
    ".T": Listing("XTKS", "JPY"),
    ".TO": Listing("XTSE", "CAD"),
}
_ALPHA_VANTAGE_SUFFIXES = {
    ".AMS": Listing("XAMS", "EUR"),
    ".BSE": Listing("XBOM", "INR"),
    ".DEX": Listing("XETR", "EUR"),
    ".FRK": Listing("XFRA", "EUR"),
    ".LON": Listing("XLON", "GBp"),
    ".PAR": Listing("XPAR", "EUR"),
    ".SHH": Listing("XSHG", "CNY"),
    ".SHZ": Listing("XSHG", "CNY"),
    ".TRT": Listing("XTSE", "CAD"),
}
#: Binance writes pairs without a mark between them; the quoted currency is the longest that fits.
_BINANCE_QUOTES = (
    "FDUSD", "USDT", "USDC", "TUSD", "BUSD", "USDP", "BIDR", "DAI", "BTC", "ETH", "BNB", "TRX", "XRP",
    "EUR", "GBP", "TRY", "BRL", "AUD", "JPY", "ARS", "PLN", "RON", "UAH", "ZAR", "RUB", "MXN", "USD",
)  # fmt: skip
_UNITED_STATES = Listing("XNYS", "USD")
#: No library calendar knows TARGET holidays; weekdays are the nearest one.
FX_CALENDAR = "24/5"


def mapped_symbols(
    source: str,
    symbols: Sequence[str] | Mapping[str, str],
    own_name: Callable[[str], str] = str,
) -> dict[str, str]:
    """Own name → provider's name, in the order written.

    Parameters
    ----------
    source
        Section the symbols stand in, named in errors.
    symbols
        A mapping, or a list of the provider's names.
    own_name
        The house's name of a provider's name, where the user gave none.

    Raises
    ------
    SourceError
        There is none, one is blank, or two names mean the same.
    """
    pairs = (
        list(symbols.items())
        if isinstance(symbols, Mapping)
        else [(own_name(asked), asked) for asked in dict.fromkeys(symbols)]
    )
    where = f"sources.{source}.symbols"
    if not pairs:
        raise SourceError(
            f"{where} is empty: name at least one, or set sources.{source}.enabled: false"
        )
    for own, asked in pairs:
        if not own.strip() or not asked.strip():
            raise SourceError(f"{where}: {own!r} → {asked!r} has a blank name")
    for names, kind in (([own for own, _ in pairs], "names"), ([a for _, a in pairs], "targets")):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise SourceError(f"{where}: {kind} {twice} stand there twice")
    return dict(pairs)


def listing_of(symbol: str) -> Listing:
    """Calendar and currency of a Yahoo symbol; without a suffix it trades in New York.

    Raises
    ------
    SourceError
        The suffix is of an exchange this house does not know.

    Examples
    --------
    >>> listing_of("SAP.DE")
    Listing(calendar='XETR', currency='EUR')
    """
    return _by_suffix("yahoo", symbol, _YAHOO_SUFFIXES, unknown=(".", "="))


def alpha_vantage_listing(symbol: str) -> Listing:
    """Calendar and currency of an Alpha Vantage symbol, by its suffix.

    Raises
    ------
    SourceError
        The suffix is of an exchange this house does not know.
    """
    return _by_suffix("alpha_vantage", symbol, _ALPHA_VANTAGE_SUFFIXES, unknown=(".",))


def binance_listing(symbol: str) -> Listing:
    """Calendar and quoted currency of a Binance pair.

    Raises
    ------
    SourceError
        It ends in no currency this house knows.

    Examples
    --------
    >>> binance_listing("ETHBTC")
    Listing(calendar='24/7', currency='BTC')
    """
    for quote in _BINANCE_QUOTES:
        if symbol.isalnum() and symbol.endswith(quote) and len(symbol) > len(quote):
            return Listing("24/7", quote)
    raise SourceError(
        f"sources.binance.symbols: {symbol!r} is no pair such as BTCUSDT: base and quoted currency in "
        f"capitals without a mark between, quoted in one of {', '.join(_BINANCE_QUOTES)}"
    )


def ccxt_listing(symbol: str) -> Listing:
    """Calendar and quoted currency of a ccxt symbol: ``BTC/USDT``, perpetual ``BTC/USDT:USDT``.

    Raises
    ------
    SourceError
        It is written in another way.
    """
    base, mark, rest = symbol.partition("/")
    quote = rest.partition(":")[0]
    if not base or not mark or not quote:
        raise SourceError(
            f"sources.ccxt.symbols: {symbol!r} is not in ccxt's unified spelling, BASE/QUOTE for spot "
            "(BTC/USDT) or BASE/QUOTE:SETTLE for a perpetual (BTC/USDT:USDT)"
        )
    return Listing("24/7", quote)


def is_perpetual(symbol: str) -> bool:
    """Whether a ccxt symbol names a derivative, settled in the currency after the colon."""
    return ":" in symbol


def instruments_of(source: str, section: BarsProviderSection) -> list[Instrument]:
    """The configured instruments of a provider.

    Raises
    ------
    SourceError
        A symbol cannot be one of the provider's.
    """
    own, listing = _RULES[source]
    symbols = mapped_symbols(source, section.symbols, own)
    return [Instrument(name, asked, listing(section, asked)) for name, asked in symbols.items()]


def _by_suffix(
    source: str, symbol: str, suffixes: Mapping[str, Listing], unknown: tuple[str, ...]
) -> Listing:
    upper = symbol.upper()
    for suffix, listing in suffixes.items():
        if upper.endswith(suffix):
            return listing
    if any(mark in upper for mark in unknown):
        raise SourceError(
            f"sources.{source}.symbols: the exchange of {symbol!r} is not known; suffixes known are "
            f"{sorted(suffixes)}, add its calendar and currency to sources/market/listing.py"
        )
    return _UNITED_STATES


def _data_link_name(code: str) -> str:
    return code.rpartition("/")[2]


def _data_link_listing(section: NasdaqDataLinkSourceSection, code: str) -> Listing:
    database, mark, dataset = code.partition("/")
    if not database or not mark or not dataset or "/" in dataset:
        raise SourceError(
            f"sources.nasdaq_data_link.symbols: {code!r} is no code such as WIKI/AAPL"
        )
    return Listing(section.calendar, section.currency)


def _ecb_name(currency: str) -> str:
    return f"EUR{currency}"


def _ecb_listing(_: EcbSourceSection, currency: str) -> Listing:
    if len(currency) != 3 or not currency.isupper():
        raise SourceError(
            f"sources.ecb.symbols: {currency!r} is no currency code such as USD (own name → code)"
        )
    return Listing(FX_CALENDAR, currency)


def _yahoo(_: YahooSourceSection, symbol: str) -> Listing:
    return listing_of(symbol)


def _binance(_: BinanceSourceSection, symbol: str) -> Listing:
    return binance_listing(symbol)


def _ccxt(_: CcxtSourceSection, symbol: str) -> Listing:
    return ccxt_listing(symbol)


def _alpha_vantage(_: AlphaVantageSourceSection, symbol: str) -> Listing:
    return alpha_vantage_listing(symbol)


#: Source → how it names what the user did not name, and where a symbol trades.
_RULES: dict[str, tuple[Callable[[str], str], Callable[..., Listing]]] = {
    "yahoo": (str, _yahoo),
    "binance": (str, _binance),
    "ccxt": (str, _ccxt),
    "alpha_vantage": (str, _alpha_vantage),
    "nasdaq_data_link": (_data_link_name, _data_link_listing),
    "ecb": (_ecb_name, _ecb_listing),
}
