from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from fedner.config.checks import require
from fedner.config.typed import fits, read_typed, typed
from fedner.errors import ConfigError, LabelError


class Colour(StrEnum):
    red = "red"
    green = "green"


@dataclass(frozen=True, kw_only=True)
class Leaf:
    size: int = 1
    hue: Colour = Colour.red

    def __post_init__(self) -> None:
        require(self.size > 0, "size", "a number above 0", self.size)


@dataclass(frozen=True, kw_only=True)
class Tree:
    name: str
    height: float
    folder: Path = Path()
    leaves: tuple[Leaf, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    planted: datetime | None = None
    digest: Annotated[str, fits(lambda text: len(text) == 2, "2 letters")] | None = None
    scheme: Literal["A"] = "A"


def refusal(changes: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as refused:
        typed({"name": "oak", "height": 2} | changes, Tree, given={"folder": Path("/here")})
    return str(refused.value)


def test_every_kind_of_value_is_read_and_left_out_fields_take_their_defaults() -> None:
    planted = datetime(2026, 1, 31, tzinfo=UTC)
    plain = {
        "name": "oak",
        "height": 2,
        "leaves": [{"size": 3, "hue": "green"}, {}],
        "counts": {"a": 1},
        "planted": planted,
        "digest": "ab",
        "scheme": "A",
    }
    leaves = (Leaf(size=3, hue=Colour.green), Leaf())
    expected = Tree(name="oak", height=2.0, leaves=leaves, counts={"a": 1}, planted=planted, digest="ab")
    assert typed(plain, Tree) == expected
    assert typed({"name": "oak", "height": 2}, Tree) == Tree(name="oak", height=2.0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"nam": "oak"}, "nam: no such key (did you mean 'name'?); keys are name, height, leaves, counts, planted,"),
        ({"folder": "/there"}, "folder: no such key; keys are name,"),
        ({"leaves": [{}, {"hues": "red"}]}, "leaves[1].hues: no such key (did you mean 'hue'?); keys are size, hue"),
        ({"leaves": [{}, {"hue": "rd"}]}, "leaves[1].hue: expected one of red, green, got 'rd' (did you mean 'red'?)"),
        ({"leaves": [3]}, "leaves[0]: expected the keys size, hue, got 3"),
        ({"leaves": {"size": 1}}, "leaves: expected a list, got keys and values"),
        ({"leaves": {1, 2}}, "leaves: expected a list, got {1, 2}"),
        ({"leaves": [{"size": 0}]}, "size: expected a number above 0, got 0"),
        ({"leaves": [{"size": True}]}, "leaves[0].size: expected a whole number, got True"),
        ({"leaves": [{"size": 1.0}]}, "leaves[0].size: expected a whole number, got 1.0"),
        ({"counts": {"a": "1"}}, "counts.a: expected a whole number, got '1'"),
        ({"counts": {False: 1}}, "counts: YAML reads False as bool; put the name in quotes"),
        ({"counts": []}, "counts: expected keys and values, got a list"),
        ({"name": 7}, "name: expected text (in quotes, if it looks like a number), got 7"),
        ({"name": datetime(2026, 1, 1)}, "name: expected text (in quotes, if it looks like a number), got datetime"),
        ({"name": None}, "name: expected text (in quotes, if it looks like a number), got nothing"),
        ({"name": 10**100}, "…"),
        ({"height": "2"}, "height: expected a number, got '2'"),
        ({"height": True}, "height: expected a number, got True"),
        ({"planted": "tomorrow"}, "planted: expected a moment such as 2026-01-31 12:00:00+00:00, got 'tomorrow'"),
        ({"planted": datetime(2026, 1, 1)}, "planted: expected a moment such as"),
        ({"digest": "abc"}, "digest: expected 2 letters, got 'abc'"),
        ({"scheme": "B"}, "scheme: expected A, got 'B'"),
    ],
)
def test_an_ill_typed_value_is_refused_with_its_key(changes: dict[str, Any], said: str) -> None:
    assert said in refusal(changes)


def test_a_key_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^height: expected this key, got none$"):
        typed({"name": "oak"}, Tree)


@pytest.mark.parametrize("plain", [None, [], "text", 3])
def test_content_without_keys_is_refused_with_the_keys(plain: object) -> None:
    with pytest.raises(ConfigError, match=r"^file: expected the keys name, height, folder, leaves, "):
        typed(plain, Tree)


def test_a_file_of_aliases_within_aliases_is_refused_at_once_and_never_spelt_out(tmp_path: Path) -> None:
    path = tmp_path / "tree.yaml"
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))]
    path.write_text("\n".join([*lines, "name: *a59", "height: 1"]))
    with pytest.raises(ConfigError, match=r"tree\.yaml: a0: no such key; keys are"):
        read_typed(path, Tree, "a tree")
    path.write_text("height: 1\nname: &a [*a, *a]")
    with pytest.raises(ConfigError, match=r"tree\.yaml: name: expected text .*, got a list"):
        read_typed(path, Tree, "a tree")


def test_the_callers_kind_of_error_is_raised_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "tree.yaml"
    path.write_text("name: oak")
    with pytest.raises(LabelError, match=r"tree\.yaml: height: expected this key"):
        read_typed(path, Tree, "a tree", LabelError)
