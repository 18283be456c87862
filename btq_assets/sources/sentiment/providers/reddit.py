"""Newest posts of subreddits, through Reddit's official API.

Belongs here: the token, the pages, reading posts. Does not belong here: comments, scores.

``REDDIT_CREDENTIALS`` holds ``client_id:client_secret`` of an application of type "script" or
"web app"; it is exchanged for a token that is kept in memory only. Reddit shows the newest 1,000
posts of a subreddit and no more. A post counts as known a minute after it was written or last
edited. Names of authors are not stored.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from btq_assets.config import RedditSourceSection
from btq_assets.contracts import raw
from btq_assets.sources.errors import (
    AnswerShapeError,
    NotFoundError,
    SourceError,
    UnknownSymbolError,
    WrongKeyError,
)
from btq_assets.sources.http import HttpClient
from btq_assets.sources.provider import Fetched, Window
from btq_assets.sources.sentiment.documents import (
    Collected,
    Document,
    UnreadableError,
    body_of,
    clean,
    document_rows,
    headline_of,
    known_from,
)

URL = "https://oauth.reddit.com"
TOKEN_URL = "https://www.reddit.com/api/v1/access_token"  # noqa: S105
LAG = timedelta(minutes=1)
_PAGE = 100
_GONE = ("[removed]", "[deleted]", "[ removed by reddit ]")


class RedditProvider:
    """Posts of every configured subreddit."""

    def __init__(self, settings: RedditSourceSection, client: HttpClient) -> None:
        self.settings, self.client = settings, client.at(URL)
        self._bearer = ""

    def fetch(self, window: Window, now: datetime) -> Fetched:
        """The newest posts; a subreddit that is gone or private holds back no other.

        Raises
        ------
        WrongKeyError
            Reddit refuses the application.
        SourceError
            No subreddit could be read: the error of the last one.
        """
        found, failed, last_error = Collected(), 0, None
        for name in self.settings.subreddits:
            try:
                for page in self._pages(name):
                    found.read(page, partial(read_post, subreddit=name, now=now))
            except (UnknownSymbolError, AnswerShapeError) as error:
                failed, last_error = failed + 1, error
                found.refuse(str(error), {"_subreddit": name})
        if last_error is not None and failed == len(self.settings.subreddits):
            raise last_error
        posts = [post for post in found.documents if post.published_at >= window.start]
        rows = document_rows(posts, raw.DOCUMENTS_REDDIT)
        return Fetched(
            {raw.DOCUMENTS_REDDIT.table: rows}, found.rejected(), {"subreddits_refused": failed}
        )

    def _pages(self, name: str) -> Any:
        after = None
        for _ in range(self.settings.max_pages):
            data = self._page(name, after)
            yield data["children"]
            after = data.get("after")
            if not after:
                return

    def _page(self, name: str, after: str | None) -> dict[str, Any]:
        try:
            answer = self.client.get_json(
                f"r/{quote(name, safe='')}/new",
                {"limit": _PAGE, "after": after, "raw_json": 1},
                headers={"User-Agent": self.settings.user_agent},
                secret_headers={"Authorization": f"Bearer {self._token()}"},
            )
        except NotFoundError as error:
            raise UnknownSymbolError(
                f"reddit has no subreddit {name!r}; correct sources.reddit.subreddits ({error})"
            ) from None
        except WrongKeyError as error:
            if "private" in str(error) or "quarantined" in str(error):
                raise UnknownSymbolError(
                    f"reddit does not show {name!r}: {error}; remove it from "
                    "sources.reddit.subreddits"
                ) from None
            raise
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, dict) or not isinstance(data.get("children"), list):
            raise self.client.shape_error("a listing with data.children", answer)
        return data

    def _token(self) -> str:
        if self._bearer or self.client.replay:
            return self._bearer
        import base64

        credentials = self.client.key
        if ":" not in credentials:
            raise WrongKeyError(
                "REDDIT_CREDENTIALS must be client_id:client_secret, with a colon between"
            )
        # A token is a secret: the answer that holds it goes into no store.
        basic = base64.b64encode(credentials.encode()).decode()
        for secret in (credentials.split(":", 1)[1], basic):
            self.client.hide(secret)
        asking = replace(self.client, answers=None)
        body = asking.get(
            self.settings.token_url or TOKEN_URL,
            headers={"User-Agent": self.settings.user_agent},
            secret_headers={"Authorization": f"Basic {basic}"},
            post_form={"grant_type": "client_credentials"},
        )
        self.client.n_requests += 1
        self._bearer = read_token(body)
        self.client.hide(self._bearer)
        return self._bearer


def read_token(body: bytes) -> str:
    """The token out of the token server's answer.

    Raises
    ------
    WrongKeyError
        It refuses the application, with HTTP 200.
    SourceError
        The answer is none of the known ones; it is not shown, since it may hold a token.
    """
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if isinstance(answer, dict) and isinstance(answer.get("access_token"), str):
        return answer["access_token"]
    if isinstance(answer, dict) and "error" in answer:
        raise WrongKeyError(
            f"reddit refused the application ({clean(answer['error'], 100)}); check "
            "REDDIT_CREDENTIALS"
        )
    raise SourceError("reddit's token server answered in a shape nobody here knows")


def read_post(item: Any, subreddit: str, now: datetime) -> Document | None:
    """A document out of one post.

    Raises
    ------
    UnreadableError
        The post has no title, number or time.
    """
    post = item.get("data") if isinstance(item, dict) else None
    if not isinstance(post, dict):
        raise UnreadableError("a post is not an object")
    if post.get("stickied"):
        return None
    written = _time(post.get("created_utc"))
    edited = _time(post["edited"]) if _is_number(post.get("edited")) else written
    text = clean(post.get("selftext"))
    link = clean(post.get("permalink"), 500)
    return Document(
        name=clean(post.get("name") or post.get("id"), 50),
        published_at=written,
        known_at=known_from(max(written, edited), LAG, now),
        headline=headline_of(post.get("title")),
        text=None if text.lower() in _GONE else body_of(text),
        url=f"https://www.reddit.com{link}" if link.startswith("/") else None,
        author=f"r/{subreddit}",
        dataset=f"r/{subreddit}",
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _time(value: Any) -> datetime:
    if not _is_number(value):
        raise UnreadableError(f"{value!r} is not a time this source writes")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError):
        raise UnreadableError(f"{value!r} is not a time") from None
