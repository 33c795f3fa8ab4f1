"""A small study whose learners were trained here, in this process, as their jobs would."""

import dataclasses
import json
from typing import Any

import pytest
import torch
from experimaestro import DirectoryContext
from experimaestro.core.context import SerializationContext

from xpm_ce.data.stored_documents import StoredDocuments
from xpm_ce.graph.build import planned
from xpm_ce.graph.plan import Plan
from xpm_ce.graph.planner import PlannedJob
from xpm_ce.graph.study import Study
from xpm_ce.learn.learner import Learner
from xpm_ce.workspace import Workspace

ABOVE_LEARNERS = {"collection", "store", "index", "retrieve", "training set", "tokenizer", "tokens"}
"""Kinds of jobs that learners take in"""

STUDY = """
id: small
collection: {type: generated, documents: 120, train_queries: 40, validation_queries: 8, test_queries: 16,
             teacher_others: 120}
first_stage: {type: bm25, depth: 30}
training_set: {type: mined, last_rank: 30, random_documents: 10, teacher: collection}
learner:
  scorer:
    type: cross_encoder
    max_length: 20
    max_query_length: 6
    backbone: {type: architecture, family: bert, hidden_size: 16, num_layers: 1, num_heads: 2, intermediate_size: 16,
               max_positions: 32, vocab_size: 600}
  sampler: {type: groups, queries: 4, negatives: 1}
  steps: 10
  learning_rate: 1e-3
  warmup_steps: 2
grid:
  loss:
    InfoNCE: {learner.loss: infonce}
    MarginMSE: {learner.loss: margin_mse}
    ADR-MSE: {learner.loss: adr_mse, learner.sampler: {type: lists, queries: 2, documents: 6},
              learner.tokens_per_batch: 40, training_set.last_rank: 20}
  learner.seed, learner.scorer.head_seed: [1, 2]
evaluation:
  sets: [{split: test}]
  depths: [10]
  measures: [nDCG@10]
"""


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    """An empty workspace beside the small study."""
    (tmp_path / "study.yaml").write_text(STUDY)
    return Workspace(tmp_path / "workspace")


def plan_of(workspace: Workspace, *overrides: str) -> Plan:
    """The plan of the small study, changed, in its workspace."""
    return planned(Study.load(workspace.path.parent / "study.yaml", overrides), workspace)


@dataclasses.dataclass(frozen=True)
class TrainedStudy:
    """The plan of the study, and the learners of seed 1; those of seed 2 were never started."""

    workspace: Workspace
    plan: Plan

    def job(self, loss: str, seed: str = "1") -> PlannedJob:
        """The learner at a place of the grid."""
        (found,) = [job for job in self.plan.jobs if job.coordinates == {"loss": loss, "seed": seed} and _learns(job)]
        return found

    def task(self, loss: str) -> Learner:
        """A learner as its job saw it."""
        job = self.job(loss)
        return job.config.instance(DirectoryContext(job.folder))

    def documents(self) -> StoredDocuments:
        """The texts of the collection."""
        (store,) = [job for job in self.plan.jobs if job.kind == "store"]
        return StoredDocuments(store.folder / "store")

    def ledger(self, loss: str) -> dict[str, Any]:
        """The ledger that a learner left."""
        return json.loads((self.job(loss).folder / "ledger.json").read_text())


@pytest.fixture(scope="session")
def trained_study(tmp_path_factory) -> TrainedStudy:
    """Made once. Read it; to change it, copy its workspace."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "study.yaml").write_text(STUDY)
    workspace = Workspace(folder / "workspace")
    plan = planned(Study.load(folder / "study.yaml"), workspace)
    plan.write(workspace)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for job in plan.jobs:
        if job.kind in ABOVE_LEARNERS or (_learns(job) and job.coordinates["seed"] == "1"):
            run_as_job(job)
    torch.set_num_threads(threads)
    return TrainedStudy(workspace, plan)


def _learns(job: PlannedJob) -> bool:
    return job.kind == "learn"


def run_as_job(job: PlannedJob) -> None:
    """Execute a planned task in its folder, beside the params.json that experimaestro writes for a job."""
    job.folder.mkdir(parents=True)
    objects = job.config.__xpm__.__get_objects__([], SerializationContext())
    (job.folder / "params.json").write_text(json.dumps({"objects": objects}))
    job.config.instance(DirectoryContext(job.folder)).execute()
