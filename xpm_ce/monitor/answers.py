"""Answers as JSON: values as browsers hold them, errors with what, where and remedy.

This module does not know what is answered.
"""

import json
import math
from typing import Any

from starlette.responses import Response

from xpm_ce.errors import ConfigurationError, XpmCeError
from xpm_ce.monitor.state import NotThereError


def as_bytes(value: Any) -> bytes:
    """JSON in ASCII; numbers that are not finite are null, and no text can end a script or open a tag."""
    try:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").encode()


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, (list, tuple)) else value


def answer(value: dict[str, Any], status: int = 200) -> Response:
    """An answer of schema 1."""
    return Response(as_bytes({"schema": 1, **value}), status, media_type="application/json")


def error_answer(error: XpmCeError) -> Response:
    """An error as an answer: 404 for what is not there, 400 for a wrong question, 409 for what cannot be read."""
    status = 404 if isinstance(error, NotThereError) else 400 if isinstance(error, ConfigurationError) else 409
    return answer({"error": {"what": error.what, "where": error.where, "remedy": error.remedy}}, status)
