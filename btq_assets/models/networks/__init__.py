"""The networks themselves: torch modules, one architecture a file, tensors in and tensors out.

Belongs here: layers, cells and networks, each checked against its paper. Does not belong here:
training (`models.training`), windows (`models.windows`), data frames. Every module but this one
imports torch at the top; import them inside functions only.
"""
