"""What every loss is: a function of the scores and the supervision of groups of documents.

This module knows no particular loss, no model and no training set; `table.py` names the losses.
"""

from typing import TYPE_CHECKING, Any, ClassVar

from experimaestro import Config

from xpm_ce.data.supervision import Supervision
from xpm_ce.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from torch import Tensor


class Loss(Config):
    """What is minimised: scores `[queries, group]` and what is known about them in, a scalar out.

    A loss computes in float32 whatever the scores are, takes the mean within each query (over documents or
    pairs), then over the queries that have any, so that a long group weighs as much as a short one. A query
    that has none, like padding, contributes 0 and no gradient, whatever its cells hold.
    """

    __xpmid__ = "xpm_ce.losses.loss"

    NAME: ClassVar[str]
    """Name in YAML files"""

    LABEL: ClassVar[str]
    """Name in tables"""

    NEEDS: ClassVar[frozenset[str]]
    """Kinds of supervision without which it cannot be computed"""

    CITATION: ClassVar[str]
    """BibTeX of the works that define it"""

    def __call__(self, scores: "Tensor", supervision: Supervision, mask: "Tensor") -> "Tensor":
        """The loss, a float32 scalar.

        scores `[queries, group]`, any float type; supervision, each tensor `[queries, group]`; mask, bool
        `[queries, group]`, True where there is a document. DataError where supervision lacks what the loss
        needs.
        """
        from xpm_ce.losses.reduction import mean_over_queries

        return mean_over_queries(*self.terms(scores, supervision, mask))

    def terms(self, scores: "Tensor", supervision: Supervision, mask: "Tensor") -> "tuple[Tensor, Tensor]":
        """The terms of each query, and which of them count: float32 and bool, both `[queries, ...]`.

        Which terms count depends on supervision and mask only, so that the loss of a long step can be computed some
        queries at a time. Takes what the loss itself takes, and raises what it raises.
        """
        raise NotImplementedError(f"{type(self).__name__}.terms")

    @property
    def separable(self) -> bool:
        """Whether the loss is the mean over queries of its terms; what has a `__call__` of its own need not be."""
        return type(self).__call__ is Loss.__call__

    def given(self, supervision: Supervision, kind: str) -> "Tensor":
        """One kind of supervision; DataError where it is missing."""
        tensor = supervision.of(kind)
        if tensor is None:
            raise DataError(
                f"loss {self.NAME} needs {kind}, but the training set has none",
                remedy=f"Use a training set that carries {kind}, or a loss that does not need {kind}.",
            )
        return tensor

    def refuse(self, parameter: str, wanted: str) -> None:
        """Raise the ConfigurationError of a parameter whose value is not what is `wanted`."""
        value: Any = getattr(self, parameter)
        raise ConfigurationError(f"{parameter} is {value}, which loss {self.NAME} cannot use", remedy=f"Give {wanted}.")
