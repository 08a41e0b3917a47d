"""The only place that computes a score; intervals, paired tests and calibration beside it."""
