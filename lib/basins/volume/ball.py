"""Log volumes of balls."""

import numpy as np
from scipy.special import gammaln


def log_volume(n: int, radius: float = 1.0) -> float:
    """Return ln of pi^(n/2) r^n / Gamma(n/2 + 1), the volume of the n-ball, in nats.

    Examples
    --------
    >>> round(float(np.exp(log_volume(3, 2.0))) / (4 / 3 * np.pi * 8), 12)
    1.0
    """
    return float(n / 2 * np.log(np.pi) - gammaln(n / 2 + 1) + n * np.log(radius))
