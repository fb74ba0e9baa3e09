"""JSON documents of any layout, one at a time, each with the line it begins on; values that know where they stand.

One array, one object with an array in it, and one object a line all hold documents one after another, so that they are
read alike: the text is held in memory, the values are not.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from fedner.data.reading.lines import read_text
from fedner.data.reading.source import Place
from fedner.errors import DataError

_DECODER = json.JSONDecoder()
_BLANKS = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True, slots=True)
class Value:
    """A JSON value with its location; accessors raise if the type does not match."""

    value: object
    place: Place

    def wrong(self, wanted: str) -> DataError:
        """Return the refusal that says what was wanted here."""
        kinds = {dict: "an object", list: "a list", type(None): "null"}
        found = kinds.get(type(self.value)) or f"{self.value!r:.80}"
        return self.place.error(f"expected {wanted}, got {found}")

    def has(self, key: str) -> bool:
        """Return whether this is an object with something under `key`."""
        return isinstance(self.value, dict) and cast(Mapping[str, object], self.value).get(key) is not None

    def fields(self) -> Mapping[str, "Value"]:
        """Return the members of an object."""
        if not isinstance(self.value, dict):
            raise self.wrong("an object")
        pairs = cast(Mapping[str, object], self.value)
        return {key: Value(value, self.place.within(key)) for key, value in pairs.items()}

    def field(self, *names: str) -> "Value":
        """Return the member under the first of `names` that the object has."""
        if not isinstance(self.value, dict):
            raise self.wrong("an object")
        pairs = cast(Mapping[str, object], self.value)
        for name in names:
            if pairs.get(name) is not None:
                return Value(pairs[name], self.place.within(name))
        found = ", ".join(pairs)[:200] or "no keys"
        raise self.place.error(f"expected `{'` or `'.join(names)}`, got {found}")

    def items(self) -> Iterator["Value"]:
        """Yield the values of a list."""
        if not isinstance(self.value, list):
            raise self.wrong("a list")
        for index, value in enumerate(cast(Sequence[object], self.value)):
            yield Value(value, self.place.within(f"[{index}]"))

    def list_of(self, key: str) -> list["Value"]:
        """Return the list under `key`, empty if there is none."""
        return list(self.field(key).items()) if self.has(key) else []

    def text(self) -> str:
        """Return a string."""
        if not isinstance(self.value, str):
            raise self.wrong("text")
        return whole(self.value, self.place)

    def number(self) -> int:
        """Return a whole number."""
        if type(self.value) is not int:
            raise self.wrong("a whole number")
        return self.value

    def name(self) -> str:
        """Return a name: text that is not empty, or a whole number."""
        if type(self.value) is int:
            return str(self.value)
        if not isinstance(self.value, str) or not self.value:
            raise self.wrong("a name or a number")
        return whole(self.value, self.place)

    def scalars(self, leave_out: Sequence[str] = ()) -> dict[str, str]:
        """Return the members of an object that are text or numbers, as text: metadata."""
        return {
            whole(key, self.place): whole(str(field.value), field.place)
            for key, field in self.fields().items()
            if key not in leave_out and isinstance(field.value, str | int | float)
        }


def whole(text: str, place: Place) -> str:
    """Return text that can be written down, refusing half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise place.error(
            "expected text, got half of a surrogate pair (\\ud800 to \\udfff); write the character"
        ) from error
    return text


def read_values(path: str | Path, list_keys: Sequence[str] = (), encoding: str = "utf-8") -> Iterator[Value]:
    """Yield the documents: what arrays hold, what an object has under one of `list_keys`, or the value itself.

    Raises:
        DataError: as `read_text`; the text is not JSON, or holds no value.
    """
    scan = _Scan(str(path), read_text(path, encoding))
    if scan.peek() == "":
        raise DataError("expected JSON, got only blanks; is this the right file?", path)
    number = 0
    while scan.peek() != "":
        if scan.peek() == "[":
            yield from scan.elements("")
        elif list_keys and (key := scan.enter(list_keys)) is not None:
            yield from scan.elements(key)
            scan.leave()
        else:
            yield scan.value(f"[{number}]" if number else "")
        number += 1


class _Scan:
    """A position in the text; what lies ahead is decoded value by value."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.index = 0
        self._counted = 0
        self._line = 1

    @property
    def line(self) -> int:
        """The line of the position, from 1."""
        self._line += self.text.count("\n", self._counted, self.index)
        self._counted = self.index
        return self._line

    def peek(self) -> str:
        """Return the next character that is no blank, or nothing at the end."""
        self.index = cast("re.Match[str]", _BLANKS.match(self.text, self.index)).end()
        return self.text[self.index : self.index + 1]

    def wrong(self, reason: str) -> DataError:
        return DataError(f"expected JSON, got it invalid ({reason}); was the file cut off?", self.path, self.line)

    def value(self, inside: str) -> Value:
        """Decode the next value."""
        self.peek()
        place = Place(self.path, self.line, inside)
        try:
            found, self.index = cast(tuple[object, int], _DECODER.raw_decode(self.text, self.index))
        except RecursionError as error:
            raise place.error("expected JSON, got it nested too deeply") from error
        except json.JSONDecodeError as error:
            self.index = error.pos
            raise self.wrong(error.msg) from error
        except ValueError as error:  # a number with thousands of digits
            raise self.wrong(str(error)) from error
        return Value(found, place)

    def take(self, wanted: str) -> str:
        """Step over the next character, which must be one of `wanted`."""
        found = self.peek()
        if not found or found not in wanted:
            raise self.wrong(f"{' or '.join(map(repr, wanted))} missing")
        self.index += 1
        return found

    def elements(self, key: str) -> Iterator[Value]:
        """Yield the values of the array that begins here."""
        self.take("[")
        if self.peek() == "]":
            self.index += 1
            return
        number, end = 0, ","
        while end == ",":
            yield self.value(f"{key}[{number}]")
            number, end = number + 1, self.take(",]")

    def enter(self, list_keys: Sequence[str]) -> str | None:
        """Go to the array under one of the keys of the object that begins here; stay where there is none."""
        if self.peek() != "{":
            return None
        start = self.index, self.line
        self.index += 1
        while self.peek() == '"':
            key = self.value("").value
            self.take(":")
            if key in list_keys and self.peek() == "[":
                return str(key)
            self.value(str(key))
            if self.take(",}") == "}":
                break
        self.index, self._line = start
        self._counted = self.index
        return None

    def leave(self) -> None:
        """Step over what follows in the object whose array was read."""
        while self.take(",}") == ",":
            self.value("")
            self.take(":")
            self.value("")
