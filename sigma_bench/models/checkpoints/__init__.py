"""Checkpoints: safe reading, recognition, one adapter a family, a report."""

from sigma_bench.models.checkpoints.known import families
from sigma_bench.models.checkpoints.load import load_encoder
from sigma_bench.models.checkpoints.report import Count, LoadReport

__all__ = ["Count", "LoadReport", "families", "load_encoder"]
