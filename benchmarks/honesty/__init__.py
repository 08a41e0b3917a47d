"""Experiments on Cupel's own claims about scores, ties, coverage, leaks and labels: one command each, tables in `benchmarks/results/`."""
