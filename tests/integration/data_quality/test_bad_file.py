"""The page about a bad file says what its commands do: they are run, and their output compared."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "bad_file.md"

pytestmark = pytest.mark.slow


def blocks(text: str) -> list[tuple[str, str]]:
    return re.findall(r"^```(bash|text)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_every_command_prints_what_the_page_says(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BTQ_")}
    environment["WALK"] = str(tmp_path)
    settings = ""
    printed, told = "", []
    for kind, text in blocks(PAGE.read_text()):
        if kind == "text":
            told.append((printed.strip(), text.strip()))
            continue
        if text.startswith("export"):
            settings = text
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", settings + text],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        logs = "".join(log.read_text() for log in tmp_path.glob("*.log"))
        assert done.returncode == 0, done.stdout + done.stderr + logs[-3000:]
        printed = done.stdout
    for printed, text in told:
        assert printed == text
