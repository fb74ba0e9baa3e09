"""Overlap between sites: signatures against an oracle in plain Python, planted copies, files that others wrote."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from fedner.cli import main
from fedner.data.corpus import Document, Sentence
from fedner.data.labels import EntityType, LabelContract, write_contract
from fedner.data.overlap import (
    OverlapKey,
    find_overlap,
    look_up,
    make_key,
    read_findings,
    read_fingerprint,
    read_key,
    take_fingerprint,
    write_findings,
    write_fingerprint,
)
from fedner.data.overlap.signing import Signer
from fedner.errors import ConfigError, DataError

KEY = OverlapKey(bytes(range(32)))
OTHER_KEY = OverlapKey(bytes(32))
Words = tuple[str, ...]


def invented(name: str, num_words: int = 100) -> Words:
    return tuple(f"{name}-{position}" for position in range(num_words))


def edited(words: Words, count: int) -> Words:
    """The last words replaced: of 100 words and 98 shingles of three, `count` differ on either side."""
    return (*words[:-count], *(f"new-{number}" for number in range(count)))


def documents(**texts: Words) -> list[Document]:
    return [Document(name, (Sentence(words, ("O",) * len(words)),)) for name, words in texts.items()]


def similarity(one: bytes, other: bytes) -> float:
    return 1 - 2 * (int.from_bytes(one) ^ int.from_bytes(other)).bit_count() / 512


def by_the_book(words: Words, key: bytes, places: int) -> str:
    """The first bits of the signature again, in whole numbers of Python's own and no array."""
    shingles = {"\n".join(words[at : at + 3]).encode() for at in range(len(words) - 2)}
    hashes = [hashlib.blake2b(each, digest_size=8, key=key, person=b"fedner shingle").digest() for each in shingles]
    blocks = [hashlib.blake2b(bytes([number, 0]), key=key, person=b"fedner places").digest() for number in range(64)]
    bits = ""
    for place in range(places):
        pad = int.from_bytes(blocks[place // 8][place % 8 * 8 :][:8], "little")
        values: list[int] = []
        for each in hashes:
            value = int.from_bytes(each, "little") ^ pad
            value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
            value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
            values.append(value ^ value >> 31)
        bits += str(min(values) % 2)
    return bits


# The second has more shingles than are mixed at a time.
@pytest.mark.parametrize(("num_words", "places"), [(12, 512), (1100, 24)])
def test_a_signature_is_what_its_definition_says(num_words: int, places: int) -> None:
    words = invented("a", num_words)
    signature = f"{int.from_bytes(Signer(KEY).sign(words)):0512b}"
    assert signature[:places] == by_the_book(words, KEY.secret, places)


def test_similarity_is_estimated_within_its_standard_error() -> None:
    # 100 words, the last n replaced: (98 - n) / (98 + n). The mean of 60 estimates has an error of at most
    # sqrt((1 - J * J) / 512 / 60) = 0.0057 at J = 0, of which four allow for chance.
    signer = Signer(KEY)
    for count in (5, 20, 60):
        texts = [invented(f"t{number}") for number in range(60)]
        found = [similarity(signer.sign(each), signer.sign(edited(each, count))) for each in texts]
        assert np.mean(found) == pytest.approx((98 - count) / (98 + count), abs=0.023)


def test_one_text_under_two_keys_is_like_two_texts() -> None:
    words = invented("a")
    assert Signer(KEY).sign(words) == Signer(KEY).sign(words)
    # Standard error 0.044 where nothing is alike; six of them.
    assert abs(similarity(Signer(KEY).sign(words), Signer(OTHER_KEY).sign(words))) < 0.27
    assert KEY.id != OTHER_KEY.id
    assert KEY.secret.hex() not in repr(KEY)


def test_copies_planted_at_another_site_are_found_all_and_nothing_else() -> None:
    texts = {f"north-{number}": invented(f"north-{number}") for number in range(60)}
    others = {f"south-{number}": invented(f"south-{number}") for number in range(60)}
    names = Random(0).sample(sorted(texts), 9)
    exact, near, far = names[:3], names[3:6], names[6:]
    # Similarity 1, 93 / 103 = 0.90 and 68 / 128 = 0.53, eight standard errors below the threshold of 0.75.
    planted = {f"copy-{name}": texts[name] for name in exact}
    planted |= {f"copy-{name}": edited(texts[name], 5) for name in near}
    planted |= {f"copy-{name}": edited(texts[name], 30) for name in far}
    north = take_fingerprint("north", {"train": documents(**texts)}, KEY)
    south = take_fingerprint("south", {"test": documents(**others, **planted)}, KEY)
    overlap = find_overlap([north.fingerprint, south.fingerprint])
    assert set(look_up(overlap, "south", south.documents).to_leave_out) == {f"copy-{name}" for name in exact + near}
    own = look_up(overlap, "north", north.documents)
    assert {each.document.id for each in own.matches} == {*exact, *near}
    assert own.to_leave_out == ()  # a train document spoils no score of its own site
    assert {each.similarity for each in own.matches if each.document.id in exact} == {1.0}


def test_sites_in_another_order_give_the_same_findings_and_each_pair_both_ways() -> None:
    shared = invented("shared")
    taken = [
        take_fingerprint(site, {split: documents(x=edited(shared, count), y=invented(site))}, KEY).fingerprint
        for site, split, count in (("a", "train", 1), ("b", "dev", 4), ("c", "test", 7))
    ]
    found = find_overlap(taken)
    assert find_overlap(taken[::-1]) == found
    pairs = {(each.document, each.like): each.similarity for each in found.matches}
    assert len(pairs) == 6
    assert all(pairs[like, document] == value for (document, like), value in pairs.items())


def test_the_most_similar_document_of_each_split_is_named() -> None:
    text = invented("text")
    north = take_fingerprint("north", {"test": documents(x=text)}, KEY)
    others = documents(a=edited(text, 9), b=edited(text, 2), c=invented("c"))
    south = take_fingerprint("south", {"train": others, "dev": others[:1]}, KEY)
    overlap = find_overlap([north.fingerprint, south.fingerprint])
    likes = [each.like for each in overlap.matches if each.document.site == "north"]
    assert [(like.split, south.documents[like.reference].id) for like in likes] == [("train", "b"), ("dev", "a")]


def test_a_fingerprint_says_nothing_of_ids_order_or_words(tmp_path: Path) -> None:
    texts = {f"zz-{number}": invented(f"zz-{number}") for number in range(20)}
    taken = take_fingerprint("north", {"test": documents(**texts)}, KEY)
    write_fingerprint(taken.fingerprint, tmp_path / "north.json")
    written = (tmp_path / "north.json").read_text()
    assert "zz" not in written
    assert KEY.secret.hex() not in written
    references = list(json.loads(written)["documents"]["test"])
    assert references == sorted(references)
    assert [taken.documents[each].id for each in references] != list(texts)
    assert read_fingerprint(tmp_path / "north.json") == taken.fingerprint


def test_short_documents_are_left_out_and_counted() -> None:
    taken = take_fingerprint("north", {"train": documents(a=invented("a", 50), b=invented("b", 49))}, KEY)
    assert ([each.id for each in taken.documents.values()], taken.too_short) == (["a"], 1)
    with pytest.raises(DataError, match="expected documents of at least 101 words, got none"):
        take_fingerprint("north", {"train": documents(a=invented("a"))}, KEY, min_words=101)


def test_what_cannot_be_compared_is_refused_readably() -> None:
    def taken(site: str, key: OverlapKey) -> Any:
        return take_fingerprint(site, {"train": documents(a=invented("a"))}, key).fingerprint

    with pytest.raises(ConfigError, match=rf"made with one key, got key {KEY.id} at 'a' and {OTHER_KEY.id} at 'b'"):
        find_overlap([taken("a", KEY), taken("b", OTHER_KEY)])
    with pytest.raises(ConfigError, match="one fingerprint a site, got two of 'a'"):
        find_overlap([taken("a", KEY), taken("a", KEY)])
    with pytest.raises(ConfigError, match="two sites or more, got 1"):
        find_overlap([taken("a", KEY)])
    with pytest.raises(ConfigError, match=r"--threshold: expected a number from 0.3 to 1, got 0.1"):
        find_overlap([taken("a", KEY), taken("b", KEY)], 0.1)


def test_a_key_is_read_from_a_file_of_ones_own_only(tmp_path: Path) -> None:
    place = tmp_path / "overlap.key"
    made = make_key(place)
    assert (read_key(place), place.stat().st_mode & 0o777, len(made.secret)) == (made, 0o600, 32)
    with pytest.raises(ConfigError, match="a key is never overwritten"):
        make_key(place)
    place.chmod(0o640)
    with pytest.raises(ConfigError, match="only its owner can read; `chmod 600"):
        read_key(place)


@pytest.mark.parametrize("content", ["correct horse battery staple", "", "ab" * 31, "zz" * 32, "ab" * 40])
def test_what_is_no_key_is_refused_and_not_shown(tmp_path: Path, content: str) -> None:
    place = tmp_path / "overlap.key"
    place.write_text(content)
    place.chmod(0o600)
    with pytest.raises(ConfigError, match="expected the sites' shared key, 64 hexadecimal digits") as caught:
        read_key(place)
    assert not content or content not in str(caught.value)


REFERENCE, SIGNATURE = "0123456789abcdef", "ab" * 64


def plain_fingerprint() -> dict[str, Any]:
    return {
        "format": "fedner-fingerprint",
        "version": 1,
        "site": "north",
        "key_id": REFERENCE,
        "min_words": 50,
        "documents": {"train": {REFERENCE: SIGNATURE}, "dev": {}, "test": {}},
    }


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda plain: plain.update(format="other"), "format 'fedner-fingerprint'.*got format 'other'"),
        (lambda plain: plain.update(version=2), "version 1, got 2; use the fedner that wrote it"),
        (lambda plain: plain.pop("key_id"), "key_id: expected this key, got none"),
        (lambda plain: plain.update(version=True), "version 1, got True"),
        (lambda plain: plain.update({"a\x1b[2J": 1}), r"'a\\x1b\[2J': no such key"),
        (lambda plain: plain.update(secret="x"), "secret: no such key"),
        (lambda plain: plain.update(site="a\x1b[2J"), "a site's name of 1 to 100 characters"),
        (lambda plain: plain.update(site=7), "site: expected text .*, got 7"),
        (lambda plain: plain.update(key_id=REFERENCE.upper()), "key_id: expected 16 hexadecimal digits"),
        (lambda plain: plain.update(min_words="50"), "min_words: expected a whole number"),
        (lambda plain: plain["documents"].pop("dev"), "documents.dev: expected this key, got none"),
        (lambda plain: plain["documents"].update(dev=[]), "documents.dev: expected keys and values, got a list"),
        (lambda plain: plain["documents"]["dev"].update(x=SIGNATURE), "a reference of 16 hexadecimal digits"),
        (lambda plain: plain["documents"]["dev"].update({"0" * 16: "ab"}), "a signature of 128 hexadecimal digits"),
        (
            lambda plain: plain["documents"]["dev"].update({"0" * 16: None}),
            "dev.0{16}: expected text .*got nothing",
        ),
        (lambda plain: plain["documents"]["dev"].update({REFERENCE: SIGNATURE}), "got one in two splits"),
    ],
)
def test_a_fingerprint_that_is_not_as_agreed_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], told: str
) -> None:
    place = tmp_path / "north.json"
    place.write_text(json.dumps(plain_fingerprint()))
    read_fingerprint(place)
    plain = plain_fingerprint()
    change(plain)
    place.write_text(json.dumps(plain))
    with pytest.raises(DataError, match=told):
        read_fingerprint(place)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"[" * 100_000, b"7", b"{}\n{}", b"\xff\xfe", b"\x80\x04N."])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "north.json").write_bytes(content)
    with pytest.raises(DataError):
        read_fingerprint(tmp_path / "north.json")
    with pytest.raises(DataError):
        read_findings(tmp_path / "north.json")


