"""Why a clone does not tell which files a build changed."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Values of `CloneError.needed_depth`.
COMPLETE_HISTORY, MERGE_WITH_PARENTS = 0, 2
_CLONE_AGAIN = "Clone the repository again."
OBJECT_TOO_LARGE = "the clone has a commit, directory or file that is too large"


class CloneError(Exception):
    """The clone does not tell which files changed.

    Args:
        reason: The reason, as the end of a sentence without a period.
        remedy: What to do, as a complete sentence. It is empty if a deeper clone helps.
        needed_depth: How many commits a clone needs to tell, or COMPLETE_HISTORY. None if the depth does not matter.

    """

    def __init__(self, reason: str, remedy: str = _CLONE_AGAIN, *, needed_depth: int | None = None) -> None:
        super().__init__(reason)
        self.remedy, self.needed_depth = "" if needed_depth is not None else remedy, needed_depth


class NoBaseError(Exception):
    """The build has no base. This is a fact and no doubt.

    The text is the end of a sentence without a period.
    """


@contextmanager
def report_damage() -> Iterator[None]:
    """Turn each error of a damaged clone into a CloneError.

    Raises:
        CloneError: The code in the context raised another error than these two.
        NoBaseError: The code in the context raised it.

    """
    try:
        yield
    except (CloneError, NoBaseError):
        raise
    except Exception as error:
        # dulwich checks little and documents few errors. Damaged files cause KeyError, AssertionError, zlib.error,
        # struct.error and errors of its own. None of them may fail a job, because everything can still run.
        _clear_frames(error)
        raise CloneError(f"the clone is damaged or unreadable ({type(error).__name__})") from error


def _clear_frames(error: BaseException) -> None:
    """Release the variables of all functions that an error has left.

    They refer to the mapped files of the clone, which Python can't close as long as a variable refers to them.
    """
    cause: BaseException | None = error
    while cause:
        traceback = cause.__traceback__
        while traceback:
            # The callers of this function are still active.
            with suppress(RuntimeError):
                traceback.tb_frame.clear()
            traceback = traceback.tb_next
        cause = cause.__context__
