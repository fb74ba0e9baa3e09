import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from rich.console import Console

from fedner.cli.main import perform
from fedner.config import ContractConfig, SyntheticData
from fedner.data.auditing import AuditOptions, AuditReport, Place, audit
from fedner.data.auditing.duplicates import banding, find_duplicates
from fedner.data.corpus import Document, Sentence
from fedner.data.labels import EntityType, LabelContract
from fedner.data.loading import load_corpus
from fedner.errors import ConfigError
from fedner.report.text.audit import audit_lines, audit_tables

pytest.importorskip("datasketch")

CONTRACT = LabelContract("notes", 1, (EntityType("DRUG", ""), EntityType("DOSE", "")))
SYNTHETIC = ContractConfig(types={name: "" for name in ("PATIENT", "DRUG", "DOSE", "DATE", "HOSPITAL")})
OPTIONS = AuditOptions()


def sentence(text: str, **types: str) -> Sentence:
    """Single words as entities: sentence("take x", x="DRUG")."""
    words = tuple(text.split())
    return Sentence(words, tuple(f"B-{types[word]}" if word in types else "O" for word in words))


def document(name: str, *sentences: Sentence, unannotated: tuple[str, ...] = ()) -> Document:
    return Document(name, sentences, unannotated=unannotated)


def audited(
    contract: LabelContract = CONTRACT, options: AuditOptions = OPTIONS, **splits: list[Document]
) -> AuditReport:
    return audit("notes", contract, splits, options)


def invented(number: int, split: str, num_words: int = 100) -> Document:
    """Words that occur nowhere else, so that nothing is alike by chance."""
    words = [f"{split}-{number}-{position}" for position in range(num_words)]
    return document(f"{split}/{number}", *(sentence(" ".join(words[at : at + 20])) for at in range(0, num_words, 20)))


def with_last_words_changed(copied: Document, name: str, count: int) -> Document:
    last = copied.sentences[-1]
    words = (*last.words[:-count], *(f"{name}-{number}" for number in range(count)))
    return replace(copied, id=name, sentences=(*copied.sentences[:-1], replace(last, words=words)))


def planted() -> dict[str, list[Document]]:
    """100 train and 100 test documents of 100 words, of which 5 are copies, 5 nearly, and 5 too far from a copy.

    100 words have 98 shingles of three. With the last 5 words changed, 5 shingles differ on either side:
    93 / (93 + 5 + 5) = 0.903. With the last 20 changed, 20 differ: 78 / (78 + 20 + 20) = 0.661, below 0.8.
    """
    train = [invented(number, "train") for number in range(100)]
    test = [invented(number, "test") for number in range(85)]
    test += [replace(train[number], id=f"exact/{number}") for number in range(5)]
    test += [with_last_words_changed(train[number], f"near/{number}", 5) for number in range(5, 10)]
    test += [with_last_words_changed(train[number], f"far/{number}", 20) for number in range(10, 15)]
    return {"train": train, "test": test}


def test_planted_leaks_are_found_all_and_nothing_else() -> None:
    report = audited(**planted())
    found = set(report.leaked("test"))
    wanted = {f"exact/{number}" for number in range(5)} | {f"near/{number}" for number in range(5, 10)}
    recall, precision = len(found & wanted) / len(wanted), len(found & wanted) / len(found)
    assert (recall, precision) == (1.0, 1.0)
    similar = {each.place.document: (each.earlier.document, each.exact, each.similarity) for each in report.documents}
    assert similar["exact/3"] == ("train/3", True, 1.0)
    assert similar["near/7"] == ("train/7", False, pytest.approx(93 / 103))
    assert "test: not clean, 10 of 100 documents (10.0%)" in "\n".join(audit_lines(report))


def test_copies_planted_in_generated_notes_are_found() -> None:
    corpus = load_corpus(SyntheticData(contract=SYNTHETIC, train_documents=40, dev_documents=8, test_documents=20))
    copies = [replace(corpus.train[number], id=f"copy/{number}") for number in (1, 7, 33)]
    splits = {"train": list(corpus.train), "dev": list(corpus.dev), "test": [*corpus.test, *copies]}
    before = audited(corpus.contract, train=splits["train"], dev=splits["dev"], test=list(corpus.test))
    after = audited(corpus.contract, **splits)
    assert before.leaked("test") == ()
    assert set(after.leaked("test")) == {"copy/1", "copy/7", "copy/33"}


