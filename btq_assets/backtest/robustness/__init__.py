"""Does a result hold up? Slices by state, dated crises, and runs under worse terms.

Order of reading: `states` (days by the state known before them), `crises` (dated windows),
`stresses` (other costs, delays, liquidity, universes, bootstrapped paths), `tables`, `checks`,
`assets`.
"""

from __future__ import annotations
