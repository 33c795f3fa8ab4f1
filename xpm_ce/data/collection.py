"""A collection as a configuration file names it, and how its parts are prepared while a study is planned.

This module does not know any particular collection (see `table.py`).
"""

import contextlib
from collections.abc import Iterator
from typing import Any, ClassVar, Protocol

from experimaestro import Config

from xpm_ce.data.parts import Parts
from xpm_ce.errors import ConfigurationError, DataError
from xpm_ce.identity import HashCache


class Submit(Protocol):
    """What plans or submits a job: call it with a task's configuration, it gives the configuration of the output."""

    hashes: HashCache
    """Content hashes of files, remembered between plans"""

    def __call__(self, config: Any, *, kind: str) -> Any: ...


class Collection(Config):
    """Where documents, queries and judgements come from."""

    __xpmid__ = "xpm_ce.data.collection"
    NAME: ClassVar[str]
    """Its `type` in a configuration file"""

    def prepare(self, submit: Submit) -> Parts:
        """The parts of this collection; jobs that they need are submitted. It runs while a study is planned."""
        raise NotImplementedError(f"{type(self).__name__}.prepare")


@contextlib.contextmanager
def while_planning() -> Iterator[None]:
    """Content that is wrong is an error of the configuration as long as nothing was started."""
    try:
        yield
    except DataError as error:
        raise ConfigurationError(error.what, where=error.where, remedy=error.remedy) from error