@pytest.mark.parametrize("threshold", [0.3, 0.6])
def test_candidates_lose_nothing_that_comparing_all_pairs_finds(threshold: float) -> None:
    corpus = load_corpus(SyntheticData(contract=SYNTHETIC, train_documents=20, dev_documents=4, test_documents=8))
    texts = [
        (Place("train", each.id, number), sentence.words)
        for each in corpus.train
        for number, sentence in enumerate(each.sentences)
    ]
    sets = [set(zip(words, words[1:], words[2:], strict=False)) or {words} for _, words in texts]
    later = {
        max(texts[i][0], texts[j][0], key=lambda place: place.rank)
        for i in range(len(texts))
        for j in range(i)
        if len(sets[i] & sets[j]) >= threshold * len(sets[i] | sets[j])
    }
    assert later
    assert {each.place for each in find_duplicates(texts, threshold, 3)} == later


def test_a_lower_threshold_finds_what_is_farther() -> None:
    report = audited(options=AuditOptions(threshold=0.6), **planted())
    assert len(report.leaked("test")) == 15


def test_the_order_of_documents_changes_nothing() -> None:
    corpus = load_corpus(SyntheticData(contract=SYNTHETIC, train_documents=12, dev_documents=4, test_documents=8))
    splits = {
        "train": list(corpus.train),
        "dev": [*corpus.dev, replace(corpus.train[2], id="copy/2")],
        "test": [*corpus.test, with_last_words_changed(corpus.train[3], "near/3", 1)],
    }
    options = AuditOptions(threshold=0.5, min_words=4, plain_share=0.0)
    wanted = audited(corpus.contract, options, **splits)
    assert wanted.documents
    assert wanted.sentences
    assert wanted.inconsistencies
    for seed in range(3):
        shuffled = {split: Random(seed).sample(members, len(members)) for split, members in splits.items()}
        assert audited(corpus.contract, options, **shuffled) == wanted


def test_a_phrase_that_stands_everywhere_is_named_once_a_split() -> None:
    phrase = sentence("no further steps are needed at this time .")
    splits = {
        split: [document(f"{split}{n}", phrase, sentence(f"x{split}{n}")) for n in range(3)]
        for split in ("train", "test")
    }
    found = [(each.place, each.earlier) for each in audited(**splits).sentences]
    # train1, train2 -> train0; test0 -> train0; test1, test2 -> train0 and test0
    assert len(found) == 2 + 1 + 2 * 2
    assert (Place("test", "test2", 0), Place("train", "train0", 0)) in found
    assert (Place("test", "test2", 0), Place("test", "test0", 0)) in found


def test_short_sentences_are_not_compared() -> None:
    short = sentence("no further steps")
    report = audited(train=[document("a", short, sentence("x"))], test=[document("b", short, sentence("y"))])
    assert report.sentences == ()


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.8, 0.95, 1.0])
def test_a_pair_at_the_threshold_is_missed_less_than_once_in_a_thousand(threshold: float) -> None:
    bands, rows = banding(threshold)
    assert bands >= 2
    assert bands * rows <= 128
    assert (1 - threshold**rows) ** bands <= 1e-3


def test_words_with_two_types_are_told_with_counts() -> None:
    train = [
        document("a", sentence("iron 5", iron="DRUG"), sentence("iron", iron="DOSE"), sentence("iron", iron="DRUG"))
    ]
    (found,) = audited(train=train).inconsistencies
    assert (found.words, dict(found.types), found.plain) == (("iron",), {"DRUG": 2, "DOSE": 1}, 0)
    assert found.first == {"DOSE": Place("train", "a", 1), "DRUG": Place("train", "a", 0)}


def test_words_left_plain_elsewhere_are_told_beyond_the_share() -> None:
    marked = [sentence("iron", iron="DRUG") for _ in range(8)]
    # 2 of 10 places are plain: a share of 0.2
    train = [document("a", *marked, sentence("iron pan"), sentence("an iron will"))]
    (found,) = audited(train=train, options=AuditOptions(plain_share=0.19)).inconsistencies
    assert (dict(found.types), found.plain, found.first["O"]) == ({"DRUG": 8}, 2, Place("train", "a", 8))
    assert audited(train=train, options=AuditOptions(plain_share=0.2)).inconsistencies == ()


def test_an_o_of_a_type_that_nobody_looked_for_is_no_inconsistency() -> None:
    marked = document("a", sentence("iron", iron="DRUG"), sentence("iron", iron="DRUG"))
    assert audited(train=[marked, document("b", sentence("iron"), unannotated=("DRUG",))]).inconsistencies == ()
    assert len(audited(train=[marked, document("b", sentence("iron"), unannotated=("DOSE",))]).inconsistencies) == 1


