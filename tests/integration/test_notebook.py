"""The quickstart notebook runs from top to bottom."""

from __future__ import annotations

from btq_assets.warehouse.paths import project_root


def test_the_quickstart_notebook_runs():
    import nbformat

    notebook = nbformat.read(project_root() / "notebooks" / "quickstart.ipynb", as_version=4)
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert len(cells) >= 5
    scope: dict[str, object] = {}
    for number, source in enumerate(cells):
        exec(compile(source, f"cell {number}", "exec"), scope)
