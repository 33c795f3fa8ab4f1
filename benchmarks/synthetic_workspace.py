"""A workspace as a large grid leaves it while it runs, without running anything: a plan and the files of its jobs.

    python benchmarks/synthetic_workspace.py /tmp/synthetic --jobs 5000
    python benchmarks/synthetic_workspace.py /tmp/synthetic --live      # and keep some of its jobs "running"

Two thirds are done, some run, one fails of ten learners' worth of reasons, the rest waits. Texts hold markup, so that
whoever shows them unescaped is found out. This module does not know who reads the workspace.
"""

import argparse
import contextlib
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xpm_ce.workspace import FIRST_STAGE, TRAINED, Workspace

LOSSES = ("BCE", "Hinge", "InfoNCE", "MarginMSE", "DistillRankNET", "ADR-MSE", '<script>alert("loss")</script>')
BACKBONES = ("Ettin-17M", "Ettin-32M", "MiniLM-L12", "Ettin-68M", "BERT", "ELECTRA", "RoBERTa", "DeBERTa-v3")
PROTOCOLS = ("DL19", "DL20", "SciFact", "FiQA", "NFCorpus", "Touche", "Quora", "ArguAna")
MEASURES = ("nDCG@10", "RR@10")
DEPTH = 100
RUNNING = 8
TASKS = {
    "collection": "xpm_ce.data.generate", "store": "xpm_ce.data.store_documents", "learn": "xpm_ce.learn.learner",
    "retrieve": "xpm_ce.firststage.retrieve", "rerank": "xpm_ce.evaluate.rerank", "measure": "xpm_ce.evaluate.measure",
}  # fmt: skip
START = 1_790_000_000.0
LOCKING = """
import fcntl, sys, time
held = [open(script.removesuffix("py") + "lock", "a") for script in sys.argv[1:]]
for each in held:
    fcntl.flock(each, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(1e6)
"""
"""What stands for all jobs that run: a process that is given their scripts and has their locks"""


