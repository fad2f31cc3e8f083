"""Who pays: the accounts and QOS that SLURM lets this user charge."""

import getpass
import re

from basins.slurm.commands import ClusterError, lines


def has_accounting() -> bool:
    """Tell whether SLURM keeps a record of jobs and accounts (`sacct` answers)."""
    return not _config().get("AccountingStorageType", "").endswith("none")


def check_account(asked: str) -> None:
    """Refuse an account that is none of the user's, and none where one must be given.

    Parameters
    ----------
    asked
        What `slurm_account` says: nothing, an account, or several of which the executor takes one.

    Raises
    ------
    ClusterError
        In one sentence that says which accounts there are.
    """
    if not has_accounting():
        if asked:
            raise ClusterError(
                f"slurm_account {asked!r}: this cluster keeps no accounts; remove slurm_account"
            )
        return
    if not asked and "associations" not in _enforced():
        return
    mine = _associations("Account")
    if not mine:
        raise ClusterError(
            "this cluster charges accounts and SLURM knows none of yours; ask its administrators"
        )
    for account in filter(None, re.split(r"[,\s]+", asked)):
        if account.lower() not in map(str.lower, mine):
            raise ClusterError(
                f"slurm_account {account!r} is none of yours, which are {', '.join(mine)}; give "
                "one of these"
            )


def check_qos(asked: str) -> None:
    """Refuse a QOS that SLURM would refuse at the first job.

    Raises
    ------
    ClusterError
        In one sentence that says which there are.
    """
    if not asked or not has_accounting() or "qos" not in _enforced():
        return
    mine = sorted({name for names in _associations("QOS") for name in names.split(",")})
    if asked.lower() not in map(str.lower, mine):
        raise ClusterError(
            f"QOS {asked!r} is none of yours, which are {', '.join(mine) or 'none'}; give one of "
            "these"
        )


def _config() -> dict[str, str]:
    pairs = (line.partition("=") for line in lines(["scontrol", "show", "config"]))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _enforced() -> str:
    """Return what SLURM refuses jobs for, each written out by the controller."""
    return _config().get("AccountingStorageEnforce", "")


def _associations(column: str) -> list[str]:
    query = ["sacctmgr", "--noheader", "--parsable2", "list", "associations"]
    return sorted({*lines([*query, f"user={getpass.getuser()}", f"format={column}"])})
