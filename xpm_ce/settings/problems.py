"""Several errors of one configuration, gathered so that they are all reported at once.

This module does not know what is being checked.
"""

import contextlib
from collections.abc import Iterable, Iterator

from xpm_ce.errors import ConfigurationError, UnknownKeyError
from xpm_ce.settings.nodes import Node, joined


class ConfigurationErrors(ConfigurationError):
    """Two or more errors of one configuration, each with its own place and remedy."""

    def __init__(self, errors: Iterable[ConfigurationError]):
        self.errors = tuple(errors)
        super().__init__("\n".join([f"{len(self.errors)} errors in the configuration", *map(str, self.errors)]))


class Problems:
    """What was found wrong so far; `check` raises it, one error as itself and several as one."""

    def __init__(self) -> None:
        self.errors: list[ConfigurationError] = []

    def add(self, error: ConfigurationError) -> None:
        """Keep one error; several in one are kept one by one."""
        self.errors += error.errors if isinstance(error, ConfigurationErrors) else [error]

    @contextlib.contextmanager
    def collecting(self) -> Iterator[None]:
        """Run a block; the ConfigurationError that ends it is kept instead of raised."""
        try:
            yield
        except ConfigurationError as error:
            self.add(error)

    def check(self) -> None:
        """Raise what was kept, if anything was."""
        if len(self.errors) == 1:
            raise self.errors[0]
        if self.errors:
            raise ConfigurationErrors(self.errors)


def check_keys(node: Node, valid: Iterable[str], *, required: Iterable[str] = ()) -> None:
    """Refuse keys of a mapping that are not `valid`, and the absence of `required` ones.

    All of them are reported together, each unknown key with its line and the nearest valid one.
    """
    if node.kind != "mapping":
        subject = node.path or "the configuration"
        raise ConfigurationError(f"{subject}: expected a mapping, got {node.described}", where=node.where)
    problems, valid = Problems(), {*valid, *required}
    for key, below in node.nodes.items():
        if key not in valid:
            problems.add(UnknownKeyError(joined(node.path, key), valid, where=below.where))
    for key in required:
        if key not in node.nodes:
            problems.add(ConfigurationError(f"{joined(node.path, key)} is missing", where=node.where))
    problems.check()
