"""What the warehouse refuses to do.

Belongs here: errors that every part of the warehouse raises. Does not belong here: errors of rows
(`quarantine`) and of contracts (`contracts.base`).
"""


class WarehouseError(RuntimeError):
    """The database cannot be opened, read or written; the message says what to do."""
