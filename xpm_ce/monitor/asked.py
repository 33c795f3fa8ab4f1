"""The question behind an address. This module does not know what is asked for, nor who answers."""

from collections.abc import Sequence

from xpm_ce.errors import ConfigurationError


class Asked:
    """A question word by word; ConfigurationError for a value that cannot be one."""

    def __init__(self, words: Sequence[tuple[str, str]]):
        self._words = [(name, value) for name, value in words if value]

    def one(self, name: str, default: str = "") -> str:
        """The last value of a word."""
        return next((value for each, value in reversed(self._words) if each == name), default)

    def many(self, name: str) -> tuple[str, ...]:
        """All values of a word that may be repeated."""
        return tuple(value for each, value in self._words if each == name)

    def list(self, name: str) -> tuple[str, ...]:
        """The values of a word, separated by commas or repeated."""
        return tuple(part.strip() for value in self.many(name) for part in value.split(",") if part.strip())

    def number(self, name: str, default: int, *, most: int) -> int:
        """A whole number from 0 to `most`."""
        text = self.one(name)
        if not text:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) <= most):
            raise ConfigurationError(f"{name}={text[:40]} is not a number from 0 to {most}", where=name)
        return int(text)

    def share(self, name: str, default: float) -> float:
        """A number from 0 to 1."""
        text = self.one(name)
        try:
            value = float(text) if text else default
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            raise ConfigurationError(f"{name}={text[:40]} is not a number from 0 to 1", where=name)
        return value

    def depths(self, name: str) -> tuple[int, ...]:
        """Depths, whole numbers, of a word that may be repeated."""
        for text in self.many(name):
            if not (text.isascii() and text.isdecimal() and len(text) < 8):
                raise ConfigurationError(f"{text[:40]} is no depth", where=name)
        return tuple(int(text) for text in self.many(name))

    def one_of(self, name: str, known: Sequence[str]) -> str:
        """One of some values, "" where none is given."""
        text = self.one(name)
        if text and text not in known:
            raise ConfigurationError(f"{name}={text[:40]} is none of {', '.join(known)}", where=name)
        return text
