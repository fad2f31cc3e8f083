"""The part of THE table that holds measures of flatness, by the measure a study asks for."""

from basins.cube.variable import LANDSCAPE, MINIMUM, Variable

CURVED = "this project, docs/flatness.md"
KESKAR = "Keskar et al. 2017, arXiv 1609.04836, metric 2.1"
KWON = "Kwon et al. 2021, arXiv 2102.11600, equation 3"
FORET = "Foret et al. 2021, arXiv 2010.01412, equation 2"
ANDRIUSHCHENKO = "Andriushchenko et al. 2023, arXiv 2302.07011, equation 2"
YAO = "Yao et al. 2018, arXiv 1802.08241"
MEYER = "Meyer et al. 2020, arXiv 2010.09649, algorithm 1"
UBARU = "Ubaru, Chen, Saad 2017, SIAM J. Matrix Anal. Appl. 38, 1075"
EVIDENCE = "Smith and Le 2017, arXiv 1710.06451, equation 9"
NEYSHABUR = "Neyshabur et al. 2015, arXiv 1503.00036"
NAGARAJAN = "Nagarajan and Kolter 2019, arXiv 1901.01672"
BARTLETT = "Bartlett et al. 2017, arXiv 1706.08498"
BOX = (*LANDSCAPE, "box_size")
PER_AREA = "nat per squared unit of the parameters"


def _box(where: str, how: str) -> Variable:
    return Variable(
        BOX,
        "float64",
        f"sharpness in a box of {where}, {how}",
        "percent",
        "100 (max L - L(theta)) / (1 + L(theta)) over the box",
        KESKAR,
    )


def _average(scale: str) -> Variable:
    return Variable(
        LANDSCAPE,
        "float64",
        "average sharpness" if scale == "1" else "adaptive average sharpness",
        "nat",
        f"E L(theta + sigma T z) - L(theta), z normal, T = {scale}",
        ANDRIUSHCHENKO,
    )


def _margin(name: str, formula: str) -> Variable:
    return Variable(
        LANDSCAPE,
        "float64",
        name,
        "1",
        f"{formula} of the target's output minus the largest other one",
        BARTLETT,
    )


def _attacked(how: str, source: str) -> Variable:
    return Variable(
        (*MINIMUM, "perturbation"),
        "float64",
        f"test accuracy attacked by {how}",
        "1",
        "share of test examples still classified correctly",
        source,
    )


def _curvature(dims: tuple[str, ...], matrix: str, where: str) -> dict[str, Variable]:
    """Return the variables of one matrix: of the Hessian, or of the Gauss-Newton matrix."""
    of = f"of the {matrix} {where}"
    prefix = ("test_" if dims == MINIMUM else "") + ("gauss_newton_" * (matrix != "Hessian"))
    found = {
        "spectral_norm": Variable(
            dims, "float64", f"spectral norm {of}", PER_AREA, "largest |eigenvalue|", YAO
        ),
        "trace": Variable(
            dims,
            "float64",
            f"trace {of}",
            PER_AREA,
            "sum of eigenvalues",
            MEYER,
            ancillary=(f"{prefix}trace_stderr",),
        ),
        "trace_stderr": Variable(
            dims, "float64", "its standard error", PER_AREA, "0: exact", MEYER
        ),
        "log_det": Variable(
            dims,
            "float64",
            f"log-determinant {of}, damped",
            "nat",
            "sum ln(max(eigenvalue, 0) + damping)",
            UBARU,
            ancillary=(f"{prefix}log_det_stderr",),
        ),
        "log_det_stderr": Variable(dims, "float64", "its standard error", "nat", "0: exact", UBARU),
    }
    if matrix == "Hessian":
        found |= {
            "smallest_eigenvalue": Variable(
                dims, "float64", f"smallest eigenvalue {of}", PER_AREA, "by Lanczos", CURVED
            ),
            "eigenvalues": Variable(
                (*dims, "eigenvalue"),
                "float64",
                f"largest eigenvalues {of}",
                PER_AREA,
                "by Lanczos",
            ),
        }
    found["spectrum_residual"] = Variable(
        dims,
        "float64",
        "largest residual of the eigenvectors",
        PER_AREA,
        "|H v - value v|: some eigenvalue is that close to each value",
        CURVED,
    )
    return {f"{prefix}{name}": variable for name, variable in found.items()}


