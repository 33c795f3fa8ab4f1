"""What an examination finds: fine, doubtful or wrong, in one line, with a remedy. It does not know what is examined."""

import enum
from typing import Any, NamedTuple


class Verdict(enum.StrEnum):
    """How a finding is to be taken."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


class Finding(NamedTuple):
    """One line of the doctor."""

    verdict: Verdict
    about: str
    what: str
    remedy: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"verdict": self.verdict.value, "about": self.about, "what": self.what, "remedy": self.remedy}

    def render(self) -> str:
        """The line, and the remedy below it."""
        line = f"{self.verdict.value:<4} {self.about}: {self.what}"
        return f"{line}\n       {self.remedy}" if self.remedy and self.verdict is not Verdict.OK else line


def fine(about: str, what: str) -> Finding:
    """Nothing to do."""
    return Finding(Verdict.OK, about, what)


def doubtful(about: str, what: str, remedy: str) -> Finding:
    """Something that may be meant."""
    return Finding(Verdict.WARN, about, what, remedy)


def wrong(about: str, what: str, remedy: str) -> Finding:
    """Something that will fail."""
    return Finding(Verdict.FAIL, about, what, remedy)
