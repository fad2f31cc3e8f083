"""What is said before anything is submitted, for clusters played by scripts on the PATH.

The real daemons are in tests/slurm; here are the clusters that one machine cannot be.
"""

import math
import os

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from basins.slurm import preflight
from basins.slurm.commands import ClusterError
from basins.slurm.offers import gpus, offers, to_minutes
from basins.slurm.preflight import Request

pytestmark = pytest.mark.usefixtures("cluster")

SINFO = """\
short*|up|30:00|64|250000|(null)
long|up|2-00:00:00|64+|250000+|(null)
gpu|up|12:00:00|32|500000|gpu:a100:4(S:0-1)
gpu|up|12:00:00|16|120000|gpu:v100:2,nvme:1
old|down|infinite|8|64000|(null)
"""
WITH_ACCOUNTS = """\
AccountingStorageEnforce = associations,limits
AccountingStorageType   = accounting_storage/slurmdbd
"""
WITHOUT_ACCOUNTS = "AccountingStorageType   = accounting_storage/none"
TRAIN = Request("train", minutes=60, mem_mb=4000, cpus=2, num_gpus=1)


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Play a cluster: each command prints its text, with the given exit status."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def play(status=0, **texts):
        for name, text in texts.items():
            stream = " >&2" if status else ""
            script = f"#!/bin/sh\ncat{stream} <<'END'\n{text}\nEND\nexit {status}\n"
            (folder / name).write_text(script)
            (folder / name).chmod(0o755)

    play(sinfo=SINFO, scontrol=WITHOUT_ACCOUNTS)
    return play


@pytest.fixture
def partitions(tmp_path):
    def write(**mapping):
        path = tmp_path / "partitions.yaml"
        path.write_text(yaml.safe_dump({"partitions": mapping}))
        return path

    return write


def refused(*requests, file=None):
    with pytest.raises(ClusterError) as error:
        preflight.check(requests, file)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_requests_that_can_be_met(partitions):
    file = partitions(long={"max_runtime": "2d"}, gpu={"max_gpu": 4, "max_runtime": 720})
    preflight.check(
        [TRAIN, Request("cube", 2000, 4000, 1), Request("volume", 5, 10, 1, partition="short")],
        file,
    )
    preflight.check([Request("cube", 20, 4000, 1)], None)


def test_no_slurm(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "there is no SLURM on this machine: sinfo is not found" in refused(TRAIN)


def test_controller_that_does_not_answer(cluster):
    cluster(status=1, sinfo="Unable to contact slurm controller")
    assert "SLURM does not answer: sinfo said: Unable to contact" in refused(TRAIN)


def test_controller_that_says_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr("basins.slurm.commands.TIMEOUT", 0.2)
    (tmp_path / "bin" / "sinfo").write_text("#!/bin/sh\nexec sleep 5\n")
    assert "said nothing for 0.2 s" in refused(TRAIN)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("partitions: [a]", "not a partition file"),
        ("- gpu", "not a partition file"),
        ("partitions: {gpu: {max_runtime: [", "not a partition file"),
    ],
)
def test_file_that_names_no_partitions(tmp_path, text, words):
    path = tmp_path / "partitions.yaml"
    path.write_text(text)
    assert words in refused(TRAIN, file=path)
    assert words in refused(TRAIN, file=tmp_path / "missing.yaml")


def test_unknown_partitions(partitions):
    message = refused(TRAIN, file=partitions(gpuu={}))
    assert "partition 'gpuu' is not on this cluster, which has gpu, long, old, short" in message
    message = refused(Request("rays", 1, 1, 1, partition="night"))
    assert "rule rays: slurm_partition 'night' is not on this cluster" in message


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request("rays", 60, 1, 1), ["60 minutes", "short allows 30 minutes", "seeds_per_job"]),
        (Request("rays", 1, 300000, 1), ["300000 MB", "short allows 250000 MB", "larger nodes"]),
        (Request("rays", 1, 1, 65), ["65 CPUs", "short allows 64 CPUs", "`threads`"]),
        (Request("rays", 1, 1, 1, num_gpus=1), ["1 GPUs", "short has no GPUs", "device: cpu"]),
        (Request("rays", 1, 1, 1, partition="old"), ["old is down", "another partition"]),
        (
            Request("rays", 1, 1, 1, num_gpus=3, gpu_type="v100", partition="gpu"),
            ["3 GPUs of type v100", "4 of type a100", "2 of type v100"],
        ),
    ],
)
def test_request_that_no_partition_meets(request_, words):
    message = refused(request_)
    for word in words:
        assert word in message


