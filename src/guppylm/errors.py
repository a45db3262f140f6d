"""The one error that several parts raise; it stands alone so that the command line can know it without importing torch."""


class RunError(Exception):
    """A run folder that can't be read, written or used; the message says what is wrong and what to do."""
