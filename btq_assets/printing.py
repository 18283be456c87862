"""A finished page on paper: PDF made by a Chromium that is on the computer.

Belongs here: finding the browser and asking it to print. Does not belong here: what a page says or
how it looks on paper (`reports`, whose style has rules for print).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

#: Programs that print as Chromium does, in the order they are looked for.
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
)

TIMEOUT_S = 120.0


class PrintingError(RuntimeError):
    """A page cannot be printed: no browser, no page, or the browser made nothing of it."""


def find_browser(named: str | None = None) -> str:
    """Path of the browser to print with.

    Parameters
    ----------
    named
        A program or path of the user's; ``None`` looks for `BROWSERS` on the PATH.

    Raises
    ------
    PrintingError
        There is none.
    """
    for name in (named,) if named else BROWSERS:
        if found := shutil.which(name):
            return found
    wanted = f"{named} is not a program here" if named else f"none of {', '.join(BROWSERS)} is here"
    raise PrintingError(
        f"a PDF is printed by Chromium, and {wanted}; install one (apt install chromium), name one "
        "with --browser, or print the HTML report from any browser"
    )


def print_pdf(
    page: Path, target: Path, browser: str | None = None, *, timeout_s: float = TIMEOUT_S
) -> Path:
    """Print an HTML file to PDF; the target appears whole or stays as it was.

    Parameters
    ----------
    page
        Self-contained HTML file.
    target
        PDF to write.
    browser
        See `find_browser`.
    timeout_s
        Seconds the browser may take.

    Returns
    -------
    pathlib.Path
        `target`.

    Raises
    ------
    PrintingError
        No page, no browser, or no PDF in time.
    """
    if not page.is_file():
        raise PrintingError(f"{page} does not exist: `make run` makes it")
    program = find_browser(browser)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".printing-") as folder:
        made = Path(folder) / "page.pdf"
        command = [
            program,
            "--headless",
            "--disable-gpu",
            "--disable-background-networking",
            "--no-first-run",
            "--no-pdf-header-footer",
            # Chromium refuses to start as root with its sandbox; the page is our own.
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
            f"--user-data-dir={Path(folder) / 'profile'}",
            f"--print-to-pdf={made}",
            page.resolve().as_uri(),
        ]
        try:
            done = subprocess.run(  # noqa: S603 - the browser found above, no shell
                command, capture_output=True, text=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise PrintingError(f"{program} did not print {page} in {timeout_s:g} s") from error
        if not made.is_file() or made.read_bytes()[:5] != b"%PDF-":
            said = done.stderr.strip().splitlines()[-1:] or ["nothing"]
            raise PrintingError(
                f"{program} made no PDF of {page} (status {done.returncode}, it said: {said[0]})"
            )
        made.replace(target)
    return target
