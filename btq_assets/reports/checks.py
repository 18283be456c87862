"""What a page must be before anybody reads it: complete, finished, and free of the network.

Belongs here: examining the finished HTML. Does not belong here: whether its numbers are right,
which the checks of the tables behind it answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html.parser import HTMLParser

from btq_assets.contracts.checks import CheckGroup, CheckOutcome, in_step_check
from btq_assets.reports.view import ReportView

#: Attributes that make a browser fetch something.
_FETCHING = {
    "src", "href", "srcset", "data", "poster", "action", "formaction", "background", "xlink:href",
}  # fmt: skip
_FETCHING_STYLE = re.compile(r"@import|url\(\s*['\"]?(?!data:|#)", re.IGNORECASE)
_FETCHING_SCRIPT = re.compile(r"\bfetch\(|XMLHttpRequest|\bimport\(|WebSocket|sendBeacon")
_PAGE_BESIDE = re.compile(r"[\w-]+\.html(#[\w=.-]*)?")
_LOOSE_END = re.compile(
    r"\{\{|\}\}|\{%|%\}|(?<![\w.-])(?:nan|NaN|None(?! of)|NaT|-?inf|-?Infinity|\[object)(?![\w{-])"
)
_MAX_SHOWN = 5

OPENS_WITH_VERDICT = "opens_with_the_verdict"
NAMES_CAVEATS = "names_every_caveat"
FINISHED = "nothing_left_unrendered"
OFFLINE = "opens_offline"

CHECKS: tuple[CheckGroup, ...] = (
    in_step_check(
        OPENS_WITH_VERDICT,
        "The verdict (what is claimed, after how many trials, what survives, what the choice is "
        "worth) stands before every caveat, table and chart.",
    ),
    in_step_check(
        NAMES_CAVEATS,
        "Every caveat is on the page, and every feature family that is null on the traded "
        "universe is named among them.",
    ),
    in_step_check(FINISHED, "No nan, None, infinity or template mark is left on the page."),
    in_step_check(OFFLINE, "Nothing on the page is loaded from anywhere."),
)


def examine(html: str, view: ReportView, null_families: Iterable[str]) -> list[CheckOutcome]:
    """Answer every check of a finished page.

    Parameters
    ----------
    html
        The page.
    view
        What it was made from.
    null_families
        Feature families found to be null, which the caveats have to name.

    Returns
    -------
    list of CheckOutcome
        One per entry of `CHECKS`.
    """
    page = parsed(html)
    return [
        _opens_with_verdict(page, view),
        _names_caveats(page, view, null_families),
        finished(page),
        offline(page),
    ]


def parsed(html: str) -> _Page:
    """Read a page for its checks."""
    page = _Page()
    page.feed(html)
    page.close()
    return page


class _Page(HTMLParser):
    """Texts, identified blocks and fetching attributes of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self.blocks: list[tuple[str, int]] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.styles: list[str] = []
        self.scripts: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("style", "script"):
            self._inside = tag
        for name, value in attrs:
            self.attributes.append((tag, name, value or ""))
            if name == "style":
                self.styles.append(value or "")
            if name == "id":
                self.blocks.append((value or "", len(self.texts)))

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "style":
            self.styles.append(data)
        elif self._inside == "script":
            self.scripts.append(data)
        elif data.strip():
            self.texts.append(" ".join(data.split()))


def _opens_with_verdict(page: _Page, view: ReportView) -> CheckOutcome:
    def answer(passed: bool, message: str) -> CheckOutcome:
        return CheckOutcome(OPENS_WITH_VERDICT, passed, message)

    order = [name for name, _ in page.blocks]
    wanted = ["verdict", "read-first", *(section.key for section in view.sections)]
    missing = [name for name in wanted if name not in order]
    if missing:
        return answer(False, f"the page has no part {missing}; look at the template")
    if order[0] != "verdict" or [name for name in order if name in wanted] != wanted:
        return answer(False, f"the page opens with {order[0]!r}; parts come as {order[:6]}")
    start, stop = (page.blocks[order.index(name)][1] for name in ("verdict", "read-first"))
    box = " ".join(page.texts[start:stop])
    told = (view.verdict.headline, f"at least {view.verdict.n_trials} trials")
    for text in (*told, *view.verdict.statements):
        if " ".join(text.split()) not in box:
            return answer(False, f"the verdict box does not say {text!r}")
    if not view.verdict.n_trials:
        return answer(False, "no trial was counted; a verdict needs evidence.trials")
    return answer(True, view.verdict.headline)


def _names_caveats(page: _Page, view: ReportView, null_families: Iterable[str]) -> CheckOutcome:
    shown = set(page.texts)
    lost = [c.text for c in view.caveats if " ".join(c.text.split()) not in shown]
    said = " ".join(c.text for c in view.caveats)
    unnamed = [family for family in null_families if f"Family {family}" not in said]
    n = len(view.caveats)
    if not n:
        message = "the report lists no caveat at all; something is not being looked for"
    elif lost:
        message = f"{len(lost)} of {n} caveats are not on the page: {lost[:_MAX_SHOWN]}"
    elif unnamed:
        message = f"null feature families are not named: {unnamed}"
    else:
        return CheckOutcome(NAMES_CAVEATS, True, f"{n} caveats", {"n_caveats": n})
    return CheckOutcome(NAMES_CAVEATS, False, message, {"n_caveats": n})


def finished(page: _Page) -> CheckOutcome:
    """No text of the page holds a value that is none."""
    drawn = [value for _, name, value in page.attributes if name in ("d", "style", "title")]
    found = [text for text in (*page.texts, *drawn) if _LOOSE_END.search(text)]
    shown = [text[:120] for text in found[:_MAX_SHOWN]]
    return CheckOutcome(
        FINISHED,
        not found,
        f"{len(found)} texts hold a value that is no value: {shown}" if found else "all texts done",
    )


def offline(page: _Page) -> CheckOutcome:
    """A browser loads nothing for the page; a link to a page beside it is followed, not loaded."""
    found = [
        f"<{tag} {name}={value[:80]!r}>"
        for tag, name, value in page.attributes
        if name in _FETCHING
        and not value.startswith(("#", "data:"))
        and not (tag == "a" and _PAGE_BESIDE.fullmatch(value))
    ]
    found += [f"style: {s[:80]!r}" for s in page.styles if _FETCHING_STYLE.search(s)]
    found += [f"script: {m.group()!r}" for s in page.scripts if (m := _FETCHING_SCRIPT.search(s))]
    message = f"the page loads {found[:_MAX_SHOWN]}; put it inside the page" if found else ""
    return CheckOutcome(OFFLINE, not found, message or "nothing is loaded")