class Grid:
    """The jobs of a study by place; `write` puts them into a workspace."""

    def __init__(self, workspace: Workspace, experiment: str, *, seeds: int):
        self.workspace, self.experiment = workspace, experiment
        self.jobs: list[dict[str, Any]] = []
        self.results: list[dict[str, Any]] = []
        self.seeds = [str(number) for number in range(1, seeds + 1)]
        collection = self._job("collection", {}, [])
        store = self._job("store", {}, [collection])
        retrieved = {each: self._job("retrieve", {"set": each}, [store]) for each in PROTOCOLS}
        for protocol, run in retrieved.items():
            measured = self._job("measure", {FIRST_STAGE: "BM25", "set": protocol}, [run, store])
            self._result(measured, FIRST_STAGE, protocol, {FIRST_STAGE: "BM25"})
        for seed in self.seeds:
            for backbone in BACKBONES:
                for loss in LOSSES:
                    place = {"loss": loss, "backbone": backbone, "seed": seed}
                    learner = self._job("learn", place, [store])
                    for protocol, run in retrieved.items():
                        rerank = self._job("rerank", {**place, "set": protocol}, [learner, run, store])
                        measured = self._job("measure", {**place, "set": protocol}, [rerank, run, store])
                        self._result(measured, TRAINED, protocol, place)

    def _job(self, kind: str, coordinates: dict[str, str], depends_on: list[str]) -> str:
        identity = hashlib.sha256(f"{self.experiment} {kind} {coordinates}".encode()).hexdigest()
        folder = str(self.workspace.job(TASKS[kind], identity).path)
        seconds = {"learn": [900.0, 1200.0, 1800.0], "rerank": [60.0, 75.0, 90.0]}.get(kind)
        self.jobs.append({
            "kind": kind, "task": TASKS[kind], "id": identity, "folder": folder, "state": "run",
            "coordinates": coordinates, "depends_on": depends_on, "reason": {"kind": "never run", "values": []},
            "cost": {"seconds": seconds, "bytes": 1 << 20, "gpu_seconds": None} if seconds else None,
        })  # fmt: skip
        return identity

    def _result(self, job: str, system: str, protocol: str, coordinates: dict[str, str]) -> None:
        self.results.append({"job": job, "system": system, "protocol": protocol, "coordinates": coordinates})

    def write(self, *, done: float, count: int) -> list[str]:
        """Write the first `count` jobs, a share of them done; gives the identities of those that are to look running.

        Learners are done in order; what follows from the last of them runs, fails or waits.
        """
        kept = self.jobs[:count]
        self.jobs = kept
        known = {job["id"] for job in kept}
        self.results = [each for each in self.results if each["job"] in known]
        learners = [job["id"] for job in kept if job["kind"] == "learn"]
        trained = set(learners[: round(done * len(learners))])
        failed = set(learners[len(trained) : len(trained) + 3])
        killed = set(learners[len(trained) + 3 : len(trained) + 4])
        running = learners[len(trained) + 4 : len(trained) + 4 + RUNNING]
        open_learners = set(learners) - trained
        finished: set[str] = set()
        for number, job in enumerate(kept):
            ready = job["id"] not in open_learners and all(each in finished for each in job["depends_on"])
            if ready:
                finished.add(job["id"])
                self._write_done(job, number)
            elif job["id"] in failed:
                self._write_failed(job, number)
            elif job["id"] in killed:
                self._write_started(job, pid=4_194_304)  # above the largest number that a process can have
        self._write_plan()
        return running

    # -- files ------------------------------------------------------------------------------------------------

    def _folder(self, job: dict[str, Any]) -> Path:
        folder = Path(job["folder"])
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _write_done(self, job: dict[str, Any], number: int) -> None:
        folder, name = self._folder(job), job["task"].rpartition(".")[2]
        files: dict[str, str] = {}
        share = int(job["id"][:8], 16) / 0xFFFFFFFF
        if job["kind"] == "learn":
            lines = [
                f"{step},{64 * step},{2.0 / step**0.5 + share / 5:.4f},1e-05,1.0,{step}.000" for step in range(1, 61)
            ]
            files["curve.csv"] = "\n".join(["step,documents,loss,learning_rate,gradient_norm,seconds", *lines, ""])
            validated = [
                f"{step},{64 * step},(mean),nDCG@10,{0.3 + share / 10 + step / 400}" for step in range(10, 61, 10)
            ]
            files["validation.csv"] = "\n".join(["step,documents,set,measure,value", *validated, ""])
            files["ledger.json"] = json.dumps({"schema": 2, "steps": 60, "documents": 3840, "seconds": 60.0})
        if job["kind"] == "measure":
            means = [
                {"order": order, "depth": DEPTH, "measure": measure, "mean": 0.3 + 0.3 * share + more}
                for order, more in (
                    [("given", 0.0), ("ceiling", 0.3)] if FIRST_STAGE in job["coordinates"] else [("given", 0)]
                )
                for measure in MEASURES
            ]
            files["summary.json"] = json.dumps({
                "schema": 1, "queries": 50, "queries_without_result": [], "judgements_of_unknown_documents": 0,
                "means": means,
            })  # fmt: skip
        for file, text in files.items():
            (folder / file).write_text(text)
        listed = [{"path": file, "bytes": len(text.encode()), "sha256": "0" * 64} for file, text in files.items()]
        record = {
            "schema": 1, "task": job["task"], "source": "0" * 64, "started": START + number, "seconds": 60.0 * share,
            "environment": {"python": "3.11", "packages": {}, "processor": "none", "threads": 1}, "files": listed,
        }  # fmt: skip
        (folder / "outputs.json").write_text(json.dumps(record))
        (folder / f"{name}.err").write_text(f"INFO a log with <b>markup</b> of job {number}\n" * 5)
        (folder / f"{name}.done").touch()

    def _write_failed(self, job: dict[str, Any], number: int) -> None:
        folder, name = self._folder(job), job["task"].rpartition(".")[2]
        cause = {
            "schema": 1, "exception": "DataError", "what": "the loss is <i>not finite</i> at step 17",
            "where": "training set", "remedy": "Lower learner.learning_rate.", "frame": "loop.py:17 in train",
            "time": START + number,
        }  # fmt: skip
        (folder / "failure.json").write_text(json.dumps(cause))
        (folder / f"{name}.failed").write_text('{"code": 1, "reason": "failed"}')
        (folder / f"{name}.err").write_text("Traceback (most recent call last):\n  ...\nDataError: <i>not finite</i>\n")

    def _write_started(self, job: dict[str, Any], *, pid: int) -> None:
        folder, name = self._folder(job), job["task"].rpartition(".")[2]
        (folder / ".experimaestro" / "events").mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.pid").write_text(json.dumps({"type": "local", "pid": pid}))
        (folder / f"{name}.err").write_text("INFO started\n")

    def _write_plan(self) -> None:
        axes = {"loss": list(LOSSES), "backbone": list(BACKBONES), "seed": self.seeds}
        layout = {
            "rows": "loss", "columns": "backbone", "over": "seed", "row_labels": axes["loss"],
            "column_labels": axes["backbone"], "axes": axes, "averages": {}, "protocols": list(PROTOCOLS),
            "measures": list(MEASURES), "depths": [DEPTH],
        }  # fmt: skip
        plan = {
            "schema": 1, "experiment": self.experiment, "title": "A synthetic <b>grid</b>",
            "planned": "2026-11-21T12:00:00+00:00", "files": [], "overrides": [], "table": layout,
            "results": self.results, "jobs": self.jobs,
        }  # fmt: skip
        file = self.workspace.plan_file(self.experiment)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(plan, indent=1))


