"""Keys out of texts: every way an address or JSON writes a key becomes ``***``.

Belongs here: recognising a key. Does not belong here: where keys come from, and who shows what.
"""

from __future__ import annotations

import json
import re
from urllib.parse import quote, quote_plus

HIDDEN = "***"


def ways_to_write(key: str) -> list[str]:
    """The key as it is, percent-encoded for addresses, and escaped for JSON; longest first."""
    if not key:
        return []
    encoded = {quote(key, safe=""), quote(key), quote_plus(key)}
    ways = {key, json.dumps(key)[1:-1], *encoded, *(_lower_escapes(way) for way in encoded)}
    return sorted(ways, key=len, reverse=True)


def blot_text(text: str, key: str) -> str:
    """`text` without the key."""
    for written in ways_to_write(key):
        text = text.replace(written, HIDDEN)
    return text


def blot_bytes(body: bytes, key: str) -> bytes:
    """`body` without the key."""
    for written in ways_to_write(key):
        body = body.replace(written.encode(), HIDDEN.encode())
    return body


def _lower_escapes(text: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda found: found.group().lower(), text)
