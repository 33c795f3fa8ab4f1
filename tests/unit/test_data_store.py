"""The document store: what it gives back, what it refuses, and how much memory it takes."""

import tracemalloc

import pytest
from fixtures.in_process import InProcess, identity
from hypothesis import given, settings
from hypothesis import strategies as st

from xpm_ce.data.folder import FolderDocuments
from xpm_ce.data.judged import check_judged
from xpm_ce.data.parts import DocumentRecord
from xpm_ce.data.store import StoreDocuments
from xpm_ce.data.stored_documents import StoredDocuments, text_of, write_store
from xpm_ce.errors import ConfigurationError, DataError

USUAL = "{title} {text}"
RECORDS = [DocumentRecord("b", "Cats", "purr"), DocumentRecord("a", "", "bärk"), DocumentRecord("c", "", "")]


def stored(path, records=RECORDS, text=USUAL):
    write_store(path / "store", iter(records), text=text)
    return StoredDocuments(path / "store")


def test_rows_texts_and_ids_are_those_of_the_collection_in_its_order(tmp_path):
    store = stored(tmp_path)
    assert len(store) == 3
    assert list(store.ids) == ["b", "a", "c"]
    assert store.ids[1] == "a"
    assert store.ids[0:2] == ["b", "a"]
    assert [store.text(row) for row in range(3)] == ["Cats purr", "bärk", ""]
    assert store.row("a") == 1
    assert store.rows(["c", "b"]).tolist() == [2, 0]
    assert store.rows([]).tolist() == []
    assert "b" in store
    assert "z" not in store


def test_an_unknown_document_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match="1 of 2 documents are unknown, the first is zz"):
        stored(tmp_path).rows(["a", "zz"])


def test_an_id_that_only_begins_like_a_known_one_is_unknown(tmp_path):
    store = stored(tmp_path, [DocumentRecord("d1", "", "x")])
    assert "d10" not in store
    assert "d" not in store


ids = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=9).filter(
    lambda identifier: identifier.split() == [identifier]
)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(ids, st.text(st.characters(codec="utf-8"), max_size=30), min_size=1, max_size=20))
def test_any_text_comes_back_under_its_id(tmp_path_factory, texts):
    store = stored(tmp_path_factory.mktemp("store"), [DocumentRecord(i, "", text) for i, text in texts.items()])
    assert list(store.ids) == list(texts)
    for row, (identifier, text) in enumerate(texts.items()):
        assert store.row(identifier) == row
        assert store.text(row) == (text if text.strip() else "")


@pytest.mark.parametrize(
    ("format", "title", "text", "joined"),
    [
        (USUAL, "T", "x", "T x"),
        (USUAL, "", "x", "x"),
        (USUAL, " ", "x", "x"),
        (USUAL, "T", "", "T"),
        (USUAL, "", "", ""),
        ("{title}. {text}", "", "x", "x"),
        ("{text}", "T", "x", "x"),
        ("title: {title} text: {text}", "T", "x", "title: T text: x"),
        ("{text} ({title})", "", "x", "x)"),
    ],
)
def test_title_and_text_are_joined_as_the_format_says(format, title, text, joined):
    assert text_of(format)(DocumentRecord("d", title, text)) == joined


@pytest.mark.parametrize("format", ["{body}", "no placeholder", "{title", "{}", "{text:>9}"])
def test_another_placeholder_than_title_and_text_is_refused(format, tmp_path):
    documents = FolderDocuments.C(sha256="0", path=tmp_path)
    with pytest.raises(ConfigurationError, match="text format"):
        StoreDocuments.__validate__(StoreDocuments.C(documents=documents, text=format))


def test_the_text_format_is_part_of_the_identity(tmp_path):
    documents = FolderDocuments.C(sha256="0", path=tmp_path)
    plain = identity(StoreDocuments.C(documents=documents))
    assert identity(StoreDocuments.C(documents=documents, text=USUAL)) == plain
    assert identity(StoreDocuments.C(documents=documents, text="{text}")) != plain


def test_an_empty_corpus_an_id_twice_and_an_impossible_id_are_refused(tmp_path):
    with pytest.raises(DataError, match="holds no document"):
        stored(tmp_path, [])
    twice = [DocumentRecord(i, "", "") for i in "abcb"]
    with pytest.raises(DataError, match="document b stands twice, as number 2 and 4 of the collection"):
        stored(tmp_path, twice)
    with pytest.raises(DataError, match="document 1 has the id 'a b'"):
        stored(tmp_path, [DocumentRecord("a b", "", "")])
    assert not (tmp_path / "store").exists()


def test_a_damaged_store_is_refused_when_it_is_opened(tmp_path):
    stored(tmp_path)
    (tmp_path / "store" / "texts.bin").write_bytes(b"short")
    with pytest.raises(DataError, match="do not belong together"):
        StoredDocuments(tmp_path / "store")
    (tmp_path / "store" / "ids.npy").unlink()
    with pytest.raises(DataError, match="not a complete document store"):
        StoredDocuments(tmp_path / "store")


def test_the_job_stores_the_collection_and_gives_the_store(tmp_path):
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d1", "title": "Cats", "text": "purr"}\n')
    from xpm_ce.data.beir import content_sha256

    path = tmp_path / "corpus.jsonl"
    documents = FolderDocuments.C(sha256=content_sha256(path), path=path)
    store = InProcess(tmp_path / "workspace")(StoreDocuments.C(documents=documents)).instance().open()
    assert store.text(store.row("d1")) == "Cats purr"


def test_two_hundred_thousand_documents_are_stored_without_holding_their_texts(tmp_path):
    body = "word " * 60
    records = (DocumentRecord(f"d{number}", "", body + str(number)) for number in range(200_000))
    tracemalloc.start()
    write_store(tmp_path / "store", records, text=USUAL)
    _, written = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    store = StoredDocuments(tmp_path / "store")
    texts = [store.text(row) for row in store.rows([f"d{number}" for number in range(0, 200_000, 2_000)])]
    _, read = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert texts[3] == body + "6000"
    assert (tmp_path / "store" / "texts.bin").stat().st_size > 60_000_000
    # ids, offsets and orders are 200 000 numbers of 8 bytes each, some of them twice while they are sorted and saved
    assert written < 20_000_000
    assert read < 1_000_000


def test_judgements_of_unknown_documents_are_counted_or_refused(tmp_path):
    store = stored(tmp_path)
    qrels = {"q1": {"a": 1, "gone": 2}, "q2": {"lost": 0}}
    assert check_judged(qrels, store) == (2, 3, 2, 1)
    with pytest.raises(DataError, match="2 judged documents are not in the collection, the first is document gone of"):
        check_judged(qrels, store, policy="refuse")
    with pytest.raises(ConfigurationError, match="unknown policy"):
        check_judged(qrels, store, policy="ignore")
