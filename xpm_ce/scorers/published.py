"""The published encoders that the field trains cross-encoders from: one row of facts each, by name.

A row says which repository and which of its commits, what family its files belong to, how large it is, under which
licence, and what goes wrong with it. This module does not load anything, nor know whether a folder agrees with its row:
`weights.py` reads the folder, and tests/parity/test_published_backbones.py checks what a row says of its tokenizer.
"""

from dataclasses import dataclass
from typing import Any

from xpm_ce.errors import UnknownKeyError
from xpm_ce.scorers.families import FAMILIES, Family


@dataclass(frozen=True, kw_only=True)
class Published:
    """One published encoder."""

    id: str
    """Repository of the Hugging Face hub"""

    revision: str | None
    """Commit of the repository, as projects that pin it write it; None where none is on record here"""

    family: str
    """Family of `families.py`: how a pair is joined, its token types and its head"""

    tokenizer: str
    """Class of the tokenizer in transformers; a fast one without a class of its own is PreTrainedTokenizerFast"""

    template_in_files: bool = False
    """Whether the pair template lives only in the repository's files, so that what `families.py` says of it is what
    the authors' own library does, not what was read here; otherwise it is that of the tokenizer's class"""

    lower_case: bool
    """Whether the vocabulary is one of lower-cased text"""

    says_lower_case: bool = True
    """Whether the tokenizer's files say so themselves; where they do not, the tokenizer is made to lower-case"""

    layers: int
    """Transformer layers"""

    hidden_size: int
    """Width of the hidden states"""

    heads: int
    """Attention heads"""

    intermediate_size: int
    """Width inside the feed-forward blocks"""

    vocabulary: int
    """Rows of the embedding table"""

    padding_id: int = 0
    """The token that fills up a batch"""

    max_position_embeddings: int
    """Rows of the position table, or the longest sequence in pre-training where positions are rotary"""

    millions: int
    """Parameters in millions, embeddings included, as its authors count them"""

    head: str
    """What turns hidden states into the score"""

    new_head: bool = True
    """Whether the repository brings no head, so that one is drawn under `head_seed`"""

    licence: str
    """SPDX identifier of the licence of the weights"""

    citation: str
    """BibTeX"""

    traps: tuple[str, ...] = ()
    """What goes wrong where one is not careful, besides what the family's row says"""

    @property
    def row(self) -> Family:
        """The facts of its family."""
        return FAMILIES[self.family]

    @property
    def template(self) -> str:
        """How a query and a document are joined."""
        return self.row.template

    @property
    def specials(self) -> int:
        """Special tokens of a pair."""
        return self.row.specials

    @property
    def token_types(self) -> int:
        """Token types that the model tells apart; 1 where it reads none."""
        return self.row.token_types

    @property
    def usable_positions(self) -> int:
        """Tokens that the longest pair may have, special tokens included."""
        return self.max_position_embeddings - (self.padding_id + 1 if self.row.reserved_positions else 0)

    @property
    def forced_lower_case(self) -> bool | None:
        """True where the tokenizer has to be made to lower-case; None where its files are followed."""
        return True if self.lower_case and not self.says_lower_case else None


_BERT = """@inproceedings{devlin2019bert,
  title = {{BERT}: Pre-training of Deep Bidirectional Transformers for Language Understanding},
  author = {Devlin, Jacob and Chang, Ming-Wei and Lee, Kenton and Toutanova, Kristina},
  booktitle = {NAACL-HLT}, year = {2019}}"""

_MINILM = """@inproceedings{wang2020minilm,
  title = {{MiniLM}: Deep Self-Attention Distillation for Task-Agnostic Compression of Pre-Trained Transformers},
  author = {Wang, Wenhui and Wei, Furu and Dong, Li and Bao, Hangbo and Yang, Nan and Zhou, Ming},
  booktitle = {NeurIPS}, year = {2020}}"""

_ELECTRA = """@inproceedings{clark2020electra,
  title = {{ELECTRA}: Pre-training Text Encoders as Discriminators Rather Than Generators},
  author = {Clark, Kevin and Luong, Minh-Thang and Le, Quoc V. and Manning, Christopher D.},
  booktitle = {ICLR}, year = {2020}}"""

