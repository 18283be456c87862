"""What can go wrong at the edge of the house, by name.

Belongs here: the error types of the sources. Each message says what was wrong, where, and what
to do. Does not belong here: anything that raises them.
"""

from __future__ import annotations


class SourceError(RuntimeError):
    """A source did not give what it should; nothing was stored."""


class FolderError(SourceError):
    """One file of the inbox folder cannot be read; the other files go on without it."""

    def __init__(self, file: str, problem: str) -> None:
        super().__init__(f"{file}: {problem}")
        self.file = file
        self.problem = problem


class UnknownSymbolError(SourceError):
    """A provider does not know a configured symbol."""


class ProviderUnavailableError(SourceError):
    """A provider did not answer, or not with data, after every attempt."""


class MissingKeyError(SourceError):
    """A provider needs a key and its environment variable is empty."""


class WrongKeyError(SourceError):
    """A provider refused the key."""


class AnswerShapeError(SourceError):
    """A provider answered in a shape nobody here knows; the answer is kept for inspection."""


class NotFoundError(SourceError):
    """The provider has nothing under that address (HTTP 404 or its like)."""


class RefusedRequestError(SourceError):
    """The provider refused a request and will refuse it again (HTTP 400 and its like).

    Parameters
    ----------
    message
        What was asked, and what came back.
    status, said
        HTTP status, and the start of the body: providers tell an unknown series from a wrong key there.
    """

    def __init__(self, message: str, status: int, said: str) -> None:
        super().__init__(message)
        self.status = status
        self.said = said


class WindowError(SourceError):
    """A window lies before the provider's history, or is not one it can serve."""
