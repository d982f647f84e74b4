"""Measurements; the figures to reach are in the design."""

import warnings

# The PostgreSQL of the benchmarks looks for a runtime folder, which root and CI do not have; /tmp will do.
warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR", UserWarning)