def test_rare_and_absent_types_are_named_by_split() -> None:
    train = [document("a", *(sentence("x", x="DRUG") for _ in range(10)))]
    test = [document("b", sentence("y 5", y="DRUG"), unannotated=("DOSE",))]
    found = {(each.split, each.type): each.entities for each in audited(train=train, test=test).scarce}
    assert found == {("train", "DOSE"): 0, ("test", "DRUG"): 1}


def test_a_sentence_far_longer_than_the_others_is_named() -> None:
    ordinary = [sentence(" ".join(["w"] * length)) for length in (2, 3, 4, 5)] * 5
    report = audited(train=[document("a", *ordinary, sentence(" ".join(["w"] * 40)))])
    # lengths 2 2 2 2 2 3 3 3 3 3 4 4 4 4 4 5 5 5 5 5 40: quartiles (6th and 16th of 21) 3 and 5, 5 + 3 * 2 = 11
    assert [(each.place, each.words, each.usual) for each in report.long] == [(Place("train", "a", 20), 40, 11)]


def test_json_holds_no_text_and_the_tables_do(capsys: pytest.CaptureFixture[str]) -> None:
    secret = sentence("zzsecret was given to zzperson in the zzward today", zzsecret="DRUG")
    other = sentence("zzsecret was given to zzperson in the zzward today", zzsecret="DOSE")
    report = audited(train=[document("a", secret)], test=[document("b", other)])
    written = json.dumps(report.to_json())
    assert report.inconsistencies
    assert report.documents
    assert "zz" not in written
    assert json.loads(written)["leaked"] == {"dev": [], "test": ["b"]}
    console = Console(width=200)
    for table in audit_tables(report):
        console.print(table)
    assert "zzsecret" in capsys.readouterr().out


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="--threshold: expected a number above 0"):
        AuditOptions(threshold=0.0)
    with pytest.raises(ConfigError, match="--min-words: expected a number from 1, got 0"):
        AuditOptions(min_words=0)


def test_texts_shorter_than_a_shingle_and_odd_characters_are_compared() -> None:
    texts = [(Place("train", "a"), ("ab", "\ud800")), (Place("dev", "b"), ("ab", "\ud800")), (Place("dev", "c"), ())]
    assert [(each.place.document, each.exact) for each in find_duplicates(texts, 0.8, 3)] == [("b", True)]


def test_the_verb_audits_a_configured_corpus(capsys: pytest.CaptureFixture[str]) -> None:
    overrides = ["data=synthetic", "data.train_documents=4", "data.dev_documents=4", "data.test_documents=4"]
    perform(["data", "audit", *overrides, "--rare", "1000", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["num_documents"] == {"train": 4, "dev": 4, "test": 4}
    # below 1000 entities are all five types in all three splits
    assert len(told["scarce_types"]) == 15


def test_what_the_audit_writes_down_is_left_out_and_the_rest_is_clean(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def rows(*texts: str) -> str:
        return "".join(f"-DOCSTART- O\n\n{''.join(f'{word} O{chr(10)}' for word in text.split())}\n" for text in texts)

    texts = {"train": ("a b c d", "e f g h"), "dev": ("i j k l",), "test": ("m n o p", "e f g h", "q r s t")}
    for split, content in texts.items():
        (tmp_path / f"{split}.conll").write_text(rows(*content))
    excluded = str(tmp_path / "leaked.txt")
    files = [f"data.{split}=[{tmp_path}/{split}.conll]" for split in texts]
    overrides = ["data=files", *files, "+data.contract.types.DRUG=medicine"]
    perform(["data", "audit", *overrides, "--json", "--write-excluded", excluded])
    (leaked,) = json.loads(capsys.readouterr().out)["leaked"]["test"]
    assert Path(excluded).read_text() == f"{leaked}\n"
    perform(["data", "audit", *overrides, f"data.exclude_documents={excluded}", "--json"])
    told = capsys.readouterr()
    again = json.loads(told.out)
    assert again["num_documents"] == {"train": 2, "dev": 1, "test": 2}
    assert again["leaked"] == {"dev": [], "test": []}
    assert "Documents left out by data.exclude_documents: 1 test." in told.err


def test_the_verb_wants_contract_and_site_together() -> None:
    with pytest.raises(ConfigError, match="expected both --contract FILE and --site FILE"):
        perform(["data", "audit", "--site", "site.yaml"])
