"""ModernBERT and Ettin without padding: the modules of transformers, another path.

Positions are rotations that begin anew in each sequence, and most layers see a window of tokens only. Where the score
is read from the first token, the last layer computes queries, feed-forward and norms of that one alone. This module
does not know how its linear layers compute.
"""

from typing import Any

import torch
from torch import Tensor, nn

from xpm_ce.engine.attention import Window, attend
from xpm_ce.engine.padding import Pack
from xpm_ce.scorers.packed.forward import MakeLinear, add_to, drop_tokens, dropped_probabilities, normed
from xpm_ce.scorers.packed.rotary import Rotation

LOCAL = "sliding_attention"
"""What a config calls a layer whose tokens see a window"""

CLS, MEAN = "cls", "mean"
"""What the head reads: the first token, or the mean over all"""


class PackedModernBert:
    """The forward pass of a sequence classifier of this family, in the type `compute`."""

    def __init__(self, model: Any, make: MakeLinear, *, compute: torch.dtype):
        self._model, self._base, self._compute = model, model.base_model, compute
        config = model.config
        self._first_only = config.classifier_pooling == CLS
        # transformers' window is what a token sees to both sides together
        window = Window(config.local_attention // 2)
        self._kinds = list(config.layer_types)
        self._layers = [
            PackedLayer(layer, make, window=window if kind == LOCAL else None)
            for layer, kind in zip(self._base.layers, self._kinds, strict=True)
        ]

    @staticmethod
    def computes(model: Any) -> bool:
        """Whether a model has nothing that this path leaves out."""
        config = model.config
        rotations = [config.rope_parameters[kind] for kind in config.layer_types]
        return config.classifier_pooling in (CLS, MEAN) and all(each["rope_type"] == "default" for each in rotations)

    def __call__(self, pack: Pack) -> tuple[Tensor, torch.dtype]:
        """Scores fp32 `[sequences]`, and the type of the hidden states."""
        embeddings = self._base.embeddings
        hidden = normed(embeddings.norm, embeddings.tok_embeddings(pack.ids))
        hidden = drop_tokens(embeddings.drop, hidden, pack).to(self._compute)
        rotations = {kind: self._rotation(kind, pack) for kind in set(self._kinds)}
        for layer, kind in zip(self._layers[:-1], self._kinds, strict=False):
            hidden = layer(hidden, pack, rotations[kind])
        last = self._layers[-1](hidden, pack, rotations[self._kinds[-1]], first_only=self._first_only)
        pooled = normed(self._base.final_norm, last)
        if not self._first_only:
            pooled = _means(pooled.float(), pack)
        return self._model.classifier(self._model.drop(self._model.head(pooled)))[:, 0].float(), hidden.dtype

    def _rotation(self, kind: str, pack: Pack) -> Rotation:
        """Angles anew from the config: a model whose weights are bf16 has rounded its own."""
        rotary = self._base.rotary_emb
        frequencies, _ = rotary.compute_default_rope_parameters(self._model.config, pack.ids.device, layer_type=kind)
        return Rotation.of(pack.positions, frequencies)


def _means(values: Tensor, pack: Pack) -> Tensor:
    """The mean over the tokens of each sequence, `[tokens, columns]` to `[sequences, columns]`."""
    parts = values.split([span.count * span.length for span in pack.spans])
    return torch.cat(
        [part.unflatten(0, (span.count, span.length)).mean(1) for part, span in zip(parts, pack.spans, strict=True)]
    )


class PackedLayer:
    """One layer: attention among the tokens of each sequence, then the gated feed-forward block, each after a norm."""

    def __init__(self, layer: Any, make: MakeLinear, *, window: Window | None):
        attention, feed_forward = layer.attn, layer.mlp
        self._layer, self._attention, self._window = layer, attention, window
        self._gate, self._activation = feed_forward.drop, feed_forward.act
        self._query_key_value, self._dense = make([attention.Wqkv]), make([attention.Wo])
        self._up, self._down = make([feed_forward.Wi]), make([feed_forward.Wo])

    def __call__(self, hidden: Tensor, pack: Pack, rotation: Rotation, *, first_only: bool = False) -> Tensor:
        """`[tokens, hidden]` to the same; `[sequences, hidden]`, of the first tokens, with `first_only`."""
        attention, width = self._attention, self._attention.head_dim
        before = self._layer.attn_norm
        inputs = hidden if isinstance(before, nn.Identity) else normed(before, hidden)
        turning, value = self._query_key_value(inputs).unflatten(-1, (3, -1, width)).split((2, 1), dim=1)
        query, key = rotation.turn(turning).unbind(1)
        taken = attend(
            query[pack.starts] if first_only else query,
            key,
            value.squeeze(1),
            pack,
            scale=width**-0.5,
            first_only=first_only,
            window=self._window,
            dropout=dropped_probabilities(attention, attention.attention_dropout),
        )
        residual = hidden[pack.starts] if first_only else hidden
        middle = add_to(residual, self._dense, taken, pack, after=attention.out_drop, first_only=first_only)
        values, gates = self._up(normed(self._layer.mlp_norm, middle)).chunk(2, dim=-1)
        inner = drop_tokens(self._gate, self._activation(values) * gates, pack, first_only=first_only)
        return self._down(inner, middle)
