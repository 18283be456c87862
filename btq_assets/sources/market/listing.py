"""Where a Yahoo symbol trades, by its suffix.

Belongs here: Yahoo's own suffix rule, for the exchanges this house knows. Does not belong here:
fetching.
"""

from __future__ import annotations

from dataclasses import dataclass

from btq_assets.sources.errors import SourceError


@dataclass(frozen=True)
class Listing:
    """Calendar and currency of a symbol.

    Parameters
    ----------
    calendar
        Code of an ``exchange_calendars`` calendar.
    currency
        Currency Yahoo quotes in (``GBp`` is pence).
    """

    calendar: str
    currency: str


_SUFFIXES = {
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
_UNITED_STATES = Listing("XNYS", "USD")


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
    upper = symbol.upper()
    for suffix, listing in _SUFFIXES.items():
        if upper.endswith(suffix):
            return listing
    if "." in upper or "=" in upper:
        raise SourceError(
            f"sources.yahoo.symbols: the exchange of {symbol!r} is not known; suffixes known are "
            f"{sorted(_SUFFIXES)}, add its calendar and currency to sources/market/listing.py"
        )
    return _UNITED_STATES
