"""The error tree; every message says what was expected, what was found, where, and what to do.

VlmixError
+-- UsageError            exit code 2: the user's words are wrong, nothing was done
|   +-- RecipeError       recipe, rule set or plan
|   +-- CatalogError      catalogue entry or inline source
+-- DataError             exit code 1: the data or a gate says no
    +-- SourceError       raw files cannot be read as the layout expects
    +-- GateError         counts or shares outside what the source declares
    +-- StoreError        the store is locked, broken, full or read-only
    +-- WorkerError       a worker process died, or is not the one that was asked for
    +-- PictureError      one picture is not usable; carries a quarantine reason
    +-- ConservationError rows were lost or doubled: a defect of ours, never of the data
"""


class VlmixError(Exception):
    """Root of every error that vlmix raises on purpose."""

    exit_code = 1


class UsageError(VlmixError):
    """What the user asked for cannot be done as written."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe, rule set or plan is wrong."""


class CatalogError(UsageError):
    """A catalogue entry or an inline source is wrong."""


class DataError(VlmixError):
    """The data or a gate says no."""


class SourceError(DataError):
    """Raw files cannot be read as their layout expects."""


class GateError(DataError):
    """Counts or shares of a source are outside what it declares."""


class StoreError(DataError):
    """The store is locked, broken, full or read-only."""


class WorkerError(DataError):
    """A worker process died, held too much memory, or runs another version than the one that asks it."""


class PictureError(DataError):
    """One picture is not usable; `reason` is the quarantine reason."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ConservationError(DataError):
    """Rows were lost or doubled between two steps."""