_ROBERTA = """@article{liu2019roberta,
  title = {{RoBERTa}: A Robustly Optimized {BERT} Pretraining Approach},
  author = {Liu, Yinhan and Ott, Myle and Goyal, Naman and Du, Jingfei and Joshi, Mandar and Chen, Danqi and
    Levy, Omer and Lewis, Mike and Zettlemoyer, Luke and Stoyanov, Veselin},
  journal = {arXiv:1907.11692}, year = {2019}}"""

_DEBERTA = """@inproceedings{he2023debertav3,
  title = {{DeBERTaV3}: Improving {DeBERTa} using {ELECTRA}-Style Pre-Training with Gradient-Disentangled Embedding
    Sharing},
  author = {He, Pengcheng and Gao, Jianfeng and Chen, Weizhu},
  booktitle = {ICLR}, year = {2023}}"""

_ETTIN = """@article{weller2025seq,
  title = {Seq vs Seq: An Open Suite of Paired Encoders and Decoders},
  author = {Weller, Orion and Ricci, Kathryn and Marone, Marc and Chaffin, Antoine and Lawrie, Dawn and
    Van Durme, Benjamin},
  journal = {arXiv:2507.11412}, year = {2025}}"""

_RANK_DISTILLM = """@inproceedings{schlatt2025rankdistillm,
  title = {{Rank-DistiLLM}: Closing the Effectiveness Gap Between Cross-Encoders and {LLMs} for Passage Re-Ranking},
  author = {Schlatt, Ferdinand and Fr{\\"o}be, Maik and Scells, Harrisen and Zhuang, Shengyao and Koopman, Bevan and
    Zuccon, Guido and Stein, Benno and Potthast, Martin and Hagen, Matthias},
  booktitle = {ECIR}, year = {2025}}"""

_BASE: dict[str, Any] = {"layers": 12, "hidden_size": 768, "heads": 12, "intermediate_size": 3072}
"""The size that BERT called base"""

_POOLER = "the pooler (dense, tanh) over the first token, dropout, one linear layer"
_TWO_LAYERS = "the first token through dropout, dense, {activation}, dropout, one linear layer"


def _ettin(size: str, revision: str, *, layers: int, hidden_size: int, heads: int, millions: int) -> Published:
    """A row of the Ettin suite, whose members differ in shape only."""
    return Published(
        id=f"jhu-clsp/ettin-encoder-{size}",
        revision=revision,
        family="modernbert",
        tokenizer="PreTrainedTokenizerFast",
        template_in_files=True,
        lower_case=False,
        layers=layers,
        hidden_size=hidden_size,
        heads=heads,
        intermediate_size=hidden_size * 3 // 2,
        vocabulary=50368,
        padding_id=50283,
        max_position_embeddings=7999,
        millions=millions,
        head="the mean of all tokens (classifier_pooling of its config.json) through dense, GELU, norm, dropout, one "
        "linear layer",
        licence="MIT",
        citation=_ETTIN,
        traps=(
            "its config.json asks for the mean of all tokens, where ModernBERT's own default is the first token",
            "local attention turns at the same rotary base as global attention (160 000), ModernBERT's at 10 000",
            "this commit holds pickled weights; the conversions to safetensors offered beside it keep the tied "
            "embedding under another name only, so that embeddings would be random: they are refused here",
        ),
    )  # fmt: skip


