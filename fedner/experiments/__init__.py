"""What people run: one federation (`simulate`), or arms on the same data and budget (`compare`)."""

from fedner.experiments.simulation import report, resume, simulate
from fedner.experiments.study import compare

__all__ = ["compare", "report", "resume", "simulate"]
