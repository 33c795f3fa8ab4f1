"""What is exported, what is refused, and what goes to the hub."""

import contextlib
import http.server
import json
import shutil
import signal
import threading
from pathlib import Path

import pytest
import torch
import yaml
from learners import learner, make_world, tiny, validation
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForSequenceClassification

from xpm_ce.errors import ConfigurationError, DataError
from xpm_ce.learn.loop import train
from xpm_ce.publish import hub
from xpm_ce.publish.card import Card, Training
from xpm_ce.publish.evidence import EvaluationRow
from xpm_ce.publish.export import Naming, export
from xpm_ce.publish.history import History
from xpm_ce.publish.parity import LibraryParity, ParityReport
from xpm_ce.publish.source import Source, find_source
from xpm_ce.scorers.cross_encoder import CrossEncoder
from xpm_ce.scorers.loading import load
from xpm_ce.workspace import Workspace

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A folder with a small cross-encoder."""
    world = make_world(tmp_path_factory.mktemp("world"))
    scorer = CrossEncoder.C(backbone=tiny(world), max_length=32, max_query_length=8).instance().build().eval()
    scorer.save(world / "model")
    return world / "model"


@pytest.fixture
def copy(model, tmp_path) -> Path:
    return shutil.copytree(model, tmp_path / "copy")


def exported(folder: Path, to: Path):
    return export(Source(folder), to, Naming("mine"))


# -- damaged and incomplete folders ---------------------------------------------------------------------------------


def cut_weights(folder):
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])


def without_head(folder):
    encoder = AutoModel.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    encoder.save_pretrained(folder)


def with_two_outputs(folder):
    options = {"num_labels": 2, "ignore_mismatched_sizes": True}
    AutoModelForSequenceClassification.from_pretrained(folder, **options).save_pretrained(folder)


def without_a_shard(folder):
    classifier = AutoModelForSequenceClassification.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    classifier.save_pretrained(folder, max_shard_size="20KB")
    sorted(folder.glob("model-*"))[0].unlink()


def of_another_width(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": config["vocab_size"] - 5}))


def diverged(folder):
    weights = load_file(folder / "model.safetensors")
    weights["classifier.bias"][:] = torch.nan
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


DAMAGES = {
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), r"it lacks weights \(model\.safetensors\)"),
    "half of the weights": (cut_weights, r"the weights of this model cannot be read \(SafetensorError"),
    "a shard missing": (without_a_shard, r"it lacks model-00001-of-0000\d\.safetensors"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), r"it lacks a tokenizer"),
    "half a tokenizer": (
        lambda folder: (folder / "tokenizer.json").write_text('{"version": "1.0", "model":'),
        r"the tokenizer of this model cannot be read",
    ),
    "another tokenizer's JSON": (
        lambda folder: (folder / "tokenizer.json").write_text('{"version": "1.0"}'),
        r"the tokenizer of this model cannot be read",
    ),
    "no config": (lambda folder: (folder / "config.json").unlink(), r"config\.json"),
    "no head": (without_head, r"no head that scores: classifier\.bias, classifier\.weight are missing"),
    "two outputs": (with_two_outputs, r"another shape than a model with one output has: classifier\.bias"),
    "another vocabulary": (of_another_width, r"1 weights have another shape than config\.json says"),
    "not a number": (diverged, r"200 of 200 scores are not finite"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_incomplete_folder_is_refused_and_nothing_is_left(damage, copy, tmp_path):
    harm, message = DAMAGES[damage]
    harm(copy)
    with pytest.raises(DataError, match=message) as raised:
        export(find_source(Workspace(tmp_path), str(copy)), tmp_path / "out", Naming("mine"))
    assert raised.value.remedy
    assert [each.name for each in tmp_path.iterdir()] == ["copy"]


def test_a_folder_that_holds_something_is_not_replaced(model, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigurationError, match="there is something here already"):
        exported(model, tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    (tmp_path / "empty").mkdir()
    assert (exported(model, tmp_path / "empty").folder / "README.md").exists()


def test_an_export_that_is_interrupted_leaves_no_folder(model, tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            exported(model, tmp_path / "out")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert not list(tmp_path.iterdir())


def test_an_export_can_be_exported_again(model, tmp_path):
    once = exported(model, tmp_path / "once")
    twice = exported(once.folder, tmp_path / "twice")
    for name in ("model.safetensors", "config.json", "tokenizer.json", "xpm_ce.json"):
        assert (once.folder / name).read_bytes() == (twice.folder / name).read_bytes()
    pairs = [("kara lose", "good mira"), ("a", "b")]
    assert load(twice.folder).predict(pairs).tolist() == load(model).predict(pairs).tolist()


# -- learners -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """The folder of a learner's job whose best checkpoint may be another than its last."""
    world = make_world(tmp_path_factory.mktemp("world"))
    folder = world / "jobs" / "xpm_ce.learn.learner" / ("ab" * 32)
    task = learner(world, folder, steps=4, validation=validation(world, sets=1))
    train(task)
    objects = [{"id": 1, "type": "Learner", "identifier": "ab" * 32, "fields": {}}]
    (folder / "params.json").write_text(json.dumps({"objects": objects}))
    return folder