def test_a_file_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "north.json").open("wb") as file:
        file.truncate(64 * 1024 * 1024 + 1)
    with pytest.raises(DataError, match="of at most 67,108,864 bytes, got 67,108,865"):
        read_fingerprint(tmp_path / "north.json")
    with pytest.raises(DataError, match="got no ordinary file"):
        read_fingerprint(tmp_path)


def test_findings_are_read_as_they_were_written_and_hold_only_what_they_may(tmp_path: Path) -> None:
    taken = [take_fingerprint(site, {"test": documents(x=invented("x"))}, KEY).fingerprint for site in ("a", "b")]
    found = find_overlap(taken)
    write_findings(found, tmp_path / "findings.json")
    assert read_findings(tmp_path / "findings.json") == found
    plain = json.loads((tmp_path / "findings.json").read_text())
    for change, told in (
        ({"similarity": 2}, "a number from 0 to 1"),
        ({"like": {}}, r"matches\[0\].like.site: expected this key, got none"),
        ({"document": {"site": "a", "split": "../x", "reference": REFERENCE}}, "one of train, dev, test"),
    ):
        changed = plain | {"matches": [plain["matches"][0] | change]}
        (tmp_path / "changed.json").write_text(json.dumps(changed))
        with pytest.raises(DataError, match=told):
            read_findings(tmp_path / "changed.json")