class Synthetic:
    """What was written: a workspace, its grid, and the jobs that are to look running."""

    def __init__(self, path: Path, *, jobs: int = 5000, done: float = 0.66, experiment: str = "synthetic"):
        self.workspace = Workspace(path)
        self.grid = Grid(self.workspace, experiment, seeds=-(-jobs // (len(LOSSES) * len(BACKBONES) * 17)))
        running = self.grid.write(done=done, count=jobs)
        by_id = {job["id"]: job for job in self.grid.jobs}
        self.running = [by_id[identity] for identity in running]

    @contextlib.contextmanager
    def live(self) -> Iterator["Synthetic"]:
        """Let some jobs run: one process that sleeps stands for all of them. `tell` reports their progress."""
        for job in self.running:
            self.grid._folder(job)
        scripts = [f"{job['folder']}/{job['task'].rpartition('.')[2]}.py" for job in self.running]
        process = subprocess.Popen([sys.executable, "-c", LOCKING, *scripts], stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            process.stdout.readline()
            for job in self.running:
                self.grid._write_started(job, pid=process.pid)
            self.tell(0.0)
            yield self
        finally:
            process.kill()
            process.wait()

    def tell(self, share: float) -> None:
        """Say of every running job how far it is."""
        for job in self.running:
            words = f"step {60 * share:.0f} of 60"
            event = {"event_type": "JobProgressEvent", "level": 0, "progress": share, "desc": words}
            with open(Path(job["folder"]) / ".experimaestro" / "events" / "event-0.jsonl", "a") as stream:
                stream.write(json.dumps(event) + "\n")

    def finish(self, job: dict[str, Any]) -> None:
        """Let a running job end well."""
        folder, name = Path(job["folder"]), job["task"].rpartition(".")[2]
        (folder / f"{name}.pid").unlink()
        self.grid._write_done(job, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--live", action="store_true", help="keep jobs running, with progress, until interrupted")
    options = parser.parse_args()
    synthetic = Synthetic(options.folder, jobs=options.jobs)
    print(f"{len(synthetic.grid.jobs)} jobs in {options.folder}; xpm-ce monitor --workdir {options.folder}")  # noqa: T201
    if options.live:
        with synthetic.live(), contextlib.suppress(KeyboardInterrupt):
            for second in range(1_000_000):
                synthetic.tell(second % 600 / 600)
                time.sleep(1)


if __name__ == "__main__":
    main()
