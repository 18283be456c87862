"""One patient HTTP client for every provider.

Belongs here: asking, keeping to the provider's pace, keeping raw answers, naming what went wrong, and
never showing a key. Does not belong here: asking again (`patience.py`), what an answer means.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from btq_assets.config import ProviderSection
from btq_assets.sources.answers import Answer, AnswerStore
from btq_assets.sources.blotting import blot_bytes, blot_text
from btq_assets.sources.errors import (
    AnswerShapeError,
    NotFoundError,
    ProviderUnavailableError,
    RefusedRequestError,
    SourceError,
    WrongKeyError,
)
from btq_assets.sources.patience import TryAgainError, asked_wait_s, patiently

if TYPE_CHECKING:
    import requests

_CHUNK = 1 << 16
#: So much of a body is searched for the key before its start is shown.
_SHOWN_FROM = 1 << 16
_MEBIBYTE = 1 << 20
#: An answer that takes so many times the timeout in all is given up: a slow drip never ends.
_DRIP_FACTOR = 6


Judge = Callable[[bytes], None]


@dataclass
class Pace:
    """When a provider may be asked next; shared by all clients of one provider in a process."""

    next_call: float = 0.0


@dataclass
class HttpClient:
    """Asks one provider.

    Parameters
    ----------
    name
        Section of the provider, named in every error.
    settings
        Timeouts, attempts, pace.
    now
        The run's clock, UTC: when answers are said to be fetched.
    default_url
        The provider's own address; ``settings.base_url`` replaces it.
    answers
        Where raw answers are kept; ``None`` keeps none.
    replay
        Ask nobody: use stored answers whatever their age.
    key
        Key of the provider, or empty. It goes into requests through `params` or `headers`, and is
        blotted out of every message.
    max_answer_mib
        Larger answers are refused.
    sleep, clock
        For tests: waiting, and monotonic seconds.
    pace
        Shared with the other clients of the provider, so that a range of partitions keeps to it.
    secrets
        Blotted out like the key.
    """

    name: str
    settings: ProviderSection
    now: datetime
    default_url: str = ""
    answers: AnswerStore | None = None
    replay: bool = False
    key: str = field(default="", repr=False)
    max_answer_mib: float = 512.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    n_requests: int = 0
    n_stored: int = 0
    pace: Pace = field(default_factory=Pace, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    _session: Any = field(default=None, repr=False)

    def at(self, default_url: str) -> HttpClient:
        """The same client, asking the provider's own address unless the settings name another."""
        self.default_url = default_url
        return self

    @property
    def base_url(self) -> str:
        """Address without a slash at its end."""
        return (self.settings.base_url or self.default_url).rstrip("/")

    def get(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        secret_params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        secret_headers: Mapping[str, str] | None = None,
        post_json: Any = None,
        post_form: Mapping[str, str] | None = None,
        fresh_hours: float | None = None,
        judge: Judge | None = None,
    ) -> bytes:
        """Body of an answer.

        Parameters
        ----------
        path
            Path below the base address, or a whole address (a next page).
        params, headers
            Of the request; ``None`` values are left out.
        secret_params, secret_headers
            As above, with keys in them: never stored, never shown.
        post_json
            Sends a POST with this body instead of a GET.
        post_form
            Sends a POST with these fields, as a form.
        fresh_hours
            Age up to which a stored answer is used; default the provider's setting.
        judge
            Looks at a body that came with HTTP 200 and raises: `TryAgainError` where the provider
            says "not now" that way, a `SourceError` where it says "no". A refused body is not kept.

        Raises
        ------
        ProviderUnavailableError
            No usable answer after every attempt, or none stored when replaying.
        WrongKeyError, NotFoundError
            HTTP 401 or 403; 404 or 410.
        RefusedRequestError
            Any other status below 500; it carries the status and the start of what was said.
        """
        url = path if path.startswith(("http://", "https://")) else f"{self.base_url}/{path}"
        shown = {k: v for k, v in sorted((params or {}).items()) if v is not None}
        address = self.blot(
            json.dumps(
                [url.removeprefix(self.base_url), shown, post_json or post_form], sort_keys=True
            )
        )
        hours = self.settings.answers_fresh_hours if fresh_hours is None else fresh_hours
        stored = self.answers.find(address) if self.answers else None
        if self.replay:
            if stored is None:
                raise ProviderUnavailableError(
                    f"{self.name}: no stored answer to {address}; fetch it once with "
                    "sources.replay: false"
                )
            self.n_stored += 1
            return stored.body
        if self.answers and (fresh := self.answers.fresh(address, self.now, hours)):
            self.n_stored += 1
            return fresh.body

        def attempt() -> bytes:
            return self._ask(
                url,
                address,
                {**shown, **(secret_params or {})},
                {**(headers or {}), **(secret_headers or {})},
                post_json,
                post_form,
                stored,
                judge,
                # A key in a header would travel to wherever the answer points.
                follow=not secret_headers,
            )

        return patiently(
            attempt,
            name=self.name,
            what=f"gave no usable answer to {address}",
            max_attempts=self.settings.max_attempts,
            sleep=self.sleep,
            blot=self.blot,
        )

    def get_json(self, path: str, params: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """Answer parsed as JSON; see `get`.

        Raises
        ------
        ProviderUnavailableError
            The body was not JSON at any attempt (cut off, or an error page).
        """
        judge: Judge | None = options.pop("judge", None)

        def parses(body: bytes) -> None:
            try:
                json.loads(body)
            except ValueError:
                raise TryAgainError(f"not JSON: {self.excerpt(body)}") from None
            if judge is not None:
                judge(body)

        body = self.get(path, params, judge=parses, **options)
        try:
            return json.loads(body)
        except ValueError:  # A stored answer that was never judged.
            raise self.shape_error("JSON", self.excerpt(body)) from None

    def shape_error(self, what: str, found: Any) -> AnswerShapeError:
        """Error that names what was expected and shows the start of what came."""
        return AnswerShapeError(
            f"{self.name}: expected {what}, found {self.excerpt(str(found).encode())}. The provider "
            "may have changed its answers; nothing of this window was stored"
        )

    def excerpt(self, body: bytes, length: int = 200) -> str:
        """Start of a body on one line, key blotted out."""
        # Blotted before it is cut: half a key at the end would not be recognised.
        text = " ".join(self.blot(body[:_SHOWN_FROM].decode(errors="replace")).split())
        return text[:length] + ("…" if len(text) > length else "")

    def blot(self, text: str) -> str:
        """`text` without the key, in whatever way addresses and JSON write it."""
        for secret in (self.key, *self.secrets):
            text = blot_text(text, secret)
        return text

    def hide(self, secret: str) -> None:
        """Show and store `secret` no more than the key itself: a token made with it."""
        self.secrets = (*self.secrets, secret)

    def _ask(
        self,
        url: str,
        address: str,
        params: Mapping[str, Any],
        headers: Mapping[str, str],
        post_json: Any,
        post_form: Mapping[str, str] | None,
        stored: Answer | None,
        judge: Judge | None,
        *,
        follow: bool,
    ) -> bytes:
        import requests
        import urllib3

        self.keep_pace()
        headers = {**headers, **_conditions(stored)}
        method = "GET" if post_json is None and post_form is None else "POST"
        self.n_requests += 1
        try:
            with self._open_session().request(
                method,
                url,
                params=dict(params),
                headers=headers,
                json=post_json,
                data=dict(post_form) if post_form is not None else None,
                timeout=self.settings.timeout_s,
                stream=True,
                allow_redirects=follow,
            ) as response:
                if response.status_code == 304 and stored is not None:
                    self._keep(Answer(address, self.now, stored.headers, stored.body))
                    return stored.body
                self._refuse(response, address)
                body = self.read_body(response)
        except UnicodeError:
            # Its message and arguments hold the whole header or address.
            raise WrongKeyError(
                f"{self.name}: a key or parameter holds characters no request can carry; copy the "
                "key again"
            ) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            # The message may hold the whole address, key included.
            raise TryAgainError(f"{type(error).__name__}: {self.blot(str(error))}") from None
        if judge is not None:
            judge(body)
        kept = {name.lower(): value for name, value in response.headers.items()}
        # Some providers repeat the key, for example in the address of the next page.
        blotted = body
        for secret in (self.key, *self.secrets):
            blotted = blot_bytes(blotted, secret)
        self._keep(Answer(address, self.now, kept, blotted))
        return body

    def _keep(self, answer: Answer) -> None:
        if self.answers is not None:
            self.answers.keep(answer)

    def _open_session(self) -> requests.Session:
        if self._session is None:
            import requests

            self._session = requests.Session()
        return self._session

    def keep_pace(self) -> None:
        """Wait until the provider may be asked again, and note that it is."""
        wait = self.pace.next_call - self.clock()
        if wait > 0:
            self.sleep(wait)
        self.pace.next_call = (
            max(self.clock(), self.pace.next_call) + 60.0 / self.settings.calls_per_minute
        )

    def read_body(self, response: requests.Response) -> bytes:
        """Body of an answer that is still on its way, and all of it.

        Raises
        ------
        TryAgainError
            It comes too slowly, or ends early.
        SourceError
            It is larger than answers are.
        """
        started, parts, size = self.clock(), [], 0
        # One read at a time: a read that waits for a whole chunk would not notice a drip.
        while part := response.raw.read1(_CHUNK, decode_content=True):
            parts.append(part)
            size += len(part)
            if size > self.max_answer_mib * _MEBIBYTE:
                raise SourceError(
                    f"{self.name} sent more than {self.max_answer_mib:g} MiB; nothing was stored"
                )
            if self.clock() - started > _DRIP_FACTOR * self.settings.timeout_s:
                raise TryAgainError(f"only {size} bytes in {self.clock() - started:.0f} s")
        declared = response.headers.get("Content-Length")
        # With a content encoding the length counts compressed bytes.
        if (
            declared
            and declared.isdigit()
            and not response.headers.get("Content-Encoding")
            and size != int(declared)
        ):
            raise TryAgainError(f"{size} of {declared} bytes, then the connection ended")
        return b"".join(parts)

    def _refuse(self, response: requests.Response, address: str) -> None:
        status = response.status_code
        if status < 300:
            return
        said = self.excerpt(response.raw.read1(_SHOWN_FROM, decode_content=True) or b"")
        if status == 429 or status == 408 or status >= 500:
            raise TryAgainError(f"HTTP {status}: {said}", asked_wait_s(response.headers, self.now))
        if status in (401, 403):
            raise WrongKeyError(
                f"{self.name} refused the request (HTTP {status}): {said}. Check its key, or what "
                "its plan allows"
            )
        if status in (404, 410):
            raise NotFoundError(f"{self.name} has nothing at {address} (HTTP {status}): {said}")
        raise RefusedRequestError(
            f"{self.name} answered HTTP {status} to {address}: {said}", status, said
        )


def _conditions(stored: Answer | None) -> dict[str, str]:
    if stored is None:
        return {}
    found = {
        "If-None-Match": stored.headers.get("etag"),
        "If-Modified-Since": stored.headers.get("last-modified"),
    }
    return {name: value for name, value in found.items() if value}
