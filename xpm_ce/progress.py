"""Progress as experimaestro's monitors show it.

This module does not know what is making progress.
"""

from collections.abc import Callable

Progress = Callable[[float, str], object]
"""Called with the share that is done, 0 to 1, and a few words"""


def job_progress() -> Progress:
    """What reports the progress of the job that this process runs; does nothing outside of a job."""
    from experimaestro.notifications import progress
    from experimaestro.taskglobals import Env

    if Env.instance().taskpath is None:
        return lambda share, words: None
    return lambda share, words: progress(share, desc=words)