PUBLISHED = {
    "ettin-17m": _ettin(
        "17m", "987607455c61e7a5bbc85f7758e0512ea6d0ae4c", layers=7, hidden_size=256, heads=4, millions=17
    ),
    "ettin-32m": _ettin(
        "32m", "1b8ba06455dd44f80fc9c1ca9e22806157a57379", layers=10, hidden_size=384, heads=6, millions=32
    ),
    "minilm-l12": Published(
        id="microsoft/MiniLM-L12-H384-uncased",
        revision="44acabbec0ef496f6dbc93adadea57f376b7c0ec",
        family="bert",
        tokenizer="BertTokenizer",
        lower_case=True,
        says_lower_case=False,
        layers=12,
        hidden_size=384,
        heads=12,
        intermediate_size=1536,
        vocabulary=30522,
        max_position_embeddings=512,
        millions=33,
        head=_POOLER,
        licence="MIT",
        citation=_MINILM,
        traps=(
            "its tokenizer files do not say that the vocabulary is uncased: whether capitals become unknown words "
            "depends on the version of transformers, so the tokenizer is made to lower-case",
        ),
    ),
    "ettin-68m": _ettin(
        "68m", "ac19ae4bc51093b31c475665ac872a936d056cc2", layers=19, hidden_size=512, heads=8, millions=68
    ),
    "bert-base": Published(
        id="bert-base-uncased",
        revision="86b5e0934494bd15c9632b12f734a8a67f723594",
        family="bert",
        tokenizer="BertTokenizer",
        lower_case=True,
        **_BASE,
        vocabulary=30522,
        max_position_embeddings=512,
        millions=110,
        head=_POOLER,
        licence="Apache-2.0",
        citation=_BERT,
        traps=("the hub also knows it as google-bert/bert-base-uncased, which is another folder of its cache",),
    ),
    "electra-base": Published(
        id="google/electra-base-discriminator",
        revision=None,
        family="electra",
        tokenizer="ElectraTokenizer",
        lower_case=True,
        **_BASE,
        vocabulary=30522,
        max_position_embeddings=512,
        millions=110,
        head=_TWO_LAYERS.format(activation="GELU"),
        licence="Apache-2.0",
        citation=_ELECTRA,
        traps=("the discriminator, not the generator beside it: the generator is smaller and another model",),
    ),
    "roberta-base": Published(
        id="FacebookAI/roberta-base",
        revision="e2da8e2f811d1448a5b465c236feacd80ffbac7b",
        family="roberta",
        tokenizer="RobertaTokenizer",
        lower_case=False,
        **_BASE,
        vocabulary=50265,
        padding_id=1,
        max_position_embeddings=514,
        millions=125,
        head=_TWO_LAYERS.format(activation="tanh"),
        licence="MIT",
        citation=_ROBERTA,
    ),
    "ettin-150m": _ettin(
        "150m", "45d08642849e5c5701b162671ac811b7654bfd9f", layers=22, hidden_size=768, heads=12, millions=150
    ),
    "deberta-v3-base": Published(
        id="microsoft/deberta-v3-base",
        revision="8ccc9b6f36199bec6961081d44eb72fb3f7353f3",
        family="deberta-v2",
        tokenizer="DebertaV2Tokenizer",
        lower_case=False,
        **_BASE,
        vocabulary=128100,
        max_position_embeddings=512,
        millions=184,
        head="the pooler (dropout, dense, GELU) over the first token, dropout, one linear layer",
        licence="MIT",
        citation=_DEBERTA,
        traps=(
            "relative positions have no end, so longer pairs would run; 512 is what it was trained with, and the limit",
        ),
    ),
    "monoelectra-base": Published(
        id="webis/monoelectra-base",
        revision=None,
        family="electra",
        tokenizer="ElectraTokenizer",
        lower_case=True,
        **_BASE,
        vocabulary=30522,
        max_position_embeddings=512,
        millions=110,
        head="one linear layer over the first token, written as ELECTRA's two layers with the same score",
        new_head=False,
        licence="Apache-2.0",
        citation=_RANK_DISTILLM,
        traps=(
            "its own library cuts queries at 32 tokens and documents at 256, each apart: max_query_length 32 and "
            "max_length 291 are the nearest here",
            "whether its linear layer has a bias is read from the weights: the key of its config.json came later",
            "loaded by AutoModelForSequenceClassification its head would be missing, and a random one would score",
        ),
    ),
}  # fmt: skip
"""The nine encoders of arXiv 2603.03010 from the smallest, and the cross-encoder of arXiv 2405.07920"""


def published(name: str, *, where: str) -> Published:
    """The row of a name; UnknownKeyError for one that has none."""
    if name not in PUBLISHED:
        raise UnknownKeyError(name, PUBLISHED, where=where, kind="published backbone")
    return PUBLISHED[name]
