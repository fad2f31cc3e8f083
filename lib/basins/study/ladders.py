"""Ladders: recipes that differ from a study's first one in the same keys, rung by rung."""

from collections.abc import Mapping
from typing import Any

Keys = Mapping[str, Any]


def ladders(recipes: Mapping[str, Keys]) -> dict[str, list[str]]:
    """Return the recipes of each ladder, under the names of the keys that make it.

    A recipe that starts warm from another stands on the ladder after that one's.

    Parameters
    ----------
    recipes
        Every key of every recipe; the first is the foot of all ladders and stands on none.

    Examples
    --------
    >>> ladders({"plain": {"batch_size": 9}, "a": {"batch_size": 3}, "b": {"batch_size": 1}})
    {'batch size': ['a', 'b']}
    """
    found: dict[str, list[str]] = {}
    for name in list(recipes)[1:]:
        found.setdefault(_ladder(recipes, name), []).append(name)
    return found


def _ladder(recipes: Mapping[str, Keys], name: str) -> str:
    first = next(iter(recipes))
    if name == first:
        return first
    foot, keys = recipes[first], recipes[name]
    words = []
    for key in dict.fromkeys([*keys, *foot]):
        value = keys.get(key)
        if value == foot.get(key):
            continue
        if key == "warm_start" and value is not None:
            words.append(f"after {_ladder(recipes, value['recipe'])}")
        elif isinstance(value, Mapping) and "kind" in value:
            words.append(f"{key}: {value['kind']}")
        elif isinstance(value, Mapping) and value.get("adaptive"):
            words.append(f"adaptive {key}")
        else:
            words.append(key)
    return " and ".join(words).replace("_", " ") or "the same"
