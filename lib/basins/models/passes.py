"""What a pass of a network holds in memory, and over how many examples it is so that this fits."""

import math
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import grad
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from basins import device as devices
from basins.models.functional import Network, is_batched

ALIVE = 3  # an activation, its nonlinearity and the next layer's input, where points are batched
CURVED = 5  # copies of what a gradient is made from, in a gradient of a gradient: measured
PER_PARAMETERS = 4  # times their parameters that passes take for a gradient, at the least
WATCHED = 2, 3  # examples of the passes whose difference is what one takes

_known: weakref.WeakKeyDictionary[nn.Module, dict[object, "Activations"]]
_known = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class Activations:
    """Numbers, of the parameters' size, that a pass holds for one example.

    Attributes
    ----------
    widest
        The most that one operation gives.
    peak
        The most alive at once.
    kept
        Those that a gradient is made from, the example among them.
    gradient_peak
        The most alive at once where a gradient is taken, the example among them.
    """

    widest: int
    peak: int
    kept: int
    gradient_peak: int

    def alive(self, with_gradient: bool = False) -> int:
        """Return how many are alive at once, with gradients those that wait for them included.

        One at least: a network that gives all examples the same makes nothing for each.
        """
        if with_gradient:
            return max(1, ALIVE * self.widest + self.kept, self.gradient_peak)
        return max(1, ALIVE * self.widest, self.peak)

    @property
    def of_product(self) -> int:
        """How many a product of the Hessian with one direction takes: gradients of a gradient."""
        return max(1, CURVED * (self.widest + self.kept))


def activations(network: Network, theta: Tensor, inputs: Tensor) -> Activations:
    """Return what a pass of a network holds, by running some and watching; only once a network.

    What does not grow with the examples, masked parameters say, does not count.

    Parameters
    ----------
    network
        The architecture.
    theta
        Shape (n,).
    inputs
        At least one example, shape (examples, *input_shape); the first is run.

    Examples
    --------
    >>> network = Network(torch.nn.Sequential(torch.nn.Linear(2, 5), torch.nn.Tanh()))
    >>> activations(network, network.theta, torch.zeros(1, 2))
    Activations(widest=5, peak=10, kept=7, gradient_peak=12)
    """
    found = _known.setdefault(network.module, {})
    key = theta.dtype, theta.device.type, inputs.dtype, inputs.shape[1:]
    if key not in found:
        found[key] = _watch_passes(network, theta.detach(), inputs[:1])
    return found[key]


def _watch_passes(network: Network, theta: Tensor, example: Tensor) -> Activations:
    """Return what `activations` does; the example's shape is (1, *input_shape)."""

    def graph(point: Tensor, inputs: Tensor) -> object:
        with torch.enable_grad():
            return network.apply(point.requires_grad_(), inputs).grad_fn

    def gradient(point: Tensor, inputs: Tensor) -> object:
        return grad(lambda at: network.apply(at, inputs).sum())(point)

    own = math.ceil(example.nbytes / theta.element_size())
    with torch.no_grad():
        widest, peak, _ = _watch(network.apply, theta, example)
        _, _, kept = _watch(graph, theta, example)
        try:
            _, gradient_peak, _ = _watch(gradient, theta, example)
        except RuntimeError:  # an operation that torch.func has no gradient of
            gradient_peak = peak + kept
    return Activations(widest, peak, own + kept, own + gradient_peak)


def _watch(
    work: Callable[[Tensor, Tensor], object], theta: Tensor, example: Tensor
) -> tuple[int, int, int]:
    """Return the most numbers made at once, the most alive, and those alive at the end.

    All are of one example; `work` gets the parameters and some copies of it.
    """
    few, more = (_Ledger.of(work, theta.clone(), _repeated(example, count)) for count in WATCHED)
    numbers: dict[int, int] = {}
    if [which for which, _ in few] == [which for which, _ in more]:
        grown = [(which, size - less) for (which, size), (_, less) in zip(more, few, strict=True)]
    else:  # another number of examples takes another way
        grown = [(which, size // WATCHED[1] + (size > 0)) for which, size in more]
    alive = peak = widest = 0
    for which, num_bytes in grown:
        if which in numbers:
            alive -= numbers.pop(which)
            continue
        numbers[which] = max(0, math.ceil(num_bytes / theta.element_size()))
        alive += numbers[which]
        peak, widest = max(peak, alive), max(widest, numbers[which])
    return widest, peak, alive


def _repeated(example: Tensor, count: int) -> Tensor:
    return example.expand(count, *example.shape[1:]).contiguous()


class _Ledger(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch gives it no types
    """Notes storages that operations make, by number with their bytes, and again when freed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.events: list[tuple[int, int]] = []
        self._alive: dict[int, int] = {}  # numbers by address
        self._count = 0

    @staticmethod
    def of(
        work: Callable[[Tensor, Tensor], object], theta: Tensor, inputs: Tensor
    ) -> list[tuple[int, int]]:
        """Return the events of some work, as long as its result is there."""
        ledger = _Ledger()
        with ledger:
            result = work(theta, inputs)
        events = list(ledger.events)
        del result
        return events

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        given = {_address(leaf) for leaf in tree_leaves((args, kwargs))}
        outputs = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(outputs):
            where = _address(leaf)
            # 0 is the address of no bytes, too.
            if where and where not in given and where not in self._alive:
                storage = leaf.untyped_storage()
                self._alive[where] = self._count
                self.events.append((self._count, storage.nbytes()))
                weakref.finalize(storage, self._free, where)
                self._count += 1
        return outputs

    def _free(self, where: int) -> None:
        self.events.append((self._alive.pop(where), 0))


def _address(leaf: object) -> int:
    """Return where a tensor's numbers are; 0 of what is no tensor."""
    return leaf.untyped_storage().data_ptr() if isinstance(leaf, Tensor) else 0


def examples_together(
    network: Network, thetas: Tensor, inputs: Tensor, with_gradient: bool = False
) -> int:
    """Return over how many examples a pass of some points is, one at least.

    Parameters
    ----------
    network
        The architecture.
    thetas
        All points of the pass, shape (points, n).
    inputs
        At least one example, shape (examples, *input_shape).
    with_gradient
        Whether its gradient is taken.
    """
    held = activations(network, thetas[0], inputs).alive(with_gradient)
    points = len(thetas) if is_batched(network.module, thetas.device) else 1
    room = devices.pass_room(thetas.device, with_gradient)
    if with_gradient:
        # Shorter runs would pass the parameters and their gradients more often than is gained.
        room = max(room, PER_PARAMETERS * points * thetas[0].nbytes)
    return max(1, room // (points * held * thetas.element_size()))


def outputs_in_runs(network: Network, theta: Tensor, inputs: Tensor) -> Tensor:
    """Return a network's outputs, without gradients, over as many examples at once as fit.

    Parameters
    ----------
    network, theta, inputs
        The architecture, shape (n,), and shape (examples, *input_shape).
    """
    together = examples_together(network, theta[None], inputs)
    with torch.no_grad():
        return torch.cat(
            [network.apply(theta, inputs[run]) for run in chunks(len(inputs), together)]
        )


def chunks(num_examples: int, chunk: int, first: int = 0) -> Iterator[slice]:
    """Cut the first `num_examples` examples, from `first` on, into runs of at most `chunk`."""
    for start in range(first, num_examples, chunk):
        yield slice(start, min(start + chunk, num_examples))
