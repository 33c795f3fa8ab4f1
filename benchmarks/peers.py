"""The libraries that we are compared with, as their users run them: sentence-transformers and xpmir.

This module does not know our engine; models come from folders that all three load.
"""

import threading
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from sentence_transformers.cross_encoder import CrossEncoderTrainer

TRAINER_NEEDS = ("sentence-transformers", "accelerate", "datasets")
BATCH = 32
"""Pairs of a batch: the default of CrossEncoder.predict"""


def missing(packages: Sequence[str]) -> list[str]:
    """Those of some packages that are not installed."""
    absent = []
    for name in packages:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            absent.append(name)
    return absent


class TrainingTriple(NamedTuple):
    """What MarginMSE learns from."""

    query: str
    positive: str
    negative: str
    margin: float
    """By how much the teacher scores the positive higher"""


class TrainerSettings(NamedTuple):
    """How sentence-transformers trains; the loss, fused AdamW and its clipping at norm 1 are always the same."""

    queries_per_step: int
    """Triples of a batch"""

    learning_rate: float
    """The highest, after warm-up"""

    warmup_steps: int
    """Steps before it"""

    device: torch.device
    """Where"""

    threads: int
    """Threads of the processor"""

    attention: str = "sdpa"
    """transformers' name of an attention function"""


