"""Curvature: Hessian-vector products, spectra, and the Hessian singularity correction."""

from keras_gen.curvature import krylov, players, spectrum
from keras_gen.curvature.correction import corrected_hessian, corrected_step
from keras_gen.curvature.operators import GameJacobian, GaussNewton, Hessian
from keras_gen.curvature.preconditioner import SingularityCorrection

__all__ = [
    "GameJacobian",
    "GaussNewton",
    "Hessian",
    "SingularityCorrection",
    "corrected_hessian",
    "corrected_step",
    "krylov",
    "players",
    "spectrum",
]
