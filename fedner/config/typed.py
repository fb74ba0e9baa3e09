"""Plain values, from YAML or JSON that may come from another machine -> typed values, or an error that names the key.

The types are the dataclasses that the rest of the code uses. Pydantic compares; nothing is converted (no text becomes a
number, no date a text), no key may be unknown, and its errors are put into one sentence of ours.
"""

import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import yaml
from pydantic import AfterValidator, TypeAdapter
from pydantic_core import ErrorDetails, PydanticCustomError, SchemaValidator, ValidationError

from fedner.config.strict_yaml import read_yaml
from fedner.config.suggesting import suggestion
from fedner.errors import ConfigError, FednerError, InputError

T = TypeVar("T")

_STRICT = {"str", "int", "float", "bool", "datetime", "list", "dict"}
_NAMES: dict[object, str] = {
    str: "text (in quotes, if it looks like a number)",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    datetime: "a moment such as 2026-01-31 12:00:00+00:00",
    tuple: "a list",
}


def read_typed(
    path: str | Path,
    schema: type[T],
    what: str,
    refusal: type[InputError] = ConfigError,
    *,
    given: Mapping[str, object] | None = None,
    prepare: Callable[[object], object] | None = None,
) -> T:
    """Read a YAML file as a dataclass.

    Args:
        path: the file.
        schema: as in `typed`.
        what: what the file is called in errors.
        refusal: the error to raise.
        given: fields that the caller knows and the file must not hold.
        prepare: brings short forms of the content into the schema's; may raise `refusal`.

    Raises:
        InputError: `refusal`: the file is missing, too long or no such YAML, or as `typed`; the message names file and
            key.
    """
    plain = read_yaml(path, what, refusal)
    try:
        return typed(prepare(plain) if prepare else plain, schema, refusal, given)
    except refusal as error:
        raise refusal(f"{path}: {error}") from error


def write_plain(path: Path, content: Mapping[str, object], opening: str = "") -> None:
    """Write plain values as YAML, in the order given, after an opening comment."""
    text = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=1_000_000)
    comment = "".join(f"# {line}\n" for line in opening.splitlines())
    path.write_text(comment + text, encoding="utf-8")


def typed(
    plain: object,
    schema: type[T],
    refusal: Callable[[str], FednerError] = ConfigError,
    given: Mapping[str, object] | None = None,
    unknown: Literal["forbid", "ignore"] = "forbid",
    place: str = "",
) -> T:
    """Return plain values as a dataclass.

    Args:
        plain: texts, numbers, moments, lists and mappings.
        schema: a dataclass of texts, numbers, moments, enums, tuples, mappings and dataclasses of these.
        refusal: makes the error of a sentence.
        given: fields that the caller knows and `plain` must not hold.
        unknown: whether keys that the schema lacks are refused, or ignored as what a later version added.
        place: the key that `plain` stands under.

    Raises:
        FednerError: `refusal`: a key is unknown or missing, or a value is ill-typed; the message names the key.
        FednerError: as the dataclasses' own checks raise it.
    """
    known = given or {}
    if isinstance(plain, dict):
        for name in known:
            if name in plain:
                raise refusal(_unknown(name, name, schema, known))
        plain = {**cast(dict[object, object], plain), **known}
    try:
        return _validator(schema).validate_python(plain, extra=unknown)
    except ValidationError as error:
        found = error.errors(include_url=False)
        # A misspelt key is missing as well; the one that stands there says more.
        first = next((each for each in found if each["type"].startswith("unexpected")), found[0])
        raise refusal(_sentence(first, schema, known, place)) from error


def fits(check: Callable[[Any], object], wanted: str) -> AfterValidator:
    """Return a mark for `Annotated[…]`: the value must pass a check that the error words as `wanted`."""

    def validated(value: T) -> T:
        if not check(value):
            raise PydanticCustomError("unfit", wanted)  # pyright: ignore[reportArgumentType]
        return value

    return AfterValidator(validated)


@cache
def _validator(schema: type) -> SchemaValidator:
    return SchemaValidator(cast(Any, _strict(TypeAdapter(schema).core_schema)))


