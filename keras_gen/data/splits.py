"""Names and slices of splits: `train`, `all`, `train[:100]`, `train[10%:20%]`, `train[:50]+test[-20:]`."""

import difflib
import re
from collections.abc import Mapping

_PART = re.compile(r"\s*([^\[\]+\s]+)\s*(?:\[\s*(-?\d+%?)?\s*:\s*(-?\d+%?)?\s*\])?\s*")
_SAME = ({"validation", "valid", "val"}, {"train", "training"}, {"test", "testing"})
TRAINING = "train"
# Folders of these names are splits; any other name is a class.
SPLIT_NAMES = frozenset().union(*_SAME)


def suggest(word: str, choices: Mapping | list[str]) -> str:
    """` (did you mean 'test'?)`, or nothing where no choice is near."""
    near = difflib.get_close_matches(word, list(choices), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def resolve(split: str, sizes: Mapping[str, int], origin: str) -> list[tuple[str, int, int]]:
    """What a split expression selects.

    Args:
        split: names joined by `+`, each with an optional slice of examples or per cent; `all` is every split.
        sizes: the number of examples of each split that exists, in order.
        origin: the data spec, for messages.

    Returns:
        `(name, start, stop)` runs, none of them empty.

    Raises:
        ValueError: a malformed expression, an unknown name, or a selection without examples.
    """
    runs = [run for part in str(split).split("+") for run in _resolve_part(part, split, sizes, origin)]
    if not runs:
        have = ", ".join(f"{name} ({count:,})" for name, count in sizes.items())
        raise ValueError(f"split {split!r} of {origin} selects no images: it holds {have}")
    return runs


def is_training(split: str) -> bool:
    """Whether every part of the expression is taken from the training split or from `all`."""
    names = [part.split("[")[0].strip() for part in split.split("+")]
    return all(name in ("all", "train", "training") for name in names)


def _resolve_part(part: str, split: str, sizes: Mapping[str, int], origin: str) -> list[tuple[str, int, int]]:
    match = _PART.fullmatch(part)
    if match is None:
        raise ValueError(
            f"split {split!r} of {origin} is malformed: write a name such as 'train' or 'train[:100]'"
        )
    name, first, last = match.groups()
    names = list(sizes) if name == "all" and "all" not in sizes else [_known(name, sizes, origin)]
    total = sum(sizes[name] for name in names)
    # slice.indices clips and counts negative numbers from the end, as Python does everywhere.
    start, stop, _ = slice(_position(first, total), _position(last, total)).indices(total)
    runs, offset = [], 0
    for name in names:
        low, high = max(start - offset, 0), min(stop - offset, sizes[name])
        if low < high:
            runs.append((name, low, high))
        offset += sizes[name]
    return runs


def _known(name: str, sizes: Mapping[str, int], origin: str) -> str:
    if name in sizes:
        return name
    for same in _SAME:
        for other in sizes:
            if name in same and other in same:
                return other
    raise ValueError(
        f"{origin} has no split {name!r}{suggest(name, sizes)}: "
        f"choose from {', '.join(repr(known) for known in [*sizes, 'all'])}"
    )


def _position(text: str | None, total: int) -> int | None:
    if text is None:
        return None
    return round(int(text[:-1]) / 100 * total) if text.endswith("%") else int(text)
