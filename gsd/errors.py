"""The tree of errors that are meant for the person at the keyboard.

Each message says what was wrong, names the value and says what to do. The command line prints
the message on one line and exits with `exit_code`; the app shows the same line.
"""


class GsdError(Exception):
    """Base of every error that the user can act on."""

    exit_code = 1


class InputError(GsdError):
    """A value given by the user cannot be used."""

    exit_code = 2


class ModelError(InputError):
    """A model cannot be loaded, or cannot be decoded losslessly by this engine."""


class PairError(ModelError):
    """A target and a draft that do not fit together."""


class PromptError(InputError):
    """A prompt, or a line of a prompt file, cannot be decoded."""


class TraceError(InputError):
    """A run folder cannot be read or written."""


class OutOfMemory(GsdError):
    """The device ran out of memory; the message names what to lower."""


class MissingPackage(GsdError):
    """An optional library is not installed; the message gives the command."""

    exit_code = 2
