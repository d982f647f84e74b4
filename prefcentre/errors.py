"""What can go wrong, as one tree.

    PrefcentreError
    ├── SettingsError          the configuration can't be used
    ├── NotFound               the thing that was named does not exist
    ├── Refused                the rules say no
    │   ├── WrongState         not in this state
    │   └── ChangedMeanwhile   somebody else was quicker
    ├── InvalidInput           a value that came from outside can't be used
    │   ├── InvalidAddress     not an e-mail address
    │   ├── InvalidToken       a link that we did not make, or that was damaged
    │   └── ContentError       a campaign or template file has a mistake
    └── Unavailable            a server or file we need does not answer now

Every message says what happened and what to do. Commands print it and exit with 1; pages show it in words.
"""


class PrefcentreError(Exception):
    """Something went wrong in prefcentre."""

    def __init__(self, message: str | None = None) -> None:
        # A class raised bare prints its docstring, so each general message is written once.
        super().__init__(message or (type(self).__doc__ or "").strip())


class SettingsError(PrefcentreError):
    """The settings can't be used; run "prefcentre doctor" to see why."""


class NotFound(PrefcentreError):
    """What was asked for does not exist."""


class Refused(PrefcentreError):
    """The rules do not allow this."""


class WrongState(Refused):
    """This can't be done in the present state."""


class ChangedMeanwhile(Refused):
    """Somebody else has changed this since it was opened; nothing of either was lost."""


class InvalidInput(PrefcentreError):
    """A value can't be used."""


class InvalidAddress(InvalidInput):
    """This is not an e-mail address that mail can be sent to."""


class InvalidToken(InvalidInput):
    """This link is not one of ours, or it was damaged on the way."""


class ContentError(InvalidInput):
    """A campaign or a template has a mistake.

    ``file`` and ``line`` say where (either may be unknown), ``variable`` the name that is at fault, if one is, and
    ``field`` the entry of the campaign's own file.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        variable: str | None = None,
        field: str | None = None,
    ) -> None:
        self.file, self.line, self.variable, self.field = file, line, variable, field
        where = file + (f", line {line}" if line else "") + ": " if file else ""
        super().__init__(where + message)


class Unavailable(PrefcentreError):
    """Something that is needed does not answer now; nothing was lost, try again."""
