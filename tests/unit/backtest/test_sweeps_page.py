"""The examples of docs/sweeps.md run as printed, one after the other."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

PAGE = Path(__file__).parents[3] / "docs" / "sweeps.md"


def test_the_examples_of_the_page_run_as_they_stand(capsys):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert len(blocks) == 2
    known: dict = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), known)
    # 3 scores x 3 numbers x 2 rhythms, each a trial
    assert "18 trials" in capsys.readouterr().out
    assert known["done"].table.height == 18
    assert sum(rows.height for rows in known["trials"]) == 18 + 18
    assert known["trials"][0]["purpose"].unique().to_list() == ["candidate"]
    assert known["surface"].height == known["behind"].table.height == 3 * 3 * 2
    np.testing.assert_array_less(known["done"].table["identity_error"], 1e-9)
