"""How a label contract comes about from what sites tell, and what is said when it changes."""

import json
from pathlib import Path

import pytest

from fedner.cli import main
from fedner.data.labels import EntityType, LabelContract, read_contract, write_contract
from fedner.data.negotiation import ReportedType, Statement, changes, extends, propose, read_statement
from fedner.errors import LabelError

NORTH = Statement("north", (ReportedType("DRUG", "Name of a medicine", 812), ReportedType("DOSE", "Amount and unit")))
SOUTH = Statement("south", (ReportedType("DRUG", "Name of a medicine."), ReportedType("DATE", "Calendar date", 40)))
OLD = LabelContract("letters", 3, (EntityType("DRUG", "Name of a medicine"), EntityType("WARD", "A ward")))


def kinds(*statements: Statement, base: LabelContract | None = None) -> set[tuple[str, str]]:
    found = propose(statements, "letters", base)
    return {(each.kind, each.sentence.partition(":")[0].partition(" ")[0]) for each in found.conflicts}


def test_a_draft_is_the_union_of_the_types_most_widely_known_first_whatever_the_order_of_the_files():
    found = propose([SOUTH, NORTH], "letters")
    assert found == propose([NORTH, SOUTH], "letters")
    assert found.contract.type_names == ("DRUG", "DATE", "DOSE")
    assert (found.contract.name, found.contract.version) == ("letters", 1)
    assert found.sites == {"DRUG": {"north": 812, "south": None}, "DATE": {"south": 40}, "DOSE": {"north": None}}


def test_a_draft_that_grows_keeps_the_tag_ids_of_the_contract_so_far_and_raises_its_version():
    grown = propose([NORTH, SOUTH], "ignored", OLD).contract
    assert grown.type_names == ("DRUG", "WARD", "DATE", "DOSE")
    assert (grown.name, grown.version) == ("letters", 4)
    assert {tag: grown.tag_ids[tag] for tag in OLD.tags} == OLD.tag_ids
    assert propose([Statement("north", (ReportedType("WARD"),))], "ignored", OLD).contract == OLD


def test_one_name_with_two_meanings_is_brought_up_and_a_full_stop_is_no_other_meaning():
    other = Statement("south", (ReportedType("DRUG", "Illegal substance"),))
    assert ("meaning", "DRUG") in kinds(NORTH, other)
    assert ("meaning", "DRUG") not in kinds(NORTH, SOUTH)


@pytest.mark.parametrize("name", ["DRUGS", "Drug"])
def test_nearly_the_same_names_are_brought_up_and_not_merged(name: str):
    other = Statement("south", (ReportedType(name, "Whatever"),))
    assert ("names", "DRUG") in kinds(NORTH, other) or ("names", name) in kinds(NORTH, other)
    assert set(propose([NORTH, other], "x").contract.type_names) == {"DRUG", "DOSE", name}


def test_two_names_for_one_meaning_are_brought_up():
    other = Statement("south", (ReportedType("MEDICATION", "Names of a medicine"),))
    assert ("same-meaning", "DRUG") in kinds(NORTH, other)
    assert not {kind for kind, _ in kinds(NORTH, SOUTH)} & {"same-meaning", "names"}


def test_a_type_without_meaning_of_one_site_or_of_nobody_is_brought_up():
    found = kinds(NORTH, SOUTH, Statement("west", (ReportedType("AGE"),)), base=OLD)
    assert {("no-meaning", "AGE"), ("alone", "AGE"), ("alone", "DOSE"), ("nobody", "WARD")} <= found
    assert ("alone", "DRUG") not in found


def test_a_site_that_tells_twice_is_refused():
    with pytest.raises(LabelError, match="two of one among north, north"):
        propose([NORTH, NORTH], "letters")


def test_statements_are_read_in_each_form(tmp_path: Path):
    path = tmp_path / "north.yaml"
    path.write_text("site: north\ntypes:\n  DRUG: {meaning: A medicine, count: 3}\n  DOSE: Amount\n  DATE:\n")
    types = (ReportedType("DRUG", "A medicine", 3), ReportedType("DOSE", "Amount"), ReportedType("DATE"))
    assert read_statement(path) == Statement("north", types)
    path.write_text("site: north\ntypes: [DRUG, DOSE]\n")
    assert read_statement(path) == Statement("north", (ReportedType("DRUG"), ReportedType("DOSE")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("types: [DRUG]", "site: expected this key, got none"),
        ("site: north\ntypes: {DRUG: {count: many}}", "types.DRUG.count: expected a whole number, got 'many'"),
        ("site: north\ntypes: {DRUG: {counts: 3}}", "types.DRUG.counts: no such key .did you mean 'count'"),
        ("site: north\ntypes: {DRUG: {count: -1}}", "types.DRUG.count: expected a number of entities, got -1"),
        ("site: north\ntypes: {DRUG: [a medicine]}", "types.DRUG.meaning: expected text .*, got a list"),
        ("site: north\ntypes: [[DRUG]]", "types: expected keys and values, got a list"),
        ("site: ''\ntypes: [DRUG]", "site: expected the site's name, got ''"),
        ("site: north\ntypes: {NO: x, PER: y}", "types: YAML reads False as bool; put the name in quotes"),
        ("site: [", "expected a site's list of its types in YAML"),
        ("site: north\nsite: south\ntypes: [DRUG]", "'site' is given twice"),
    ],
)
def test_a_statement_that_is_none_is_refused_with_its_file(tmp_path: Path, text: str, message: str):
    path = tmp_path / "north.yaml"
    path.write_text(text)
    with pytest.raises(LabelError, match=f"north.yaml: .*{message}"):
        read_statement(path)


def test_changes_say_what_became_of_each_type_and_of_models():
    types = (EntityType("DRUG", "A medicine"), EntityType("WARD", "A ward"), EntityType("DATE", "A day"))
    lines = changes(OLD, LabelContract("letters", 4, types))
    assert lines[:3] == [
        "version: 3 -> 4",
        "added: DATE: 'A day'",
        "meaning of DRUG: 'Name of a medicine' -> 'A medicine'",
    ]
    assert "head grown" in lines[3]
    assert changes(OLD, OLD) == []


def test_tag_ids_that_change_cost_a_model_its_head():
    other = LabelContract("letters", 3, (EntityType("WARD", "A ward"), EntityType("DRUG", "Name of a medicine")))
    lines = changes(OLD, other)
    assert lines[0] == "order of types: DRUG, WARD -> WARD, DRUG"
    assert "raise it" in lines[1]
    assert "loses its head" in lines[2]
    assert not extends(other, OLD)


def test_the_verbs_write_a_draft_and_tell_a_difference(tmp_path: Path, capsys):
    (tmp_path / "north.yaml").write_text("site: north\ntypes: {DRUG: A medicine, AGE: Years}\n")
    write_contract(OLD, tmp_path / "old.yaml")
    draft = ["contract", "propose", str(tmp_path / "north.yaml"), "--base", str(tmp_path / "old.yaml")]
    assert main([*draft, "--out", str(tmp_path / "new.yaml")]) == 0
    assert "nobody: WARD" in capsys.readouterr().out
    assert read_contract(tmp_path / "new.yaml").type_names == ("DRUG", "WARD", "AGE")
    assert main([*draft, "--out", str(tmp_path / "new.yaml")]) == 2
    assert main(["contract", "diff", str(tmp_path / "old.yaml"), str(tmp_path / "new.yaml"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["equal"], found["extends"], found["changes"][1]) == (False, True, "added: AGE: 'Years'")
