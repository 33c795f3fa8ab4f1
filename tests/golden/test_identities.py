"""Identities that are checked in: one that changes throws away results of everybody who has some.

To accept a change on purpose: XPM_CE_UPDATE_GOLDEN=1 pytest tests/golden, and say why in the commit message.
"""

import importlib
import json
import os
import pkgutil
from pathlib import Path

import pytest
from experimaestro import Config, Task
from experimaestro.core.objects import ConfigMixin

import xpm_ce
from xpm_ce.data.datamaestro_source import Datamaestro
from xpm_ce.data.file_run import FileRun
from xpm_ce.data.folder import FolderDocuments, FolderQrels, FolderQueries
from xpm_ce.data.ir_datasets_source import IrDatasets
from xpm_ce.data.runs import ExternalRun
from xpm_ce.data.split import Fold, QueriesOfFold
from xpm_ce.data.store import DocumentStore
from xpm_ce.data.triples import TripleTrainingSet
from xpm_ce.evaluate.efficiency import Efficiency
from xpm_ce.experiment import Configuration, prepare
from xpm_ce.firststage.splade import SpladeEncoder, SpladeIndex, SpladePostings, SpladeRetrieve
from xpm_ce.graph.study import Study
from xpm_ce.learn.validation import Validation, ValidationSet
from xpm_ce.losses.adr_mse import AdrMse
from xpm_ce.losses.infonce import InfoNCE
from xpm_ce.samplers.groups import GroupSampler
from xpm_ce.samplers.triples import TripleSampler
from xpm_ce.scorers.backbones import HubBackbone, LocalBackbone, PackageBackbone
from xpm_ce.scorers.cross_encoder import CrossEncoder
from xpm_ce.scorers.models import Checkpoint, PretrainedModel
from xpm_ce.scorers.tokenizers import FolderTokenizer, HubTokenizer
from xpm_ce.tokens.store import TokeniseDocuments, TokenStore
from xpm_ce.workspace import Workspace

GOLDEN = Path(__file__).parent / "identities.json"
ROOT = Path(__file__).parents[2]
SHA = "ab" * 32

LOCAL = {"sha256": SHA, "path": Path("/anywhere")}
STORE = DocumentStore.C(path=Path("/anywhere"))
QUERIES = FolderQueries.C(**LOCAL, qrels_path=Path("/anywhere"))
VALIDATION_SET = ValidationSet.C(
    name="any", queries=QUERIES, qrels=FolderQrels.C(**LOCAL), run=ExternalRun.C(**LOCAL), store=STORE,
    tokens=TokenStore.C(path=Path("/anywhere")),
)  # fmt: skip
SPLADE = SpladeEncoder.C(backbone=LocalBackbone.C(**LOCAL))
SINGLE = {
    "a folder's documents": lambda: FolderDocuments.C(**LOCAL),
    "a folder's queries": lambda: FolderQueries.C(**LOCAL, qrels_path=Path("/anywhere")),
    "a folder's judgements": lambda: FolderQrels.C(**LOCAL),
    "an ir_datasets id": lambda: IrDatasets.C(id="beir/scifact"),
    "a datamaestro id": lambda: Datamaestro.C(id="org.beir.scifact"),
    "a run from elsewhere": lambda: ExternalRun.C(**LOCAL),
    "a hub backbone": lambda: HubBackbone.C(id="google/electra-base-discriminator", revision="0" * 40),
    "a local backbone": lambda: LocalBackbone.C(**LOCAL),
    "a package's backbone": lambda: PackageBackbone.C(package="x", sha256=SHA),
    "a cross-encoder": lambda: CrossEncoder.C(backbone=LocalBackbone.C(**LOCAL), max_length=128),
    "an existing model": lambda: PretrainedModel.C(backbone=LocalBackbone.C(**LOCAL), max_length=128),
    "timing an existing model": lambda: Efficiency.C(
        model=PretrainedModel.C(backbone=LocalBackbone.C(**LOCAL), max_length=128),
        run=ExternalRun.C(**LOCAL),
        queries=QUERIES,
        store=STORE,
        depth=100,
    ),
    "InfoNCE, defaults": lambda: InfoNCE.C(),
    "ADR-MSE, another temperature": lambda: AdrMse.C(temperature=0.5),
    "a group sampler": lambda: GroupSampler.C(queries=8, negatives=7),
    "a sampler with a budget": lambda: GroupSampler.C(documents_per_step=64, negatives=7),
    "a sampler of triples": lambda: TripleSampler.C(queries=32),
    "a published run": lambda: FileRun.C(published="colbertv2-500"),
    "a run file by its ranks": lambda: FileRun.C(**LOCAL),
    "triples of one's own": lambda: TripleTrainingSet.C(store=STORE, queries=QUERIES, **LOCAL),
    "queries of a fold": lambda: QueriesOfFold.C(queries=QUERIES, fold=Fold.C(folds=2, number=1, outside=True)),
    "a folder's tokenizer": lambda: FolderTokenizer.C(**LOCAL),
    "a hub tokenizer made to lower-case": lambda: HubTokenizer.C(id="a/b", revision="0" * 40, lower_case=True),
    "a token store": lambda: TokeniseDocuments.C(store=STORE, tokenizer=FolderTokenizer.C(**LOCAL)),
    "a validation": lambda: Validation.C(sets=[VALIDATION_SET], interval=100),
    "an index of SPLADE": lambda: SpladeIndex.C(store=STORE, encoder=SPLADE),
    "a retrieval with SPLADE": lambda: SpladeRetrieve.C(
        index=SpladePostings.C(store=STORE, encoder=SPLADE, path=Path("/anywhere")), queries=QUERIES
    ),
    "SPLADE's published weights": lambda: SpladeEncoder.C(),
    "the best checkpoint": lambda: Checkpoint.C(rule="best", path=Path("/anywhere")),
}