def test_findings_on_another_fingerprint_of_the_site_are_refused() -> None:
    def taken(site: str) -> Any:
        return take_fingerprint(site, {"test": documents(x=invented("x"))}, KEY)

    earlier, later, other = taken("a"), taken("a"), taken("b")
    found = find_overlap([earlier.fingerprint, other.fingerprint])
    with pytest.raises(DataError, match="a later or earlier fingerprint was compared"):
        look_up(found, "a", later.documents)
    with pytest.raises(DataError, match="expected findings on site 'c', got findings on a, b"):
        look_up(found, "c", {})


def write_site(folder: Path, name: str, policy: str, **texts: list[Words]) -> list[str]:
    folder = folder / name
    folder.mkdir()
    for split, members in texts.items():
        rows = ["-DOCSTART- O\n\n" + "".join(f"{word} O\n" for word in words) + "\n" for words in members]
        (folder / f"{split}.conll").write_text("".join(rows))
    files = ", ".join(f"{split}: [{split}.conll]" for split in texts)
    (folder / "site.yaml").write_text(f"site: {name}\ndata: {{{files}}}\npolicy: {{{policy}}}\n")
    write_contract(LabelContract("notes", 1, (EntityType("DRUG", ""),)), folder / "labels.yaml")
    return ["--contract", str(folder / "labels.yaml"), "--site", str(folder / "site.yaml")]


