"""Seconds and bytes in words. This module does not know what they are of."""


def duration(seconds: float) -> str:
    """Seconds in the unit that fits: 0.4 s, 41 min, 3.5 h."""
    for limit, unit, name in ((100, 1, "s"), (100 * 60, 60, "min"), (100 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.2g} {name}"
    return f"{seconds / 86400:.3g} days"


def size(count: float) -> str:
    """Bytes in the unit that fits: 38 MB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
