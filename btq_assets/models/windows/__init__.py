"""What networks read: dates as samples, and batches of them as tensors.

Belongs here: from a panel to samples and from samples to tensors. Does not belong here: networks
(`models.networks`), how they are trained (`models.training`). `batches` and `inputs` import torch at
the top; import them inside functions only.
"""
