"""The manifest is whole for everyone who asks, however many ask at once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from btq_assets.warehouse import dbt_project

_ASK = """
import json, sys
from pathlib import Path
from btq_assets.warehouse import dbt_project
dbt_project.dbt_folder = lambda: Path(sys.argv[1])
print(len(json.loads(dbt_project.dbt_manifest().read_text())["nodes"]))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project that nothing has parsed yet."""
    copy = tmp_path / "dbt_project"
    shutil.copytree(dbt_project.dbt_folder(), copy, ignore=shutil.ignore_patterns("target", "logs"))
    return copy


def _ask(project: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _ASK, str(project)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_processes_that_start_together_parse_once_and_read_the_same(project: Path) -> None:
    asked = [_ask(project) for _ in range(4)]
    answers = [process.communicate(timeout=240) for process in asked]
    assert [process.returncode for process in asked] == [0] * 4, answers[0][1]
    assert len({out for out, _ in answers}) == 1
    assert int(answers[0][0]) > 0
    left = sorted(path.name for path in (project / "target").iterdir())
    assert "manifest.json" in left
    assert not [name for name in left if name.startswith("parse-")]


def test_a_project_that_does_not_parse_keeps_the_manifest_it_had(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dbt_project, "dbt_folder", lambda: project)
    manifest = dbt_project.dbt_manifest()
    before = manifest.read_text()
    (project / "models" / "broken.sql").write_text("select {{ ref('nowhere') }")
    with pytest.raises(dbt_project.DbtError, match="dbt parse failed"):
        dbt_project.dbt_manifest()
    assert manifest.read_text() == before
    assert json.loads(before)["nodes"]