def test_a_rule_chooses_between_the_checkpoints_of_a_learner(trained):
    workspace = Workspace(trained.parents[2])
    for rule, name in (("last", "checkpoint"), ("best", "best")):
        source = find_source(workspace, "abab", rule=rule)
        assert (source.folder, source.rule) == (trained / name, rule)
        assert source.step == json.loads((trained / "kept.json").read_text())[rule]["step"]
        by_folder = find_source(Workspace(Path("/nowhere")), str(trained / name))
        assert by_folder.learner is not None
        assert (by_folder.folder, by_folder.rule, by_folder.step) == (source.folder, rule, source.step)
    assert find_source(workspace, str(trained)).rule == "last"


def test_a_rule_that_does_not_fit_is_refused(trained, model, tmp_path):
    with pytest.raises(ConfigurationError, match="is the checkpoint by rule last, not best"):
        find_source(Workspace(tmp_path), str(trained / "checkpoint"), rule="best")
    with pytest.raises(ConfigurationError, match="a rule chooses between the checkpoints of a learner"):
        find_source(Workspace(tmp_path), str(model), rule="best")
    copy = shutil.copytree(trained, tmp_path / "jobs" / trained.parent.name / trained.name)
    kept = json.loads((copy / "kept.json").read_text())
    (copy / "kept.json").write_text(json.dumps({name: value for name, value in kept.items() if name != "best"}))
    with pytest.raises(ConfigurationError, match="kept nothing by rule best"):
        find_source(Workspace(tmp_path), "abab", rule="best")
    (copy / "kept.json").unlink()
    with pytest.raises(ConfigurationError, match="has not ended"):
        find_source(Workspace(tmp_path), "abab")


def test_a_checkpoint_that_is_not_what_the_training_wrote_is_refused(trained, tmp_path):
    copy = shutil.copytree(trained, tmp_path / "jobs" / trained.parent.name / trained.name)
    with open(copy / "checkpoint" / "model.safetensors", "r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\x01")
    with pytest.raises(DataError, match=r"model\.safetensors of this checkpoint is not what the training wrote"):
        find_source(Workspace(tmp_path), "abab")
    (copy / "checkpoint" / "model.safetensors").unlink()
    with pytest.raises(DataError, match=r"model\.safetensors of this checkpoint is missing"):
        find_source(Workspace(tmp_path), "abab")


def test_a_folder_without_a_model_is_not_taken_for_an_identity(tmp_path):
    (tmp_path / "abab").mkdir()
    with pytest.raises(DataError, match=r"no model is here: config\.json is missing"):
        find_source(Workspace(tmp_path), str(tmp_path / "abab"))


# -- the card -------------------------------------------------------------------------------------------------------