def test_two_sites_find_and_leave_out_what_the_other_trains_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shared, key = invented("shared"), tmp_path / "overlap.key"
    north = write_site(tmp_path, "north", "fingerprints: true", train=[invented("a"), shared], dev=[invented("b")],
                       test=[invented("c")])  # fmt: skip
    south = write_site(tmp_path, "south", "fingerprints: true", train=[invented("d")], dev=[invented("e")],
                       test=[invented("f"), edited(shared, 3)])  # fmt: skip
    assert main(["data", "fingerprint", "--new-key", str(key)]) == 0
    for name, site in (("north", north), ("south", south)):
        output = str(tmp_path / f"{name}.json")
        assert main(["data", "fingerprint", *site, "--key", str(key), "--output", output]) == 0
        assert (
            main(["data", "fingerprint", *site, "--key", str(key), "--output", output]) == 2
        )  # nothing is overwritten
    findings, excluded = tmp_path / "findings.json", tmp_path / "south" / "elsewhere.txt"
    fingerprints = [str(tmp_path / f"{name}.json") for name in ("north", "south")]
    assert main(["data", "overlap", *fingerprints, "--output", str(findings)]) == 0
    told = capsys.readouterr().out
    assert "south, test: not clean, 1 of 2 documents (50.0%) lie in another site's train" in told
    assert "north, test: clean, none of 1 documents" in told
    assert "shared" not in told + findings.read_text()
    kept = str(tmp_path / "south.documents.json")
    lookup = ["data", "lookup", str(findings), "--documents", kept, "--write-excluded", str(excluded)]
    assert main(lookup) == 0
    assert "south: 1 of its dev and test documents lie in another site's train" in capsys.readouterr().out
    # What was found is left out, and the rest is clean.
    site = tmp_path / "south" / "site.yaml"
    site.write_text(site.read_text().replace("data: {", "data: {exclude_documents: elsewhere.txt, "))
    again = str(tmp_path / "again.json")
    assert main(["data", "fingerprint", *south, "--key", str(key), "--output", again]) == 0
    capsys.readouterr()
    assert main(["data", "overlap", fingerprints[0], again, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["matches"], told["num_documents"]["south"]) == ([], {"train": 1, "dev": 1, "test": 1})


def test_without_the_policys_leave_no_fingerprint_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = write_site(tmp_path, "north", "", train=[invented("a")], dev=[invented("b")], test=[invented("c")])
    make_key(tmp_path / "overlap.key")
    output = tmp_path / "north.json"
    assert main(["data", "fingerprint", *site, "--key", str(tmp_path / "overlap.key"), "--output", str(output)]) == 1
    assert "policy.fingerprints is false" in capsys.readouterr().err
    assert not output.exists()


def test_the_sites_trail_tells_what_may_leave_and_without_it_nothing_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = write_site(tmp_path, "north", "fingerprints: true", train=[invented("a")], dev=[invented("b")],
                      test=[invented("c")])  # fmt: skip
    key, trail, output = make_key(tmp_path / "overlap.key"), tmp_path / "north" / "audit.jsonl", tmp_path / "north.json"
    ask = ["data", "fingerprint", *site, "--key", str(tmp_path / "overlap.key"), "--output"]
    assert main([*ask, str(output)]) == 0
    told = json.loads(trail.read_text().splitlines()[-1])
    assert (told["event"], told["file"], told["key"]) == ("fingerprinted", "north.json", key.id)
    assert told["documents"] == {"train": 1, "dev": 1, "test": 1}
    assert told["digest"] == hashlib.sha256(output.read_bytes()).hexdigest()
    assert main(["audit", "verify", str(trail)]) == 0

    trail.write_text(trail.read_text().replace('"train": 1', '"train": 9'))
    assert main([*ask, str(tmp_path / "again.json")]) == 1
    assert "audit" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.glob("again*")) == []


def test_the_key_cannot_be_given_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "fingerprint", "--key", "ab" * 32]) == 2
    assert "each with a file, or --new-key alone" in capsys.readouterr().err
