"""Every error that Cupel raises for a reason that its user can mend.

Each message answers three questions: what came, what was expected, what to do.
"""


class CupelError(Exception):
    """Root of all errors that Cupel raises on purpose."""

    exit_code = 2


class DataError(CupelError, ValueError):
    """The data cannot be read or cannot be learned from."""


class PictureError(DataError):
    """A picture cannot be read.

    `fault` says how, in one word: "unreadable" (no such file, no right to read it), "empty", "foreign" (no picture, or of a
    format that is not read), "truncated", "corrupt", "too-large", "unusable" (an array of a shape or range that no picture
    has), or "refused" (a path, where none is opened).
    """

    def __init__(self, message: str, *, fault: str) -> None:
        super().__init__(message)
        self.fault = fault


class UsageError(CupelError, ValueError):
    """An argument, option or setting is not one that Cupel takes."""


class ArtifactError(CupelError, ValueError):
    """A packed model cannot be read, is damaged, or does not fit the rows given to it."""


class ParityError(CupelError, RuntimeError):
    """A packed model does not predict what the trained model predicts."""

    exit_code = 3


class RunConflictError(CupelError, RuntimeError):
    """A run folder answers another question, or another process holds it."""


class TrainingError(CupelError, RuntimeError):
    """One unit could not be trained; recorded in the leaderboard with its reason."""

    exit_code = 3


class NoModelError(CupelError, RuntimeError):
    """The search ended without a usable model."""

    exit_code = 3


class MissingDependencyError(CupelError, ImportError):
    """A part of Cupel was called whose library is not installed."""


class CheckFailedError(CupelError, AssertionError):
    """A family or modality breaks a promise that all of its kind must keep."""


class OutOfMemoryError(TrainingError):
    """A unit needed more memory than there is, or than it may take."""


class PassingError(TrainingError):
    """A unit was not trained for a reason outside of it, such as a lack of time: another time it may be."""


class StorageError(CupelError, OSError):
    """The run folder cannot be written any more: the disk is full, read-only, or the folder is gone."""


class InterruptedRunError(CupelError, RuntimeError):
    """Work was given up because the run is to end; it can be resumed."""

    exit_code = 130


class ShortOfDiskError(InterruptedRunError):
    """The run is to end since its disk is full, or what it may take of it."""


WORDS_OF_NO_MEMORY = (
    "can't allocate memory",
    "cannot allocate memory",
    "bad alloc",
    "bad_alloc",
    "out of memory",
    "failed to allocate",
    "smaller than requested bytes",
)
"""Of PyTorch, the operating system, LightGBM and what is written in C++, CUDA, and ONNX Runtime, whose sessions are held too."""


def is_for_memory(error: BaseException) -> bool:
    """Whether what was raised means that there was no memory left: libraries raise errors of many kinds for it."""
    if isinstance(error, MemoryError | OutOfMemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return not isinstance(error, CupelError) and tells_of_no_memory(str(error))


def tells_of_no_memory(words: str) -> bool:
    """Whether a library said so."""
    return any(each in words.lower() for each in WORDS_OF_NO_MEMORY)