class SentenceTransformersTrainer:
    """sentence-transformers' own CrossEncoderTrainer with its MarginMSELoss, stopped after each step.

    Its loop runs in a thread of its own that only goes on while `step` waits for it: one step is all that the loop
    does from the end of an optimiser step to the end of the next.
    """

    def __init__(self, folder: Path, triples: Sequence[TrainingTriple], settings: TrainerSettings, *, bf16: bool):
        self._go, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._ending, self._threads = False, settings.threads
        self._error: BaseException | None = None
        self.computed: torch.dtype | None = None
        """Type in which its last forward pass computed its first linear layer"""
        self._last_loss = torch.tensor(torch.nan)
        self._trainer = self._made(folder, triples, settings, bf16)
        first = next(each for each in self._trainer.model.modules() if isinstance(each, torch.nn.Linear))
        first.register_forward_hook(self._see)
        self._thread = threading.Thread(target=self._train, daemon=True)
        self._thread.start()

    def _made(
        self, folder: Path, triples: Sequence[TrainingTriple], settings: TrainerSettings, bf16: bool
    ) -> "CrossEncoderTrainer":
        from datasets import Dataset
        from sentence_transformers.base.sampler import DefaultBatchSampler
        from sentence_transformers.cross_encoder import CrossEncoder, CrossEncoderTrainer, CrossEncoderTrainingArguments
        from sentence_transformers.cross_encoder.losses import MarginMSELoss
        from torch.utils.data import SequentialSampler
        from transformers import PrinterCallback, TrainerCallback

        pauses = self

        class Pause(TrainerCallback):
            """Gives the turn away after each step."""

            def on_step_end(self, args: Any, state: Any, control: Any, **named: Any) -> Any:
                pauses._give_turn()
                if pauses._ending:
                    control.should_training_stop = True
                return control

        def in_order(dataset: Any, batch_size: int, drop_last: bool, **named: Any) -> DefaultBatchSampler:
            return DefaultBatchSampler(SequentialSampler(dataset), batch_size=batch_size, drop_last=drop_last)

        attention = {"attn_implementation": settings.attention}
        model = CrossEncoder(str(folder), device=str(settings.device), model_kwargs=attention)
        arguments = CrossEncoderTrainingArguments(
            output_dir=str(folder.parent / "sentence-transformers"),
            max_steps=len(triples) // settings.queries_per_step,
            per_device_train_batch_size=settings.queries_per_step,
            learning_rate=settings.learning_rate,
            warmup_steps=settings.warmup_steps,
            weight_decay=0.0,
            max_grad_norm=1.0,
            optim="adamw_torch_fused",
            bf16=bf16,
            use_cpu=settings.device.type == "cpu",
            batch_sampler=in_order,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        columns = {name: [getattr(each, name) for each in triples] for name in ("query", "positive", "negative")}
        dataset = Dataset.from_dict({**columns, "label": [each.margin for each in triples]})
        loss = MarginMSELoss(model)
        loss.register_forward_hook(self._see_loss)
        trainer = CrossEncoderTrainer(
            model=model, args=arguments, train_dataset=dataset, loss=loss, callbacks=[Pause()]
        )
        trainer.remove_callback(PrinterCallback)
        return trainer

    def _train(self) -> None:
        self._go.acquire()
        # how many threads compute is a setting of each thread that calls
        torch.set_num_threads(self._threads)
        try:
            if not self._ending:
                self._trainer.train()
        except BaseException as error:  # given to whoever waits for the step
            self._error = error
        self._done.release()

    def _give_turn(self) -> None:
        self._done.release()
        self._go.acquire()

    def step(self, _round: int = 0) -> None:
        """One step of its loop."""
        self._go.release()
        self._done.acquire()
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        """Let its loop end."""
        self._ending = True
        self._go.release()
        self._thread.join()

    @property
    def loss(self) -> float:
        """The loss of the last step."""
        return float(self._last_loss)

    def _see_loss(self, module: torch.nn.Module, inputs: object, output: torch.Tensor) -> None:
        self._last_loss = output.detach()

    def _see(self, module: torch.nn.Module, inputs: object, output: torch.Tensor) -> None:
        self.computed = output.dtype


class SentenceTransformersScorer:
    """CrossEncoder.predict of sentence-transformers, with its own batches."""

    def __init__(self, folder: Path, *, dtype: torch.dtype, device: torch.device, attention: str = "sdpa"):
        from sentence_transformers import CrossEncoder

        self._model = CrossEncoder(
            str(folder), device=str(device), model_kwargs={"dtype": dtype, "attn_implementation": attention}
        )
        self.computed_tokens = 0
        """Tokens that it computed for the last scores, padding included"""
        words = next(each for each in self._model.modules() if isinstance(each, torch.nn.Embedding))
        words.register_forward_pre_hook(self._count)

    def _count(self, module: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        self.computed_tokens += arguments[0].numel()

    def scores(self, query: str, documents: Sequence[str]) -> np.ndarray:
        """Scores of a query's documents, fp32 `[documents]`."""
        self.computed_tokens = 0
        return self._model.predict([(query, each) for each in documents], batch_size=BATCH, show_progress_bar=False)


class XpmirScorer:
    """xpmir's cross-scorer, called as its TwoStageRetriever calls it: batches of 32 in the first stage's order."""

    def __init__(self, folder: Path, *, max_length: int, max_query_length: int):
        from experimaestro import ObjectStore
        from xpmir.neural.huggingface import hf_cross_scorer

        config, tasks = hf_cross_scorer(
            str(folder), max_length=max_length, max_query_length=max_query_length, max_doc_length=max_length,
            pref_attn_implementation="sdpa",
        )  # fmt: skip
        objects = ObjectStore()
        self._scorer = config.instance(objects=objects)
        for task in tasks:
            task.instance(objects=objects).execute()
        self._scorer.initialize()
        self._scorer.eval()

    @torch.no_grad()
    def scores(self, query: str, documents: Sequence[str]) -> np.ndarray:
        """Scores of a query's documents, fp32 `[documents]`."""
        from xpmir.letor.records import PointwiseItems

        parts = []
        for first in range(0, len(documents), BATCH):
            batch = documents[first : first + BATCH]
            items = PointwiseItems.from_texts([query] * len(batch), list(batch))
            parts.append(self._scorer(items, tokenized=None).cpu().float().numpy()[:, 0])
        return np.concatenate(parts)
