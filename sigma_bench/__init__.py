"""sigma-bench: SIGMA pretraining and its whole evaluation."""

__version__ = "0.1.0"
