"""Compiled kernels: rolling statistics of every symbol, window by window.

Belongs here: rolling statistics over contiguous arrays, as compiled code and as functions of
matrices (`rolling`). Does not belong here: features, frames, missing-value rules of a table.
Importing a module of this package imports numba; import it inside functions.

Shared by all kernels: values of the symbols lie one after the other in one array, ``starts`` says
where each begins (and, last, where the array ends). A window is computed from its own values in a
fixed order, never by updating the window before, so no rounding travels and the result does not
depend on how the rows are split between threads. A loop runs over neighbouring windows
rather than inside one, which is what lets the compiler use vector instructions.

Two rules for windows. ``full``: a window has a value where all its ``n`` values exist. Otherwise,
as in qlib and in pandas with ``min_periods=1``: where one exists, from those that do.
"""

from __future__ import annotations
