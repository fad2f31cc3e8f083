"""How much the explorer's page holds at most; what is beyond is left out in words."""

MOST_MINIMA = 10_000  # points and rows that a browser moves without halting
MOST_VOLUME_BYTES = 12_000_000  # of the volumes of all minima together
MOST_DETAIL_BYTES = 24_000_000  # of what is shown of single minima, all of them together
MOST_POINTS = 51  # of a grid along either axis
MOST_EXAMPLES = 500  # of a training subset, drawn on a boundary

# Numbers stand on a page as text, four letters for three bytes; packed, they take less.
ON_PAGE = 4 / 3
ARRAY_BYTES = 150  # around each array of numbers
