"""How a study names a change of its minima that leaves the function as it was."""

import math

NUMBERS = {"alpha-scale": "alpha", "unit-rescaling": "spread"}  # of transforms that take one
BARE = ("permutation",)


def parse_transform(text: str) -> tuple[str, float]:
    """Return the kind of a transform and its number, 0 where there is none.

    Parameters
    ----------
    text
        ``alpha-scale:<alpha>``: first weight layer times alpha, last over it.
        ``unit-rescaling:<spread>``: of all hidden units by lognormal factors, the spread that of
        their logarithms. ``permutation``: of all hidden units.

    Raises
    ------
    ValueError
        If it is none of these; its message lists them.

    Examples
    --------
    >>> parse_transform("alpha-scale:0.5")
    ('alpha-scale', 0.5)
    """
    kind, colon, number = text.partition(":")
    if kind in BARE and not colon:
        return kind, 0.0
    if kind in NUMBERS and colon:
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if math.isfinite(value) and value > 0:
            return kind, value
        raise ValueError(
            f"{text!r} is not possible: {NUMBERS[kind]} must be a finite number above 0, "
            f"not {number}"
        )
    allowed = ", ".join([f"{key}:<{value}>" for key, value in NUMBERS.items()] + [*BARE])
    raise ValueError(f"{text!r} is not a transform; allowed are {allowed}")
