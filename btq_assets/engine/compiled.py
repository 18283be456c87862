"""Compiled functions that call compiled functions of other files.

Belongs here: keeping numba's stored code true. numba drops stored code when the file of the
function changes, but not when a file it calls into does; here the stamp covers those files too.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from numba import njit


def compiled(
    *callees: ModuleType,
    from_python: bool = True,
    build_in: bool = False,
    allocates: bool = False,
) -> Callable[[Callable[..., Any]], Any]:
    """``njit(cache=True, nogil=True)`` whose stored code also depends on the files of `callees`.

    Parameters
    ----------
    callees
        Modules whose functions or constants the decorated function uses.
    from_python
        Whether Python calls it too, and not only compiled code; leaving that out saves compiling.
    build_in
        Always built into its callers; for functions that take tuples of many arrays.
    allocates
        It makes arrays: numba's own rules hold, a float divided by zero is an error included.
    """
    stamp = tuple(sha256(Path(str(module.__file__)).read_bytes()).hexdigest() for module in callees)

    def decorate(function: Callable[..., Any]) -> Any:
        options: dict[str, Any] = (
            {}
            if allocates
            else {
                "error_model": "numpy",
                "no_cpython_wrapper": not from_python,
                "no_cfunc_wrapper": True,
                "forceinline": build_in,
                "_nrt": False,
            }
        )
        dispatcher: Any = njit(cache=True, nogil=True, **options)(function)
        stored = dispatcher._cache._cache_file
        stored._source_stamp = (stored._source_stamp, *stamp)
        return dispatcher

    return decorate
