"""New models, declared by their sizes: random weights, and a tokenizer trained on the collection.

This module does not know how pairs are scored; `weights.py` draws the weights.
"""

from typing import TYPE_CHECKING, Any, Optional

from experimaestro import Constant, Param, field

from xpm_ce.data.collection import Submit
from xpm_ce.data.parts import Queries
from xpm_ce.data.store import DocumentStore
from xpm_ce.errors import ConfigurationError
from xpm_ce.identity import HashCache
from xpm_ce.scorers.backbones import Backbone
from xpm_ce.scorers.families import Family, family
from xpm_ce.tokens.tokenizer import Tokenizer
from xpm_ce.tokens.wordpiece import TokenizerFolder, TrainWordPiece

if TYPE_CHECKING:
    from xpm_ce.scorers.weights import Loaded


class Architecture(Backbone):
    """A new model with random weights and a tokenizer trained on the collection."""

    __xpmid__ = "xpm_ce.scorers.architecture"
    NAME = "architecture"

    version: Constant[int] = 1
    """Version of how the configuration of the model is made"""

    family: Param[str]
    """Family of the model, by its `model_type`"""

    hidden_size: Param[int]
    """Width of the hidden states"""

    num_layers: Param[int]
    """Transformer layers"""

    num_heads: Param[int]
    """Attention heads, a divisor of the width"""

    intermediate_size: Param[int]
    """Width inside the feed-forward blocks"""

    max_positions: Param[int]
    """Usable positions: the longest pair in tokens, special tokens included"""

    dropout: Param[float] = field(default=0.1)
    """Probability of every dropout of the model, as in BERT (Devlin et al. 2019, appendix A.2)"""

    initializer_range: Param[float] = field(default=0.02)
    """Standard deviation of the initial weights, as in BERT's released code; small models need more"""

    pooling: Param[str] = field(default="cls")
    """What the head reads: the first token (cls) or, where the family can, the mean of all (mean)"""

    seed: Param[int] = field(default=0)
    """Seed of the initial weights, the head's apart"""

    vocab_size: Param[int] = field(default=400)
    """Most entries of the tokenizer's vocabulary"""

    tokenizer: Param[TokenizerFolder]
    """Trained on the collection's text; filled in while a study is planned"""

    def __validate__(self) -> None:
        row = self.row
        if self.pooling not in row.poolings:
            raise ConfigurationError(
                f"pooling {self.pooling!r} does not exist in family {self.family}",
                remedy=f"Give one of: {', '.join(row.poolings)}.",
            )
        if not 0 <= self.dropout < 1:
            raise ConfigurationError(f"dropout is {self.dropout}", remedy="Give a probability from 0 to below 1.")
        if self.num_heads < 1 or self.hidden_size % self.num_heads:
            raise ConfigurationError(
                f"num_heads is {self.num_heads}, which does not divide hidden_size {self.hidden_size}",
                remedy="Give a divisor of hidden_size.",
            )

    @property
    def place(self) -> str:
        return f"a new {self.family}"

    @property
    def row(self) -> Family:
        """The facts of the family; ConfigurationError where there is no such family."""
        return family(self.family, where="Architecture.family")

    def prepare(
        self, submit: Submit, *, store: Optional[DocumentStore] = None, queries: Optional[Queries] = None
    ) -> "Architecture":
        if store is None:
            raise ConfigurationError(
                "an architecture needs a collection, on whose text its tokenizer is trained",
                remedy="Use it as the backbone of a learner.",
            )
        task = TrainWordPiece.C(store=store, queries=queries, vocab_size=self.vocab_size)
        self.tokenizer = submit(task, kind="tokenizer")
        return self

    def own_tokenizer(self, hashes: HashCache) -> Tokenizer:
        return self.tokenizer

    def settings(self, *, vocabulary: int) -> dict[str, Any]:
        """Keys of config.json for a model with a vocabulary of this size; token ids apart."""
        row = self.row
        named = {key: getattr(self, name) for name, keys in row.settings.items() for key in keys}
        types = {"type_vocab_size": row.token_types} if row.token_types > 1 else {}
        return {**named, **types, **row.fixed, **row.poolings[self.pooling], "vocab_size": vocabulary}

    def load(self, *, head_seed: int) -> "Loaded":
        from xpm_ce.scorers.weights import draw_weights

        return draw_weights(self, head_seed=head_seed)
