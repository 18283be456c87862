"""How a text sounds, from -1 (bad) to 1 (good): several scorers behind one interface.

`base.open_scorer` gives the configured one. Add another by a class with ``name``, ``version`` and
``score`` and a line there.
"""
