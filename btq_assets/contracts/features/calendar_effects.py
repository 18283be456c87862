"""What the exchange calendar says of a session: known in advance, the same for a whole universe."""

from __future__ import annotations

from btq_assets.contracts.base import Column
from btq_assets.contracts.columns import number
from btq_assets.contracts.features.family import family


def _share(name: str, description: str) -> Column:
    return number(name, description, minimum=0, maximum=1)


def _wave(name: str, description: str) -> Column:
    return number(name, description, minimum=-1.000001, maximum=1.000001)


CALENDAR = family(
    "calendar",
    "Place of a session in the week, month, quarter and year of its exchange, from the calendar as it was planned.",
    (
        _wave("calendar_weekday_sin", "Sine of the day of the week, Monday 0, full turn 7 days."),
        _wave("calendar_weekday_cos", "Cosine of the day of the week."),
        _wave("calendar_month_sin", "Sine of the month of the year, January 0."),
        _wave("calendar_month_cos", "Cosine of the month of the year."),
        _wave("calendar_month_phase_sin", "Sine of the session's place among those of its month."),
        _wave("calendar_month_phase_cos", "Cosine of the session's place in its month."),
        number("calendar_sessions_into_month", "Sessions of the month before this one.", minimum=0),
        number("calendar_sessions_left_in_month", "Planned sessions of the month after this one.", minimum=0),
        _share("calendar_turn_of_month", "1 on the last planned session of a month and the first three, else 0."),
        number("calendar_sessions_left_in_quarter", "Planned sessions of the quarter after this one.", minimum=0),
        _share("calendar_quarter_end", "1 on the last five planned sessions of a quarter, else 0."),
        _share("calendar_option_expiry_week", "1 in the week of a month's third Friday, else 0."),
        _share("calendar_triple_witching_week", "1 in that week of March, June, September and December, else 0."),
        number("calendar_sessions_to_option_expiry", "Planned sessions to the next monthly expiry, 0 on it.", minimum=0),
        number("calendar_days_to_holiday", "Calendar days to the next planned closure on a weekday; null where none is within a year.", minimum=1),
        number("calendar_days_since_holiday", "Calendar days since the last closure on a weekday, unplanned ones included.", minimum=1),
        number("calendar_days_to_next_session", "Calendar days to the next planned session.", minimum=1),
        _share("calendar_pre_holiday", "1 where a weekday before the next planned session is a closure, else 0."),
        _share("calendar_post_holiday", "1 where a weekday since the session before was a closure, else 0."),
        number("calendar_session_hours", "Hours from open to close; null on days without a session.", minimum=0),
        _share("calendar_half_day", "1 where the session is shorter than 0.8 of the longest of its year, else 0."),
    ),
    market_wide=True,
)  # fmt: skip