# In the root, if the study asks for the measure.
FLATNESS_BY_MEASURE = {
    "sharpness": {
        "sharpness_box": _box("the full space", "by the published maximizer"),
        "sharpness_box_ascent": _box("the full space", "by ascent with restarts"),
        "sharpness_subspace": _box("a random subspace", "by the published maximizer"),
        "sharpness_subspace_ascent": _box("a random subspace", "by ascent with restarts"),
        "sharpness_ball": Variable(
            LANDSCAPE,
            "float64",
            "sharpness in a ball",
            "percent",
            "100 (max L - L(theta)) / (1 + L(theta)) over |offset| <= ball_radius",
            "Dinh et al. 2017, arXiv 1703.04933, definition 2",
        ),
        "sharpness_one_step": Variable(
            LANDSCAPE,
            "float64",
            "sharpness one step up",
            "nat",
            "L(theta + rho g / |g|) - L(theta)",
            FORET,
        ),
        "sharpness_adaptive": Variable(
            LANDSCAPE,
            "float64",
            "adaptive sharpness",
            "nat",
            "max L - L(theta) over |offset / |theta|| <= rho",
            KWON,
        ),
        "sharpness_adaptive_one_step": Variable(
            LANDSCAPE,
            "float64",
            "adaptive sharpness one step up",
            "nat",
            "L(theta + rho T^2 g / |T g|) - L(theta), T = |theta|",
            "Kwon et al. 2021, arXiv 2102.11600, equation 6",
        ),
        "sharpness_average": _average("1"),
        "sharpness_average_stderr": Variable(
            LANDSCAPE, "float64", "its standard error", "nat", "over draws", ANDRIUSHCHENKO
        ),
        "sharpness_adaptive_average": _average("|theta|"),
        "sharpness_adaptive_average_stderr": Variable(
            LANDSCAPE, "float64", "its standard error", "nat", "over draws", ANDRIUSHCHENKO
        ),
    },
    "spectrum": _curvature(LANDSCAPE, "Hessian", "in a landscape")
    | _curvature(MINIMUM, "Hessian", "of the test loss"),
    "gauss_newton": _curvature(LANDSCAPE, "Gauss-Newton matrix", "in a landscape")
    | _curvature(MINIMUM, "Gauss-Newton matrix", "of the test loss"),
    "evidence": {
        "log_evidence": Variable(
            LANDSCAPE,
            "float64",
            "log evidence",
            "nat",
            "-m L - precision |theta|^2 / 2 - ln det(m H / precision + 1) / 2",
            EVIDENCE,
            ancillary=("log_evidence_stderr",),
        ),
        "log_evidence_stderr": Variable(
            LANDSCAPE, "float64", "its standard error", "nat", "0: exact", UBARU
        ),
        "log_occam_factor": Variable(
            LANDSCAPE,
            "float64",
            "log Occam factor",
            "nat",
            "-ln det(m H / precision + 1) / 2",
            EVIDENCE,
        ),
        "log_evidence_ratio": Variable(
            LANDSCAPE,
            "float64",
            "log evidence above the null model's",
            "nat",
            "log_evidence + m ln(classes)",
            EVIDENCE,
        ),
    },
    "norms": {
        "distance_from_start": Variable(
            MINIMUM, "float64", "distance from the start", "1", "|theta - theta_0|_2", NAGARAJAN
        ),
        "path_norm": Variable(
            MINIMUM,
            "float64",
            "path norm",
            "1",
            "(sum over paths of the product of squared weights)^(1/2); NaN where undefined",
            NEYSHABUR,
        ),
        "log_frobenius_product": Variable(
            MINIMUM, "float64", "log product of Frobenius norms", "nat", "sum ln |W|_F", NEYSHABUR
        ),
        "log_spectral_product": Variable(
            MINIMUM, "float64", "log product of spectral norms", "nat", "sum ln |W|_2", BARTLETT
        ),
        "log_spectral_complexity": Variable(
            MINIMUM,
            "float64",
            "log spectral complexity",
            "nat",
            "equation 1.2, matrices measured from the start; NaN where undefined",
            BARTLETT,
        ),
    },
    "margins": {
        "margin_low": _margin("lower margin", "5 % quantile"),
        "margin_median": _margin("median margin", "median"),
        "margin_mean": _margin("mean margin", "mean"),
        "margin_normalized": _margin(
            "normalized margin", "median over the spectral complexity; NaN where undefined:"
        ),
    },
    "robustness": {
        "fgsm_accuracy": _attacked(
            "one step up the gradient", "Goodfellow et al. 2015, arXiv 1412.6572, section 4"
        ),
        "pgd_accuracy": _attacked(
            "projected gradient steps", "Madry et al. 2018, arXiv 1706.06083, section 2.1"
        ),
    },
}
FLATNESS = {k: v for table in FLATNESS_BY_MEASURE.values() for k, v in table.items()}
