"""How a study names a change of its minima that leaves the function as it was."""

import math

# The numbers that each takes, and what each must be above.
NUMBERS = {
    "alpha-scale": {"alpha": 0.0},
    "unit-rescaling": {"spread": 0.0},
    "permutation": {},
    "radial": {"a": -0.5, "b": 0.0},
}
EPOCH = "epoch"  # what stands in a label where training was, and in no list of transforms


def parse_transform(text: str) -> tuple[str, tuple[float, ...]]:
    """Return the kind of a transform and its numbers.

    Parameters
    ----------
    text
        ``alpha-scale:<alpha>``: first weight layer times alpha, last over it.
        ``unit-rescaling:<spread>``: of all hidden units by lognormal factors, the spread that of
        their logarithms. ``permutation``: of all hidden units. ``radial:<a>:<b>``: coordinates
        (|theta - minimum|^2 + b)^a (theta - minimum) around each minimum.

    Raises
    ------
    ValueError
        If it is none of these; its message lists them.

    Examples
    --------
    >>> parse_transform("alpha-scale:0.5")
    ('alpha-scale', (0.5,))
    """
    kind, *given = text.split(":")
    if kind not in NUMBERS or len(given) != len(NUMBERS[kind]):
        allowed = ", ".join(
            ":".join([kind, *(f"<{name}>" for name in names)]) for kind, names in NUMBERS.items()
        )
        raise ValueError(f"{text!r} is not a transform; allowed are {allowed}")
    values = []
    for number, (name, bound) in zip(given, NUMBERS[kind].items(), strict=True):
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value > bound):
            raise ValueError(
                f"{text!r} is not possible: {name} must be a finite number above {bound:g}, "
                f"not {number}"
            )
        values.append(value)
    return kind, tuple(values)


def is_around_minimum(text: str) -> bool:
    """Tell whether a transform is of coordinates around one minimum: other for each of a job.

    Examples
    --------
    >>> is_around_minimum("radial:1:1"), is_around_minimum("permutation"), is_around_minimum("")
    (True, False, False)
    """
    return text.startswith("radial:")


def epoch_of(text: str) -> int | None:
    """Return the number of epochs after which a path of training is measured, None if elsewhere.

    Examples
    --------
    >>> epoch_of("epoch:10"), epoch_of("permutation"), epoch_of("")
    (10, None, None)
    """
    kind, _, number = text.partition(":")
    return int(number) if kind == EPOCH else None