def test_limits_of_the_file_hold_too(partitions):
    """The executor would fall back to the default partition without a word."""
    file = partitions(
        gpu={"max_gpu": 1, "available_gpu_models": ["a100"], "max_runtime": "0:30:00"}
    )
    message = refused(TRAIN, file=file)
    assert "gpu allows 30 minutes" in message
    assert "v100" not in message
    assert "has no GPUs" in refused(TRAIN, file=partitions(gpu={}))


def test_accounts(cluster):
    preflight.check([Request("cube", 20, 4000, 1)], None)
    message = refused(Request("cube", 20, 4000, 1, account="deep"))
    assert "this cluster keeps no accounts; remove slurm_account" in message
    cluster(scontrol=WITH_ACCOUNTS, sacctmgr="shallow\nwide")
    preflight.check([Request("cube", 20, 4000, 1, account="Wide")], None)
    preflight.check([Request("cube", 20, 4000, 1)], None)
    message = refused(Request("cube", 20, 4000, 1, account="deep"))
    assert "slurm_account 'deep' is none of yours, which are shallow, wide" in message
    cluster(sacctmgr="")
    assert "SLURM knows none of yours" in refused(Request("cube", 20, 4000, 1))
    cluster(scontrol="AccountingStorageType = accounting_storage/slurmdbd")
    preflight.check([Request("cube", 20, 4000, 1)], None)


def test_arrays_with_a_limit_are_refused():
    with pytest.raises(ClusterError, match="--jobs unlimited"):
        preflight.check_arrays("train,rays", is_limited=True)
    preflight.check_arrays("train,rays", is_limited=False)
    preflight.check_arrays(None, is_limited=True)


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({"gpu": 1, "runtime": 30}, ("", 1)),
        ({"gpu": 2, "gpu_model": "a100"}, ("a100", 2)),
        ({"gpu": 0, "gres": "gpu:h100:2"}, ("h100", 2)),
        ({"gpu": 0, "gres": "gpu:3"}, ("", 3)),
        ({"gpu": 0}, ("", 0)),
        ({}, ("", 0)),
    ],
)
def test_gpu_requests_in_all_their_forms(resources, expected):
    request = Request.of("rays", 2, resources)
    assert (request.gpu_type, request.num_gpus, request.cpus) == (*expected, 2)


def test_offers_are_what_sinfo_says():
    found = {(offer.partition, offer.cpus): offer for offer in offers()}
    assert found["short", 64].is_default
    assert not found["old", 8].is_up
    assert math.isinf(found["old", 8].minutes)
    assert found["gpu", 16].gpus == {"v100": 2}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 50), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_time_limits_in_all_notations(days, hours, minutes, seconds):
    expected = pytest.approx(days * 1440 + hours * 60 + minutes + seconds / 60)
    assert to_minutes(f"{days}-{hours:02}:{minutes:02}:{seconds:02}") == expected
    assert to_minutes(f"{days}d{hours}h{minutes}m{seconds}s") == expected
    assert to_minutes(f"{days * 24 + hours}:{minutes:02}:{seconds:02}") == expected
    assert to_minutes(days * 1440 + hours * 60 + minutes + seconds / 60) == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text("abcdefgh1", min_size=2, max_size=5), st.integers(1, 16)))
def test_gres_strings_read_back(counts):
    named = {name: count for name, count in counts.items() if not name.isdigit()}
    text = ",".join(f"gpu:{name}:{count}(S:0-1)" for name, count in named.items())
    assert gpus(f"nvme:2,{text}") == named
