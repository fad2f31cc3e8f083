"""The part of THE table that holds spectra: what a spectral density is made of, by measure."""

from basins.cube.variable import LANDSCAPE, MINIMUM, Variable

NODE = "node"
PER_AREA = "nat per squared unit of the parameters"
UBARU = (
    "Ubaru, Chen, Saad 2017, SIAM J. Matrix Anal. Appl. 38, 1075, section 3; exact up to 1,000 "
    "parameters"
)


def _nodes(dims: tuple[str, ...], matrix: str, where: str) -> dict[str, Variable]:
    """Return the variables of one matrix: of the Hessian, or of the Gauss-Newton matrix."""
    of = f"of the {matrix} {where}"
    prefix = ("test_" if dims == MINIMUM else "") + ("gauss_newton_" * (matrix != "Hessian"))
    return {
        f"{prefix}node_eigenvalue": Variable(
            (*dims, NODE),
            "float64",
            f"eigenvalues {of}",
            PER_AREA,
            "all, ascending, or what each probe sees of them, ascending, probe after probe",
            UBARU,
        ),
        f"{prefix}node_weight": Variable(
            (*dims, NODE),
            "float64",
            f"weights of the eigenvalues {of}",
            "1",
            "share of all eigenvalues that a node stands for; their sum is 1",
            UBARU,
        ),
    }


def _matrix(name: str) -> dict[str, Variable]:
    return _nodes(LANDSCAPE, name, "in a landscape") | _nodes(MINIMUM, name, "of the test loss")


# In the group `/spectrum`, if the study asks for the measure.
SPECTRUM_BY_MEASURE = {
    "spectrum": _matrix("Hessian"),
    "gauss_newton": _matrix("Gauss-Newton matrix"),
}
SPECTRUM = {k: v for table in SPECTRUM_BY_MEASURE.values() for k, v in table.items()}
