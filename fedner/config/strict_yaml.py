"""YAML written by hand or sent by another machine: no object tags, no key given twice, no giants."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any, cast

import yaml

from fedner.errors import ConfigError, InputError

LIMIT_BYTES = 1_000_000


def read_yaml(path: str | Path, what: str, refusal: type[InputError] = ConfigError) -> object:
    """Read one YAML document as plain values.

    Args:
        path: the file, in UTF-8.
        what: what the file is called in errors, such as "a site file".
        refusal: the error to raise.

    Raises:
        InputError: `refusal`: the file is missing, longer than `LIMIT_BYTES`, or no such YAML; the message names it.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(LIMIT_BYTES + 1)
        if len(content) > LIMIT_BYTES:
            raise refusal(f"{path}: expected {what} of at most {LIMIT_BYTES:,} bytes, got more")
        return yaml.load(content.decode("utf-8-sig"), Loader=_StrictLoader)  # a SafeLoader
    except FileNotFoundError as error:
        raise refusal(f"{path}: no such file; expected {what}") from error
    except OSError as error:
        raise refusal(f"{path}: expected {what}, cannot read it ({error.strerror})") from error
    # ValueError: bytes that are not UTF-8, and dates and numbers that YAML's own patterns let pass.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise refusal(f"{path}: expected {what} in YAML, got {' '.join(str(error).split())}") from error


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice, where YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Build one mapping."""
        seen: set[Hashable] = set()
        for name, _ in cast(list[tuple[yaml.Node, yaml.Node]], node.value):
            key = self.construct_object(name, deep=True)  # pyright: ignore[reportUnknownMemberType]
            if isinstance(key, Hashable):
                if key in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"{key!r} is given twice", name.start_mark)
                seen.add(key)
        return super().construct_mapping(node, deep)