def _strict(part: Any) -> Any:
    """Return a schema of pydantic's with strict values; its own strict mode takes no mapping for a dataclass."""
    if isinstance(part, list):
        return [_strict(each) for each in cast(list[Any], part)]
    if not isinstance(part, dict):
        return part
    entries = {key: _strict(each) for key, each in cast(dict[str, Any], part).items()}
    if entries.get("type") in _STRICT:
        entries["strict"] = True
    if entries.get("type") == "datetime":
        entries["tz_constraint"] = "aware"
    if entries.get("type") == "tuple" and "variadic_item_index" in entries:  # a list and nothing else, no set
        items = {"type": "list", "items_schema": entries["items_schema"][0], "strict": True}
        return {"type": "function-after", "function": {"type": "no-info", "function": tuple}, "schema": items}
    return entries


def _sentence(error: ErrorDetails, schema: type, given: Mapping[str, object], inside: str) -> str:
    *parents, last = error["loc"] or (None,)
    found = shown(error["input"])
    if last == "[key]" and error["type"] == "unfit":
        return f"{_place(parents[:-1], inside)}: expected {error['msg']}, got {found}"
    if last == "[key]":
        kind = type(error["input"]).__name__
        return f"{_place(parents[:-1], inside)}: YAML reads {found} as {kind}; put the name in quotes"
    place = _place(error["loc"], inside) or "file"
    if error["type"].startswith("missing"):
        return f"{place}: expected this key, got none"
    if error["type"].startswith("unexpected"):
        return _unknown(place, str(last), _kind_at(schema, parents), given)
    if error["type"] in ("unfit", "value_error"):
        return f"{place}: expected {error['msg']}, got {found}"
    kind = _kind_at(schema, error["loc"])
    if _has_keys(kind):
        return f"{place}: expected the keys {', '.join(_keys(kind, given))}, got {found}"
    known = _choices(kind)
    if known:
        hint = suggestion(error["input"], known) if isinstance(error["input"], str) else ""
        return f"{place}: expected {'one of ' if len(known) > 1 else ''}{', '.join(known)}, got {found}{hint}"
    return f"{place}: expected {_NAMES.get(get_origin(kind) or kind, 'keys and values')}, got {found}"


def _unknown(place: str, name: str, kind: Any, given: Mapping[str, object]) -> str:
    known = _keys(kind, given)
    return f"{place}: no such key{suggestion(name, known)}; keys are {', '.join(known)}"


def _keys(kind: Any, given: Mapping[str, object]) -> list[str]:
    names = [entry.name for entry in fields(kind)] if is_dataclass(kind) else kind._fields
    return [name for name in names if name not in given]


def _has_keys(kind: Any) -> bool:
    return is_dataclass(kind) or hasattr(kind, "_fields")  # a NamedTuple, which is read from keys as well


def _choices(kind: Any) -> list[str]:
    if get_origin(kind) is Literal:
        return [str(each) for each in get_args(kind)]
    return [str(each) for each in kind] if isinstance(kind, type) and issubclass(kind, StrEnum) else []


def _kind_at(schema: Any, place: "list[int | str] | tuple[int | str, ...]") -> Any:
    """Return the type of what stands at a place, without None."""
    kind = schema
    for part in (*place, None):
        while get_origin(kind) in (Annotated, Union, types.UnionType):
            kind = next(each for each in get_args(kind) if each is not types.NoneType)
        if part is None:
            break
        if _has_keys(kind):
            hints = get_type_hints(kind, include_extras=True)
            kind = hints[part] if isinstance(part, str) else list(hints.values())[part]
        else:  # of a list the type of its items, of a mapping that of its values
            kind = next(each for each in reversed(get_args(kind)) if each is not ...)
    return kind


def _place(parts: "list[int | str] | tuple[int | str, ...]", inside: str) -> str:
    place = inside
    for part in parts:
        name = part if isinstance(part, int) or (part.isprintable() and len(part) <= 80) else shown(part)
        place += f"[{name}]" if isinstance(part, int) else f".{name}" if place else str(name)
    return place


def shown(plain: object) -> str:
    """Return a value as errors show it: of lists and mappings only the kind, since aliases can make them endless."""
    if isinstance(plain, dict | list | None):
        return "nothing" if plain is None else "a list" if isinstance(plain, list) else "keys and values"
    text = repr(plain)
    return text if len(text) <= 80 else f"{text[:77]}…"
