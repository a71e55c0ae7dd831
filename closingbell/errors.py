"""Errors whose messages say what to do."""


class ClosingBellError(Exception):
    """A failure whose message says what is wrong and what to do about it.

    Parameters
    ----------
    message : str
        One line: what is wrong.
    hint : str, optional
        One line: what to do about it.
    """

    transient = False
    """Whether a retry can help."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}. {hint}" if hint else message)


class ConfigurationError(ClosingBellError):
    """A setting, an argument or the environment is wrong; a retry without a change cannot help."""


class DatabaseError(ClosingBellError):
    """The database cannot be reached, started or used."""

    transient = True


class BatchError(ClosingBellError):
    """A step of the batch cannot produce a trustworthy result."""


class ProviderError(BatchError):
    """The market-data provider fails for all symbols, for a reason that may pass."""

    transient = True


class NotFoundError(ClosingBellError):
    """There is no such row, or it belongs to another user."""


class ConflictError(ClosingBellError):
    """The request contradicts what is stored.

    Parameters
    ----------
    code : str
        Names the conflict for programs.
    message, hint : str
        As in `ClosingBellError`.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.code = code
