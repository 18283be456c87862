"""How far a long step has come, in one line a person can read.

Belongs here: the words for a share, a rate and a time that is left. Does not belong here: clocks,
and what is counted.
"""

from __future__ import annotations


def how_far(share: float, rows: int, seconds: float, unit: str = "rows") -> str:
    """``"31 %, 24,100 bars/s, about 1 min 20 s left"``; what nobody can know yet is left out.

    Parameters
    ----------
    share
        Part of the work that is done, 0 to 1.
    rows, unit
        What has been handled so far, and what it is called.
    seconds
        Time it took.
    """
    share = min(max(share, 0.0), 1.0)
    said = [f"{share:.0%}".replace("%", " %")]
    if seconds > 0:
        said.append(f"{rows / seconds:,.0f} {unit}/s")
        if 0 < share < 1:
            said.append(f"about {duration(seconds * (1 - share) / share)} left")
    return ", ".join(said)


def duration(seconds: float) -> str:
    """``"50 s"``, ``"1 min 20 s"``, ``"2 h 5 min"``."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if not minutes:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
