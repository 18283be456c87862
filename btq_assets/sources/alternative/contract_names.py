"""Names of option contracts and what they say.

Belongs here: OCC codes and Deribit's instrument names, with the instant of expiry they imply. Does
not belong here: quotes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from btq_assets.sources.alternative.cells import RowError

_NEW_YORK = ZoneInfo("America/New_York")
_OCC = re.compile(
    r"(?P<root>[A-Z][A-Z0-9]{0,5}) *(?P<day>\d{6})(?P<kind>[CP])(?P<strike>\d{8})",
    re.ASCII,
)
_DERIBIT = re.compile(
    r"(?P<base>[A-Z0-9]+)(?:_(?P<quote>[A-Z]+))?-(?P<day>\d{1,2})(?P<month>[A-Z]{3})(?P<year>\d{2})"
    r"-(?P<strike>\d+(?:d\d+)?)-(?P<kind>[CP])",
    re.ASCII,
)
_KINDS = {"C": "call", "P": "put"}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")

#: Index classes settled at the opening prices of their last day; all others at its close.
MORNING_ROOTS = frozenset({"SPX", "NDX", "RUT", "DJX", "VIX", "VIXW", "MXEA", "MXEF"})
#: Index classes that may be exercised on their last day only. OEX is not among them, nor is any share
#: or fund.
EUROPEAN_ROOTS = frozenset(
    {
        "SPX", "SPXW", "XSP", "SPESG", "NDX", "NDXP", "XND", "RUT", "RUTW", "MRUT", "DJX", "VIX",
        "VIXW", "XEO", "MXEA", "MXEF",
    }
)  # fmt: skip
_OPENING, _CLOSING = time(9, 30), time(16, 0)
#: Deribit's options expire at 08:00 UTC.
_DERIBIT_EXPIRY = time(8, 0, tzinfo=UTC)


@dataclass(frozen=True)
class ContractName:
    """What the name of an option contract says.

    Parameters
    ----------
    root
        Class of the contract.
    kind
        ``call`` or ``put``.
    strike
        In currency per unit of underlying.
    expiry
        Day in the name.
    expires_at
        Instant at which the payoff is fixed, UTC.
    currency
        Currency of the strike.
    inverse
        Whether premiums are quoted in the underlying.
    """

    root: str
    kind: str
    strike: float
    expiry: date
    expires_at: datetime
    currency: str
    inverse: bool = False


def parse_occ(code: str) -> ContractName:
    """Read an OCC code: root, date, right, strike in thousandths (``SPXW240621P05000000``).

    Raises
    ------
    RowError
        It is none, or names a day that does not exist.
    """
    found = _OCC.fullmatch(code)
    if found is None:
        raise RowError(f"{code!r} is no OCC code (root, yymmdd, C or P, strike in eight digits)")
    digits = found["day"]
    expiry = _day(2000 + int(digits[:2]), int(digits[2:4]), int(digits[4:]), code)
    strike = int(found["strike"]) / 1_000
    if strike <= 0:
        raise RowError(f"{code!r} has a strike of zero")
    at = _OPENING if found["root"] in MORNING_ROOTS else _CLOSING
    expires_at = datetime.combine(expiry, at, _NEW_YORK).astimezone(UTC)
    return ContractName(found["root"], _KINDS[found["kind"]], strike, expiry, expires_at, "USD")


def parse_deribit(name: str) -> ContractName:
    """Read a Deribit name: ``BTC-27DEC24-100000-C``, ``XRP_USDC-5JAN25-0d55-P``.

    Contracts without a quote currency are inverse: premiums are fractions of the underlying, and
    the strike is in US dollars.

    Raises
    ------
    RowError
        It is none, or names a day that does not exist.
    """
    found = _DERIBIT.fullmatch(name)
    if found is None or found["month"] not in _MONTHS:
        raise RowError(f"{name!r} is no Deribit option (such as BTC-27DEC24-100000-C)")
    month = _MONTHS.index(found["month"]) + 1
    expiry = _day(2000 + int(found["year"]), month, int(found["day"]), name)
    strike = float(found["strike"].replace("d", "."))
    if strike <= 0:
        raise RowError(f"{name!r} has a strike of zero")
    return ContractName(
        found["base"] if found["quote"] is None else f"{found['base']}_{found['quote']}",
        _KINDS[found["kind"]],
        strike,
        expiry,
        datetime.combine(expiry, _DERIBIT_EXPIRY),
        found["quote"] or "USD",
        inverse=found["quote"] is None,
    )


def _day(year: int, month: int, day: int, name: str) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise RowError(f"{name!r} names a day that does not exist") from None
