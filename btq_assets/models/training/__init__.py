"""How networks are trained: recipe, losses, schedule, loop.

Belongs here: everything between a network with random weights and one with trained ones. Does not
belong here: what a network is (`models.networks`), what it reads (`models.windows`), Dagster. Every
module but `recipe` imports torch at the top; import them inside functions only.
"""
