from types import SimpleNamespace

import pytest
import torch

from basins import device as devices


@pytest.mark.parametrize("precision", ["none", "ieee", "tf32"])
def test_full_precision_is_there_inside_and_what_was_before_comes_back(precision):
    """By torch's new names: after its old switches, or beside them, some raise when read."""
    owners = torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn
    before = [owner.fp32_precision for owner in owners]
    try:
        for owner in owners:
            owner.fp32_precision = precision
        with devices.full_precision(), devices.full_precision():
            assert [owner.fp32_precision for owner in owners] == ["ieee"] * 3
        assert [owner.fp32_precision for owner in owners] == [precision] * 3
    finally:
        for owner, value in zip(owners, before, strict=True):
            owner.fp32_precision = value


def test_a_cpu_compiles_no_kernels():
    assert not devices.compiles_kernels(torch.device("cpu"))


def test_a_gradient_on_a_gpu_takes_what_does_not_depend_on_what_is_free(monkeypatch):
    """The bits of a training depend on it."""
    card = torch.device("cuda", 0)
    for total, expected in ((2**35, 2**31), (2**32, 2**30)):
        properties = SimpleNamespace(total_memory=total)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _, of=properties: of)
        assert devices.pass_room(card, with_gradient=True) == expected
