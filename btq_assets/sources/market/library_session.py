"""The patience of `HttpClient` for libraries that do their own asking (yfinance, ccxt).

Belongs here: the session such a library is given, which keeps the provider's pace, sends requests
to another server where the settings name one, keeps raw answers and plays them back; and the loop
of attempts around a library call. Does not belong here: any particular library.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from btq_assets.sources.answers import Answer
from btq_assets.sources.errors import ProviderUnavailableError
from btq_assets.sources.http import HttpClient
from btq_assets.sources.patience import TryAgainError, asked_wait_s, patiently

Result = TypeVar("Result")

#: Parameters that change from one session to the next and mean nothing to the answer.
_VOLATILE = ("crumb", "nonce", "timestamp", "signature")
#: Answers that say when to come back.
_LATER = (429, 503)


def library_session(
    client: HttpClient,
    *,
    keeps: Callable[[str], bool],
    parent: type | None = None,
    **options: Any,
) -> Any:
    """A session a library can ask with, in the client's manner.

    Parameters
    ----------
    client
        Pace, address, stored answers, replay.
    keeps
        Whether the answers of a path are worth keeping.
    parent
        Session class of the library; `requests.Session` by default.
    **options
        For the class.

    Returns
    -------
    Session
        With one more attribute, ``fresh_hours``: the age up to which stored answers are used
        instead of asking; 0 at first.
    """
    import requests

    base: Any = parent or requests.Session

    class Session(base):
        fresh_hours = 0.0

        def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
            address = client.blot(_address(method, url, args, kwargs))
            kept = method.upper() == "GET" and keeps(urlsplit(url).path)
            stored = _stored(client, address, self.fresh_hours) if kept else None
            if stored is not None:
                client.n_stored += 1
                return _response(url, stored.body)
            if client.replay:
                if not kept:
                    return _response(url, b"replayed")
                raise ProviderUnavailableError(
                    f"{client.name}: no stored answer to {address}; fetch it once with "
                    "sources.replay: false"
                )
            client.keep_pace()
            client.n_requests += 1
            if parent is None:
                # Read here: a library would wait for ever on an answer that drips.
                kwargs["stream"] = True
            answer = super().request(
                method, _sent_to(client.settings.base_url, url), *args, **kwargs
            )
            if parent is None:
                answer._content = _read(client, answer)
            wait_s = asked_wait_s(answer.headers, client.now)
            if answer.status_code in _LATER and wait_s is not None:
                raise TryAgainError(f"HTTP {answer.status_code}", wait_s)
            if kept and answer.status_code == 200:
                if not _whole(answer.content):
                    # A library may take what it cannot read for an answer without rows.
                    raise TryAgainError(f"not JSON: {client.excerpt(answer.content)}")
                if client.answers:
                    client.answers.keep(Answer(address, client.now, {}, answer.content))
            return answer

    session = Session(**options)
    if client.settings.base_url:
        session.trust_env = False
    return session


def ask_patiently(client: HttpClient, attempt: Callable[[], Result], what: str) -> Result:
    """Call `attempt` until it gives something; see `sources.patience`.

    Parameters
    ----------
    attempt
        Raises `TryAgainError` for what may be better next time.
    what
        What was asked for, named in the error.

    Raises
    ------
    ProviderUnavailableError
        Nothing after the last attempt.
    """
    return patiently(
        attempt,
        name=client.name,
        what=f"gave no {what}",
        max_attempts=client.settings.max_attempts,
        sleep=client.sleep,
        blot=client.blot,
    )


def _read(client: HttpClient, answer: Any) -> bytes:
    import urllib3

    try:
        return client.read_body(answer)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise TryAgainError(f"{type(error).__name__}: {client.blot(str(error))}") from None
    finally:
        answer.close()


def _address(method: str, url: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    parts = urlsplit(url)
    given = kwargs.get("params") or (args[0] if args else None) or {}
    pairs = [*parse_qsl(parts.query), *((str(k), str(v)) for k, v in dict(given).items())]
    asked = sorted((name, value) for name, value in pairs if name.lower() not in _VOLATILE)
    return json.dumps([method.upper(), parts.netloc, parts.path, asked])


def _stored(client: HttpClient, address: str, fresh_hours: float) -> Answer | None:
    if client.answers is None:
        return None
    if client.replay:
        return client.answers.find(address)
    return client.answers.fresh(address, client.now, fresh_hours) if fresh_hours > 0 else None


def _response(url: str, body: bytes) -> Any:
    """A stored answer in the shape both backends' callers read."""
    import requests

    response = requests.Response()
    response.status_code = 200
    response.reason = "OK"
    response.url = url
    response.encoding = "utf-8"
    response.headers["Content-Type"] = "application/json"
    response._content = body
    return response


def _sent_to(base_url: str, url: str) -> str:
    """`url` on another server, path and query unchanged; as it is where none is named."""
    if not base_url:
        return url
    target, asked = urlsplit(base_url), urlsplit(url)
    return urlunsplit((target.scheme, target.netloc, asked.path, asked.query, asked.fragment))


def _whole(body: bytes) -> bool:
    """Whether a body is complete JSON; half an answer is not kept."""
    try:
        json.loads(body)
    except ValueError:
        return False
    return True
