"""A site's own types under the contract: what the reader makes of the text, what is refused, and what a person sees."""

import json
from pathlib import Path

import pytest

from fedner.cli import main
from fedner.config.site import read_site
from fedner.data.labels import EntityType, LabelContract, write_contract
from fedner.data.mapping import read_site_shard
from fedner.errors import ConfigError, DataError, LabelError

CONTRACT = LabelContract("letters", 1, (EntityType("DRUG", "a medicine"), EntityType("DOSE"), EntityType("DATE")))
TEXT = "Aspirin B-MED\n100 B-STRENGTH\nmg I-STRENGTH\nBayer B-BRAND\nLtd I-BRAND\non O\nward B-WARD\nMonday B-DATE\n"
MAPPING = "map: {MED: DRUG, BRAND: DRUG, STRENGTH: DOSE, WARD: null}"
IOB2 = ("B-DRUG", "B-DOSE", "I-DOSE", "B-DRUG", "I-DRUG", "O", "O", "B-DATE")


def site_file(folder: Path, labels: str, text: str = TEXT) -> Path:
    (folder / "text").mkdir()
    for split in ("train", "dev", "test"):
        (folder / "text" / f"{split}.conll").write_text(text, encoding="utf-8")
    files = "".join(f"  {split}: [text/{split}.conll]\n" for split in ("train", "dev", "test"))
    place = folder / "site.yaml"
    place.write_text(f"site: north\ndata:\n{files}labels: {{{labels}}}\n", encoding="utf-8")
    write_contract(CONTRACT, folder / "labels.yaml")
    return place


def check(folder: Path, *more: str) -> int:
    return main(
        ["data", "check", "--contract", str(folder / "labels.yaml"), "--site", str(folder / "site.yaml"), *more]
    )


def test_types_are_renamed_merged_and_dropped_as_the_text_is_read(tmp_path: Path):
    shard = read_site_shard(read_site(site_file(tmp_path, MAPPING)), CONTRACT)
    for documents in (shard.train, shard.dev, shard.test):
        (sentence,) = documents[0].sentences
        assert sentence.tags == IOB2
        assert documents[0].unannotated == ()


def test_merged_entities_that_touch_stay_two(tmp_path: Path):
    place = site_file(tmp_path, "map: {MED: DRUG, BRAND: DRUG}", "Aspirin B-MED\nBayer B-BRAND\nLtd I-BRAND\n")
    shard = read_site_shard(read_site(place), CONTRACT)
    assert shard.train[0].sentences[0].tags == ("B-DRUG", "B-DRUG", "I-DRUG")


def test_names_with_blanks_can_be_mapped(tmp_path: Path):
    place = site_file(tmp_path, "map: {Name of drug: DRUG}", "Aspirin\tB-Name of drug\nfast\tI-Name of drug\n")
    shard = read_site_shard(read_site(place), CONTRACT)
    assert shard.train[0].sentences[0].tags == ("B-DRUG", "I-DRUG")


def test_unannotated_types_go_with_the_documents_of_each_split(tmp_path: Path):
    labels = "unannotated: [DATE, DOSE], unannotated_by_split: {test: [DATE]}"
    shard = read_site_shard(read_site(site_file(tmp_path, labels, "Aspirin B-DRUG\n")), CONTRACT)
    assert shard.unannotated("train") == shard.unannotated("dev") == ("DOSE", "DATE")
    assert shard.unannotated("test") == ("DATE",)


def test_a_type_without_a_place_is_refused_with_its_line_and_the_closest_name(tmp_path: Path):
    place = site_file(tmp_path, "map: {MEDS: DRUG, BRAND: DRUG, WARD: null}")
    with pytest.raises(LabelError) as refused:
        read_site_shard(read_site(place), CONTRACT)
    told = str(refused.value)
    assert f"{tmp_path / 'text' / 'train.conll'}:1: " in told
    assert "'MED'" in told
    assert "did you mean 'MEDS'?" in told
    assert "STRENGTH" in told
    assert "a line under labels.map of the site file" in told


def test_a_type_that_nobody_looked_for_may_not_stand_in_the_text(tmp_path: Path):
    place = site_file(tmp_path, "unannotated: [DATE]", "Aspirin B-DRUG\nMonday B-DATE\n")
    with pytest.raises(
        LabelError, match=r"train.conll:2: .*'DATE'.*labels.unannotated lists DATE, so take it out there"
    ):
        read_site_shard(read_site(place), CONTRACT)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("map: {MED: DRUGS}", r"labels.map.MED: .*\(DRUG, DOSE, DATE\), got 'DRUGS' \(did you mean 'DRUG'\?\)"),
        ("unannotated: [DATES]", r"labels.unannotated: .* got 'DATES' \(did you mean 'DATE'\?\)"),
        ("map: {MED: DRUG}, unannotated: [DRUG]", "DRUG is what labels.map makes of MED"),
    ],
)
def test_labels_that_do_not_fit_the_contract_are_refused(tmp_path: Path, labels: str, message: str):
    with pytest.raises(LabelError, match=message):
        read_site_shard(read_site(site_file(tmp_path, labels)), CONTRACT)


def test_a_split_that_there_is_not_is_refused(tmp_path: Path):
    with pytest.raises(
        ConfigError, match=r"labels.unannotated_by_split: expected one of train, dev, test, got 'tests'"
    ):
        read_site(site_file(tmp_path, "unannotated_by_split: {tests: [DATE]}"))


