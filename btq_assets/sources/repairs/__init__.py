"""Repairs proposed for raw bars, and how far raw tables reach.

Belongs here: pure functions from raw bars to proposals (`faults`, `splits`, `proposals`) and from
raw tables to coverage (`coverage`), and the two assets around them. Does not belong here: applying
a repair (the staging view ``stg_bars_repaired``), checks that only report (`data_quality`).
"""
