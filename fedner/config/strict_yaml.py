"""YAML as people write it by hand: no object tags, no key given twice."""

from collections.abc import Hashable
from typing import Any, cast

import yaml


class StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice, where YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Build one mapping."""
        pairs = cast(list[tuple[yaml.Node, yaml.Node]], node.value)
        keys: list[Hashable] = [self.construct_object(key, deep=True) for key, _ in pairs]  # pyright: ignore[reportUnknownMemberType]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)
