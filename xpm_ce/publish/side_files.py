"""The files that current sentence-transformers writes beside a transformers folder, for a cross-encoder.

They say what `CrossEncoder.save_pretrained` of version 6 would; earlier versions read config.json alone, which says the
same. This module does not load sentence-transformers.
"""

from importlib import metadata
from pathlib import Path
from typing import Any

from xpm_ce import atomic

ACTIVATION = "torch.nn.modules.linear.Identity"
FORMAT = "6.0.0"
"""First version of sentence-transformers that reads these files; a later one does not warn"""

MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"},
]
TRANSFORMER = {
    "transformer_task": "sequence-classification",
    "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}},
    "module_output_name": "scores",
}


def write_side_files(folder: Path) -> None:
    """Write modules.json, config_sentence_transformers.json and sentence_bert_config.json into a folder."""
    atomic.write_json(folder / "modules.json", MODULES)
    atomic.write_json(folder / "sentence_bert_config.json", TRANSFORMER)
    atomic.write_json(folder / "config_sentence_transformers.json", model_settings())


def model_settings() -> dict[str, Any]:
    """What config_sentence_transformers.json holds: no activation, no prompts."""
    return {
        "__version__": {
            "pytorch": metadata.version("torch"),
            "sentence_transformers": FORMAT,
            "transformers": metadata.version("transformers"),
        },
        "activation_fn": ACTIVATION,
        "default_prompt_name": None,
        "model_type": "CrossEncoder",
        "prompts": {},
    }