def card(**changes) -> Card:
    environment = {"packages": {"torch": "2"}, "processor": "any"}
    report = ParityReport(
        200, 50, 3, (-1.0, 2.0),
        [LibraryParity("transformers", "5.1", 1.2e-7, 1.0), LibraryParity("sentence-transformers", None)], environment,
    )  # fmt: skip
    row = EvaluationRow("study", "SciFact", "BM25", 100, "nDCG@10", 300, 0.7, 0.6, (0.7, 0.72), (0.66, 0.74))
    values = {
        "name": "me/mine", "model_type": "bert", "parameters": 33_000_000, "max_length": 128, "max_query_length": 32,
        "shown": [1.0, 0.5, -2.0], "parity": report,
        "history": History("a/b", "c" * 40, "MIT", "InfoNCE", ("beir/scifact",), ("@misc{a}",)), "evaluation": [row],
        "training": Training("ab" * 32, "best", 40, "seed=1", {"steps": 50, "environment": environment}),
        "version": "9", "language": "en",
    }  # fmt: skip
    return Card(**{**values, **changes})


def front_matter(text: str) -> dict:
    return yaml.safe_load(text.split("---\n")[1])


def test_a_card_says_what_is_known():
    text = card().render()
    matter = front_matter(text)
    assert matter["base_model"] == "a/b"
    assert matter["license"] == "mit"
    assert matter["language"] == ["en"]
    assert matter["datasets"] == ["beir/scifact"]
    (result,) = matter["model-index"][0]["results"]
    assert result["metrics"] == [{"type": "nDCG@10", "value": 0.7, "name": "nDCG@10"}]
    assert "| SciFact | BM25 | 100 | nDCG@10 | 300 | 60.0 | 70.0 | 66.0 to 74.0 | 71.0 ± 1.4 (2 seeds) |" in text
    assert "200 pairs (50 random words of the vocabulary, the others the evaluation's own)" in text
    assert "| sentence-transformers | not installed at export: not compared | – | – |" in text
    assert "weights of the best validation (step 40)" in text
    assert "# [1.0, 0.5, -2.0]" in text


def test_a_card_leaves_out_what_is_not_known():
    text = card(history=History(), evaluation=[], training=None, language=None).render()
    assert not {"base_model", "license", "language", "datasets", "model-index"} & front_matter(text).keys()
    assert "No result of this model was there" in text
    assert "its history is not at hand" in text


# -- the hub --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def a_hub(*, refuses: bool = False):
    """A hub on this machine that takes one upload and remembers it: (address, requests)."""
    seen: list[tuple[str, bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            found = {"id": "me/mine", "sha": "0" * 40, "xetEnabled": False}
            self.answer({"error": "who are you?"} if refuses else found, status=401 if refuses else 200)

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen.append((self.path, body))
            if refuses:
                self.answer({"error": "who are you?"}, status=401)
            elif self.path.endswith("/preupload/main"):
                names = [file["path"] for file in json.loads(body)["files"]]
                self.answer(
                    {"files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]}
                )
            elif "/commit/" in self.path:
                self.answer({"commitUrl": "https://huggingface.co/me/mine/commit/1", "commitOid": "1" * 40})
            else:
                self.answer({"url": "https://huggingface.co/me/mine"})

        def answer(self, value, status=200):
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def small_folder(tmp_path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "README.md").write_text("# mine\n")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def pushed(folder, address, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    monkeypatch.setattr(
        "huggingface_hub.hf_api.HfApi.__init__.__defaults__", (address, None, "xpm-ce", None, None, None)
    )
    return hub.push(hub.prepared_upload(folder, "me/mine"), private=True)


def test_every_file_of_the_folder_goes_to_the_hub_in_one_commit(small_folder, monkeypatch):
    with a_hub() as (address, seen):
        assert pushed(small_folder, address, monkeypatch) == "https://huggingface.co/me/mine/commit/1"
    (created,) = [json.loads(body) for path, body in seen if path == "/api/repos/create"]
    assert created["visibility"] == "private"
    (commit,) = [body for path, body in seen if "/commit/" in path]
    lines = [json.loads(line) for line in commit.splitlines()]
    assert {line["value"]["path"] for line in lines if line["key"] == "file"} == {"README.md", "model.safetensors"}


def test_a_push_that_is_refused_says_how_to_log_in(small_folder, monkeypatch):
    with a_hub(refuses=True) as (address, _), pytest.raises(DataError, match="me/mine could not be pushed") as raised:
        pushed(small_folder, address, monkeypatch)
    assert "hf auth login" in raised.value.remedy


def test_what_is_no_repository_is_refused():
    with pytest.raises(ConfigurationError, match="is no repository of the hub"):
        hub.check_repository("mine")