def test_the_check_shows_what_becomes_of_each_type_with_counts_and_examples(tmp_path: Path, capsys):
    site_file(tmp_path, MAPPING)
    assert check(tmp_path) == 0
    lines = [[cell.strip() for cell in line.strip("│").split("│")] for line in capsys.readouterr().out.splitlines()]
    assert ["BRAND", "DRUG", "1", "1", "1", "Bayer Ltd"] in lines
    assert ["WARD", "(dropped)", "1", "1", "1", "ward"] in lines
    assert ["DRUG", "2", "2", "2"] in lines


def test_its_json_has_the_counts_and_no_word_of_the_text(tmp_path: Path, capsys):
    site_file(tmp_path, "map: {MED: DRUG, BRAND: DRUG, STRENGTH: DOSE, WARD: null, UNIT: DOSE}")
    assert check(tmp_path, "--json") == 0
    out = capsys.readouterr().out
    assert "Bayer" not in out
    found = json.loads(out)
    drug = next(each for each in found["contract"] if each["name"] == "DRUG")
    assert drug["entities"] == {"train": 2, "dev": 2, "test": 2}
    assert found["warnings"] == ["labels.map names UNIT, which the files do not have"]


def test_the_check_reads_on_after_the_first_bad_file_and_ends_with_status_2(tmp_path: Path, capsys):
    site_file(tmp_path, "map: {MED: DRUG, BRAND: DRUG, WARD: null}")
    assert check(tmp_path) == 2
    out, told = capsys.readouterr()
    assert out == ""  # numbers would not be those of the text
    assert all(f"problem: {tmp_path / 'text' / split}.conll:2: " in told for split in ("train", "dev", "test"))


LETTER = "Aspirin now, Zocor later, no Xarelto.\n"
BRAT = (
    "T1\tMED 0 7\tAspirin\nT2\tMED 13 18\tZocor\nT3\tMED 29 36\tXarelto\nT4\tNOTE 0 36\n"
    "A1\tStatus T2 planned\nA2\tNegation T3\nA3\tStatus T1 taken\nA4\tSure T1\n"
)
BY_ATTRIBUTE = 'map: {MED: DRUG, "MED[Negation]": null, "MED[Status=planned]": DATE, NOTE: null}'


def annotated_site(folder: Path, labels: str, form: str) -> Path:
    place = site_file(folder, labels)
    place.write_text(place.read_text().replace(".conll]", "]" if form == "brat" else ".json]"))
    for split in ("train", "dev", "test"):
        if form == "brat":
            (folder / "text" / split).mkdir()
            (folder / "text" / split / "a.txt").write_text(LETTER)
            (folder / "text" / split / "a.ann").write_text(BRAT)
        else:
            rows = [(0, 7, {"Status": "taken", "Sure": "1"}), (13, 5, {"Status": "planned"}), (29, 7, {"Negation": ""})]
            found = [
                {"id": str(number), "infons": {"type": "MED", **infons}, "text": LETTER[start : start + length],
                 "locations": [{"offset": start, "length": length}]}
                for number, (start, length, infons) in enumerate(rows)
            ]  # fmt: skip
            passage = {"offset": 0, "text": LETTER, "annotations": found}
            document = {"id": "a", "passages": [passage]}
            (folder / "text" / f"{split}.json").write_text(json.dumps({"documents": [document]}))
    return place


@pytest.mark.parametrize("form", ["brat", "bioc"])
def test_attributes_tell_types_apart(tmp_path: Path, form: str):
    shard = read_site_shard(read_site(annotated_site(tmp_path, BY_ATTRIBUTE, form)), CONTRACT)
    (sentence,) = shard.train[0].sentences
    found = {word: tag for word, tag in zip(sentence.words, sentence.tags, strict=True) if tag != "O"}
    assert found == {"Aspirin": "B-DRUG", "Zocor": "B-DATE"}


def test_the_first_line_of_the_map_that_holds_decides(tmp_path: Path):
    both = BRAT + "A5\tNegation T2\n"
    place = annotated_site(tmp_path, BY_ATTRIBUTE, "brat")
    for split in ("train", "dev", "test"):
        (tmp_path / "text" / split / "a.ann").write_text(both)
    (sentence,) = read_site_shard(read_site(place), CONTRACT).train[0].sentences
    assert [tag for tag in sentence.tags if tag != "O"] == ["B-DRUG"]


def test_without_a_line_for_an_attribute_the_type_is_what_it_is_called(tmp_path: Path):
    shard = read_site_shard(read_site(annotated_site(tmp_path, "map: {MED: DRUG, NOTE: null}", "brat")), CONTRACT)
    assert [tag for tag in shard.train[0].sentences[0].tags if tag != "O"] == ["B-DRUG"] * 3


def test_a_type_that_is_dropped_stands_in_no_others_way_and_one_that_is_kept_does(tmp_path: Path):
    place = annotated_site(tmp_path, BY_ATTRIBUTE.replace("NOTE: null", "NOTE: DOSE"), "brat")
    with pytest.raises(DataError, match="overlaps"):
        read_site_shard(read_site(place), CONTRACT)


def test_the_check_counts_types_told_apart_and_says_what_was_ignored(tmp_path: Path, capsys):
    annotated_site(tmp_path, BY_ATTRIBUTE, "brat")
    assert check(tmp_path) == 0
    out = capsys.readouterr().out
    lines = [[cell.strip() for cell in line.strip("│").split("│")] for line in out.splitlines()]
    assert ["MED[Status=planned]", "DATE", "1", "1", "1", "Zocor"] in lines
    assert ["MED[Negation]", "(dropped)", "1", "1", "1", "Xarelto"] in lines
    assert f"as read: {tmp_path / 'text' / 'train'}: 1 attributes were ignored" in out.replace("\n", " ")
