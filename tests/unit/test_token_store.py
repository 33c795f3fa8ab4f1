"""The token store: every document as its tokenizer reads it, once, and whole after any interruption."""

import json

import numpy as np
import pytest
from experimaestro.xpmutils import DirectoryContext
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from xpm_ce.data.parts import DocumentRecord
from xpm_ce.data.store import DocumentStore
from xpm_ce.data.stored_documents import write_store
from xpm_ce.errors import DataError
from xpm_ce.tokens.sequences import Ragged, Sequences, positions, starts_of
from xpm_ce.tokens.store import TokeniseDocuments, TokenStore
from xpm_ce.tokens.tokenising import DOCUMENTS_PER_BLOCK, tokenise
from xpm_ce.tokens.train_wordpiece import save_tokenizer, train_vocabulary, word_counts
from xpm_ce.tokens.wordpiece import TokenizerFolder

COUNT = 2 * DOCUMENTS_PER_BLOCK + 100


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    draw = np.random.default_rng(0)
    words = ["kara", "lose", "miti", "nura", "Äpfel", "[SEP]"]
    texts = [" ".join(draw.choice(words, size=draw.integers(0, 6))) for _ in range(COUNT)]
    records = (DocumentRecord(f"d{row}", "", text) for row, text in enumerate(texts))
    write_store(folder / "store", records, text="{title} {text}")
    save_tokenizer(folder / "tokenizer", train_vocabulary(word_counts(texts), size=60))
    return folder, texts


def job(world, folder):
    folder.mkdir(exist_ok=True)
    task = TokeniseDocuments.C(
        store=DocumentStore.C(path=world[0] / "store"), tokenizer=TokenizerFolder.C(path=world[0] / "tokenizer")
    )
    return task.instance(DirectoryContext(folder))


def test_every_document_has_the_ids_of_its_tokenizer(world, tmp_path):
    reported = []
    task = job(world, tmp_path)
    tokenise(task, progress=lambda share, words: reported.append(share))
    tokens = TokenStore.C(path=task.tokens).instance().open()
    tokenizer = AutoTokenizer.from_pretrained(world[0] / "tokenizer")
    assert len(tokens) == COUNT
    rows = [0, 1, 57, DOCUMENTS_PER_BLOCK - 1, DOCUMENTS_PER_BLOCK, COUNT - 1]
    expected = [tokenizer(world[1][row], add_special_tokens=False)["input_ids"] for row in rows]
    assert [tokens.text(row).tolist() for row in rows] == expected
    found = tokens.rows(np.array(rows))
    assert found.lengths.tolist() == [len(each) for each in expected]
    assert found.values[positions(found.starts, found.lengths)].tolist() == [i for each in expected for i in each]
    assert reported[-1] == 1.0
    assert len(reported) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["tokens"]


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_an_interrupted_job_goes_on_and_ends_with_the_same_files(blocks, world, tmp_path):
    class Interrupted(Exception):
        pass

    def stop(share, words):
        stop.blocks += 1
        if stop.blocks == blocks:
            raise Interrupted

    stop.blocks = 0
    whole, broken = job(world, tmp_path / "whole"), job(world, tmp_path / "broken")
    tokenise(whole)
    with pytest.raises(Interrupted):
        tokenise(broken, progress=stop)
    assert not broken.tokens.exists()
    with open(tmp_path / "broken" / "tokens.partial" / "ids.bin", "ab") as stream:
        stream.write(b"half a block")  # what a kill leaves behind
    reported = []
    tokenise(broken, progress=lambda share, words: reported.append(share))
    assert len(reported) == 3 - blocks
    for name in ("ids.bin", "offsets.npy", "tokens.json"):
        assert (broken.tokens / name).read_bytes() == (whole.tokens / name).read_bytes()


@pytest.mark.parametrize("name", ["ids.bin", "offsets.npy", "tokens.json"])
def test_an_incomplete_store_is_refused(name, world, tmp_path):
    task = job(world, tmp_path)
    tokenise(task)
    with open(task.tokens / name, "r+b") as stream:
        stream.truncate((task.tokens / name).stat().st_size - 2)
    with pytest.raises(DataError, match="not a complete token store"):
        TokenStore.C(path=task.tokens).instance().open()


def test_ids_take_two_bytes_where_the_vocabulary_allows_it(world, tmp_path):
    task = job(world, tmp_path)
    tokenise(task)
    description = json.loads((task.tokens / "tokens.json").read_text())
    assert description["type"] == "uint16"
    assert (task.tokens / "ids.bin").stat().st_size == 2 * description["tokens"]


LENGTHS = st.lists(st.integers(0, 9), min_size=1, max_size=12)


@given(LENGTHS, st.data())
@settings(deadline=None)
def test_taking_sequences_gives_their_tokens_in_the_order_asked_for(lengths, data):
    lengths = np.array(lengths, np.int64)
    ids = np.arange(lengths.sum(), dtype=np.int32)
    cut = np.zeros(len(lengths), bool)
    sequences = Sequences(ids, lengths, ids % 2, cut, cut)
    places = np.array(data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, max_size=8)))
    parts = np.split(ids, starts_of(lengths)[1:])
    taken = sequences.take(places)
    assert taken.ids.tolist() == np.concatenate([parts[place] for place in places]).tolist()
    assert taken.token_types.tolist() == (taken.ids % 2).tolist()
    again = Ragged.of(parts).take(places)
    assert again.values[positions(again.starts, again.lengths)].tolist() == taken.ids.tolist()
