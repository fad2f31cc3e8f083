"""Counter-based random streams keyed by name.

Every random number of a study is addressed by names (``"subset", "digits", 3``) and a position,
never by the order in which things happened to run. The names are hashed to the key of a Philox
4x64 counter generator (Salmon et al. 2011, *Parallel random numbers: as easy as 1, 2, 3*), whose
raw bits NumPy guarantees to be stable; one 64-bit word makes one uniform and one uniform makes one
normal deviate, so word ``i`` of a stream can be reproduced alone, by any job, for any device.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Name = str | int


def key(*names: Name) -> int:
    """Return the 128-bit key of the stream called `names`.

    Examples
    --------
    >>> key("direction", 0) == key("direction", 0), key("direction", 0) == key("direction", 1)
    (True, False)
    """
    # The type is part of the text, so that the names 1 and "1" are two streams.
    text = "\x1f".join(f"{type(name).__name__}:{name}" for name in names)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")


def bits(*names: Name, count: int, start: int = 0) -> NDArray[np.uint64]:
    """Return words ``start .. start + count`` of the stream called `names`, shape (count,)."""
    generator = np.random.Philox(key=key(*names))
    # One step of the counter makes four words.
    generator.advance(start // 4)
    skipped = start % 4
    return np.asarray(generator.random_raw(skipped + count)[skipped:], dtype=np.uint64)


def uniforms(*names: Name, count: int, start: int = 0) -> NDArray[np.float64]:
    """Return uniform deviates in the open interval (0, 1), float64, shape (count,)."""
    words = bits(*names, count=count, start=start) >> np.uint64(11)
    return (words.astype(np.float64) + 0.5) * 2.0**-53


def normals(*names: Name, count: int, start: int = 0) -> NDArray[np.float64]:
    """Return standard normal deviates by inversion of the uniforms, float64, shape (count,)."""
    return np.asarray(ndtri(uniforms(*names, count=count, start=start)), dtype=np.float64)


def permutation(*names: Name, size: int) -> NDArray[np.int64]:
    """Return a random permutation of ``range(size)``, shape (size,): the order of the words."""
    return np.argsort(bits(*names, count=size), kind="stable").astype(np.int64)


def generator(*names: Name) -> np.random.Generator:
    """Return a generator of the stream called `names`, for chains, whose draws have no position."""
    # SFC64 draws normals half as fast again as Philox, whose counter only positions need.
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(key(*names))))
