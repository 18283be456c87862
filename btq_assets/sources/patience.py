"""Asking again: growing jittered waits, and at least as long as a provider asks for.

Belongs here: the one loop of attempts that every provider is asked in, ours or a library's. Does not
belong here: what is asked, and what an answer means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from btq_assets.sources.errors import ProviderUnavailableError

Result = TypeVar("Result")

_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 60.0
#: A provider that asks for more patience than this is not asked again in this run.
_LONGEST_ASKED_WAIT_S = 600.0


class TryAgainError(Exception):
    """An answer that may be better next time; providers raise it from `HttpClient.get`'s `judge`.

    Parameters
    ----------
    reason
        What was wrong.
    wait_s
        Seconds the provider asked to wait, if it did.
    """

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def patiently(
    attempt: Callable[[], Result],
    *,
    name: str,
    what: str,
    max_attempts: int,
    sleep: Callable[[float], None],
    blot: Callable[[str], str],
) -> Result:
    """Call `attempt` until it gives something.

    Parameters
    ----------
    attempt
        Raises `TryAgainError` for what may be better next time.
    name
        Section of the provider.
    what
        What was asked for and how it failed, as in "gave no usable answer to …".
    sleep
        Waits so many seconds.
    blot
        Takes keys out of what is shown.

    Raises
    ------
    ProviderUnavailableError
        Nothing after the last attempt, or the provider asks for more patience than a run has.
    """
    import tenacity

    jittered = tenacity.wait_exponential_jitter(initial=_FIRST_WAIT_S, max=_LONGEST_WAIT_S)

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait_s if isinstance(error, TryAgainError) else None
        return max(jittered(state), asked or 0.0)

    def worth_it(error: BaseException) -> bool:
        return isinstance(error, TryAgainError) and (error.wait_s or 0.0) <= _LONGEST_ASKED_WAIT_S

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(worth_it),
        stop=tenacity.stop_after_attempt(max_attempts),
        wait=wait,
        sleep=sleep,
        reraise=True,
    )
    try:
        return retrying(attempt)
    except TryAgainError as error:
        advice = (
            f"it asks to wait {error.wait_s:,.0f} s: run it again then"
            if (error.wait_s or 0.0) > _LONGEST_ASKED_WAIT_S
            else f"run it again later, or raise sources.{name}.max_attempts"
        )
        raise ProviderUnavailableError(
            f"{name} {what} in {retrying.statistics['attempt_number']} attempts, last: "
            f"{blot(str(error))}. Nothing of this window was stored; {advice}"
        ) from None


def asked_wait_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that ``Retry-After`` asks for, as a number or as a date (RFC 9110, section 10.2.3).

    Parameters
    ----------
    headers
        Of an answer.
    now
        The run's clock, where the answer carries no ``Date`` of its own.
    """
    text = (headers.get("Retry-After") or "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        # Against the provider's own clock; the run may have begun long before this answer.
        sent = headers.get("Date")
        since = parsedate_to_datetime(sent) if sent else now
        return max(0.0, (parsedate_to_datetime(text) - since).total_seconds())
    except (TypeError, ValueError):
        return None
