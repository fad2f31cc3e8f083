"""Sharpness-aware minimization: the gradient where the loss is largest nearby, to first order.

Foret et al. 2021, *Sharpness-aware minimization for efficiently improving generalization*, arXiv
2010.01412, equation 2; adaptive: Kwon et al. 2021, arXiv 2102.11600, equation 7.
"""

from torch import Tensor

from basins.study.recipe_keys import Sam

SMALLEST = 1e-12  # added to norms, so that a gradient of zeros moves nothing


def ascended(theta: Tensor, gradient: Tensor, sam: Sam) -> Tensor:
    """Return the points at which gradients are taken, shape (seeds, n).

    Plain: ``theta + rho g / |g|``. Adaptive: ``theta + rho T^2 g / |T g|`` with ``T = |theta|``,
    element by element, which scaling units back and forth leaves as it is.

    Parameters
    ----------
    theta, gradient
        Shape (seeds, n).
    sam
        The radius rho, and whether adaptive.

    Examples
    --------
    >>> import torch
    >>> sam = Sam(rho=0.5)
    >>> ascended(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]]), sam)
    tensor([[1.3000, 2.4000]])
    """
    scaled = gradient * theta.abs() if sam.adaptive else gradient
    step = scaled * theta.abs() if sam.adaptive else scaled
    length = scaled.norm(dim=1, keepdim=True) + SMALLEST
    return theta.addcdiv(step, length, value=sam.rho)
