"""Which kinds of jobs go first where several wait. This module does not know how they wait."""

PRIORITIES = {"measure": 0, "rerank": 1, "learn": 3}
"""Smaller goes first, so that a trained model is re-ranked and measured before the next training starts"""
DEFAULT_PRIORITY = 2


def priority(kind: str) -> int:
    """The priority of a kind of job; smaller goes first."""
    return PRIORITIES.get(kind, DEFAULT_PRIORITY)