def identities(tmp_path: Path) -> dict[str, str]:
    """Every named case, and every job of the quickstart."""
    found = {name: make().__identifier__().all.hex() for name, make in SINGLE.items()}
    configuration = Configuration(Study.load(ROOT / "experiments" / "quickstart.yaml"))
    for job in prepare(configuration, Workspace(tmp_path)).plan.jobs:
        where = " ".join(f"{axis}={value}" for axis, value in job.coordinates.items())
        found[f"quickstart: {job.kind} {where}".strip()] = job.identity
    return found


def test_identities_are_the_golden_ones(tmp_path):
    found = identities(tmp_path)
    if os.environ.get("XPM_CE_UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
    golden = json.loads(GOLDEN.read_text())
    changed = sorted(name for name in golden.keys() & found.keys() if golden[name] != found[name])
    new, gone = sorted(found.keys() - golden.keys()), sorted(golden.keys() - found.keys())
    assert {"changed": changed, "new": new, "gone": gone} == {"changed": [], "new": [], "gone": []}


def our_configurations() -> list[type]:
    for module in pkgutil.walk_packages(xpm_ce.__path__, "xpm_ce."):
        importlib.import_module(module.name)

    def below(cls: type) -> set[type]:
        return {cls}.union(*(below(child) for child in cls.__subclasses__()))

    return sorted(
        (cls for cls in below(Config) if cls.__module__.startswith("xpm_ce.") and not issubclass(cls, ConfigMixin)),
        key=lambda cls: (cls.__module__, cls.__qualname__),
    )


@pytest.mark.parametrize("cls", our_configurations(), ids=lambda cls: cls.__qualname__)
def test_a_configuration_says_its_own_identifier_and_a_task_its_version(cls):
    assert cls.__dict__.get("__xpmid__", "").startswith("xpm_ce.")
    if issubclass(cls, Task) and "compute" in cls.__dict__ and cls.__module__ != "xpm_ce.jobs":
        version = cls.__getxpmtype__().arguments["version"]
        assert version.constant, f"{cls.__qualname__} needs `version: Constant[int] = 1`"


def test_no_two_configurations_share_an_identifier():
    names = [cls.__xpmid__.lower() for cls in our_configurations()]
    assert len(names) == len(set(names)) > 40


@pytest.mark.parametrize("cls", our_configurations(), ids=lambda cls: cls.__qualname__)
def test_every_argument_is_documented(cls):
    undocumented = [
        name
        for name, argument in cls.__getxpmtype__().arguments.items()
        if not (argument.help or "").strip() and not argument.constant
    ]
    assert not undocumented
