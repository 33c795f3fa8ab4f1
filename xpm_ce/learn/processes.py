"""The processes of one training: each computes a part of every step, and all make the same update.

One that fails ends all, with its own error. This module does not know what a step computes.
"""

import contextlib
import datetime
import io
import logging
import multiprocessing
import os
import pickle
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

import numpy as np
import torch
import torch.distributed as distributed
from experimaestro import Config
from torch import nn

from xpm_ce.errors import MachineError, XpmCeError
from xpm_ce.learn.step import StepResult

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
PATIENCE = datetime.timedelta(minutes=30)
"""How long a process waits for another that is alive, which may be writing a large state"""
START, END = 120.0, 10.0
"""Seconds in which processes are ready, and in which they end once one has"""
LOST = 3
"""Exit code of a process that ended because another one had"""


class _OtherLostError(Exception):
    """Another process ended in the middle of something that all do together."""


class Ranks:
    """This process among those of a training; by itself it is the only one, and nothing is exchanged."""

    def __init__(self, rank: int = 0, world: int = 1, *, gradients: Any = None):
        self.rank, self.world, self._gradients = rank, world, gradients

    @property
    def main(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    def agreed(self, value: Any) -> Any:
        """The first process's value, on all of them; anything that pickles."""
        if self.world == 1:
            return value
        values = [value]
        with _together():
            distributed.broadcast_object_list(values, src=0)
        return values[0]

    def summed(self, array: np.ndarray) -> np.ndarray:
        """The sum of an array over all processes."""
        if self.world == 1:
            return array
        total = torch.from_numpy(array.copy())
        with _together():
            distributed.all_reduce(total)
        return total.numpy()

    def total(self, result: StepResult) -> StepResult:
        """What a step gave over all processes; scores are nan only where they really are."""
        if self.world == 1:
            return result
        known = ~torch.isnan(result.scores)
        sums = torch.tensor([result.loss, result.padded_tokens, result.computed_tokens], dtype=torch.float64)
        parts = [sums, known.double(), result.scores.nan_to_num(nan=0.0, posinf=torch.inf, neginf=-torch.inf).double()]
        total = torch.cat(parts)
        with _together():
            distributed.all_reduce(total)
        (loss, padded, computed), counts, scores = total.split([3, len(known), len(known)])
        return StepResult(float(loss), (scores / counts).float(), int(padded), int(computed))

    def sum_gradients(self, weights: Sequence[nn.Parameter]) -> None:
        """Have each process hold the sum of all gradients; a weight that none has one for stays without."""
        if self.world == 1:
            return
        used = torch.tensor([weight.grad is not None for weight in weights], dtype=torch.int32)
        with _together():
            distributed.all_reduce(used, op=distributed.ReduceOp.MAX)
        having = [weight for weight, flag in zip(weights, used.tolist(), strict=True) if flag]
        flat = torch.cat(
            [torch.zeros_like(each).view(-1) if each.grad is None else each.grad.reshape(-1) for each in having]
        )
        with _together():
            distributed.all_reduce(flat, group=self._gradients)
        for weight, part in zip(having, flat.split([weight.numel() for weight in having]), strict=True):
            weight.grad = part.view_as(weight)


@contextlib.contextmanager
def together(work: Callable[[Ranks], object], *, count: int, device: str) -> Iterator[Ranks]:
    """This process as the first of `count`, the others running `work` beside it; all have ended after the block.

    `work` must pickle. An error in one of the others ends the block with that error, MachineError where it is none
    of ours or where a process was killed. The threads of a processor are shared among them.
    """
    if count == 1:
        yield Ranks()
        return
    if device != "cpu" and torch.cuda.device_count() < count:
        raise MachineError(
            f"{count} processes need a GPU each, but torch sees {torch.cuda.device_count()}",
            remedy="Give fewer processes, or look at CUDA_VISIBLE_DEVICES.",
        )
    threads = torch.get_num_threads()
    each = max(1, threads // count)
    store = distributed.TCPStore(HOST, 0, count, is_master=True, wait_for_workers=False)
    others: list[_Other] = []
    try:
        for rank in range(1, count):
            others.append(_Other(work, rank, count, device=device, threads=each, port=store.port))
        for other in others:
            other.await_ready()
        if device == "cpu":
            torch.set_num_threads(each)
        with _joined(0, count, device, store) as ranks:
            yield ranks
    except _OtherLostError as lost:
        raise _cause(others, lost) from lost
    finally:
        torch.set_num_threads(threads)
        for other in others:
            other.end()


@contextlib.contextmanager
def _joined(rank: int, world: int, device: str, store: Any) -> Iterator[Ranks]:
    """A process that has met the others."""
    gradients = None
    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), None)
    if loopback is not None:  # whatever the machine is called, and whether that name can be resolved
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
    with _together():
        distributed.init_process_group("gloo", store=store, rank=rank, world_size=world, timeout=PATIENCE)
    try:
        if device != "cpu":
            torch.cuda.set_device(rank)
            with _together():
                gradients = distributed.new_group(backend="nccl")
        yield Ranks(rank, world, gradients=gradients)
    finally:
        distributed.destroy_process_group()


