"""Importing large libraries in less time. This module knows none but by name."""

import contextlib
import gc
import sys
from collections.abc import Iterator

LARGE = "transformers"
"""Loaded where all large ones are"""


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Import large libraries in the block, without looking for garbage among what they make.

    They make hundreds of thousands of objects, which stay. To look through these again and again while they come, and
    once more when the process ends, is a large part of what the libraries cost at every start of a process. Later looks
    leave them out. Does nothing where they are loaded already, or where garbage is not looked for.
    """
    if LARGE in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
