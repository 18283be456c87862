"""Documents as a modality: whose they are and when, tokens, encoders out of folders, sentiment first.

Belongs here: everything between documents and the tensors a network reads of them. Does not belong
here: torch modules (`models.networks`), laying batches out (`models.windows`), Dagster. torch and
transformers are imported inside functions.
"""