@contextlib.contextmanager
def _together() -> Iterator[None]:
    """Something that all processes do: torch raises where one of them has closed its connections."""
    try:
        yield
    except RuntimeError as error:
        raise _OtherLostError(str(error)) from error


class _Other:
    """Another process, as the first one sees it."""

    def __init__(self, work: Callable[[Ranks], object], rank: int, world: int, *, device: str, threads: int, port: int):
        context = multiprocessing.get_context("spawn")
        self._receiver, sender = context.Pipe(duplex=False)
        self.rank = rank
        self.error: Exception | None = None
        self._process = context.Process(
            target=_run,
            args=(_pickled(work), rank, world, device, threads, port, sender),
            name=f"rank {rank}",
            daemon=True,
        )
        self._process.start()
        sender.close()

    def await_ready(self) -> None:
        """Wait until it has started; the error that kept it from that is raised."""
        if self._receiver.poll(START):
            with contextlib.suppress(EOFError):
                self.error = self._receiver.recv()
            if self.error is None and self._process.is_alive():
                return
        self._process.join(END)
        raise self.failure() or MachineError(
            f"process {self.rank} was not ready after {START:.0f} seconds", remedy="Run again, with fewer processes."
        )

    def failure(self) -> Exception | None:
        """Why it ended: its own error, or the signal that killed it; None where it lives, or ended well or with us."""
        with contextlib.suppress(EOFError):
            if self.error is None and self._receiver.poll():
                self.error = self._receiver.recv()
        if self.error is not None:
            return self.error
        code = self._process.exitcode
        if code is None or code in (0, LOST):
            return None
        return MachineError(
            f"process {self.rank} of the training ended with code {code}" if code > 0
            else f"process {self.rank} of the training was killed by signal {-code}",
            remedy="Run again to continue from the last state, with fewer processes if memory is short.",
        )  # fmt: skip

    @property
    def sentinel(self) -> int:
        """Ready to be read when it has ended."""
        return self._process.sentinel

    def end(self) -> None:
        """Have it end, by force where it does not do so by itself."""
        self._process.join(END)
        for force in (self._process.terminate, self._process.kill):
            if self._process.is_alive():
                force()
                self._process.join(END)


class _Pickler(pickle.Pickler):
    """Pickles a task as its job sees it, without what experimaestro 2.7 remembers of its making, which cannot be."""

    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, Config):
            return NotImplemented
        kept = {name: each for name, each in vars(value).items() if name != "__config__"}
        return object.__new__, (type(value),), kept


def _pickled(work: Callable[[Ranks], object]) -> bytes:
    with io.BytesIO() as stream:
        _Pickler(stream).dump(work)
        return stream.getvalue()


def _run(work: bytes, rank: int, world: int, device: str, threads: int, port: int, sender: Connection) -> None:
    """What another process runs; it sends None when it is ready, then its error where it has one."""
    logging.getLogger().setLevel(logging.ERROR)  # the first process tells what is to be told
    if device == "cpu":
        torch.set_num_threads(threads)
    try:
        sender.send(None)
        store = distributed.TCPStore(HOST, port, world, is_master=False)
        with _joined(rank, world, device, store) as ranks:
            try:
                pickle.loads(work)(ranks)
            except _OtherLostError:
                raise
            except Exception as error:
                sender.send(_told(error, rank))
                raise SystemExit(1) from error
    except _OtherLostError:
        raise SystemExit(LOST) from None


def _told(error: Exception, rank: int) -> Exception:
    """An error as it can be sent: one of ours as it is, another one by its words."""
    if isinstance(error, XpmCeError):
        return error
    logger.exception("process %d of the training failed", rank)
    return MachineError(
        f"process {rank} of the training failed: {type(error).__name__}: {error}",
        remedy="Run again to continue from the last state; the log holds the traceback.",
    )


def _cause(others: Sequence[_Other], lost: Exception) -> Exception:
    """The error that ended the others; waited for, since connections break before a process has ended."""
    end = time.monotonic() + END
    while time.monotonic() < end:
        for other in others:
            if (failure := other.failure()) is not None:
                return failure
        wait([other.sentinel for other in others], timeout=0.1)
    return MachineError(
        f"another process of the training could not be reached ({lost})",
        remedy="Run again to continue from the last state.",
    )
