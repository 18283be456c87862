"""A fit of a network is made again when any module behind it changes: the list against its imports."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from btq_assets.models.catalogue import DEEP
from btq_assets.models.fingerprint import SHARED_CODE, network_code
from btq_assets.warehouse import versions

ROOM = "btq_assets.models"


def file_of(module: str) -> Path | None:
    """The file of a module of the room; ``None`` for packages and names that are no module."""
    if not module.startswith(f"{ROOM}."):
        return None
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None
    return None if spec is None or spec.submodule_search_locations else Path(str(spec.origin))


@cache
def imported(file: Path) -> frozenset[str]:
    """What a file imports, inside functions too, but for type checkers."""

    def nodes(parent: ast.AST) -> Iterator[ast.AST]:
        for node in ast.iter_child_nodes(parent):
            if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
                yield node
                yield from nodes(node)

    found = set()
    for node in nodes(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return frozenset(found)


def behind(module: str) -> set[Path]:
    """Files of the room behind a module."""
    found, waiting = set(), [module]
    while waiting:
        file = file_of(waiting.pop())
        if file is not None and file not in found:
            found.add(file)
            waiting += imported(file)
    return found


@pytest.mark.parametrize("name", DEEP)
def test_every_module_behind_a_network_is_listed(name: str) -> None:
    family = DEEP[name]
    listed = {
        file
        for module in (*SHARED_CODE, *network_code(family))
        for file in versions._source_files(module)
    }
    # Families that share a module with another import its network too; workers move, not compute.
    others = {f"{ROOM}.networks.{n}" for f in DEEP.values() for n in f.networks}
    spared = {file for module in others for file in versions._source_files(module)}
    needed = behind(f"{ROOM}.{family.module}") - spared - {file_of(f"{ROOM}.workers")}
    assert len(needed) > 30
    assert needed <= listed, sorted(str(file) for file in needed - listed)


def test_a_list_without_a_module_is_seen_to_lack_it() -> None:
    files = behind(f"{ROOM}.deep.recurrent")
    for module in ("deep.panel_reader", "deep.distributions", "training.loop", "windows.samples"):
        assert file_of(f"{ROOM}.{module}") in files
