"""Experiments on Cupel's own claims about scores, ties, coverage, leaks and labels: one command each, with a table of results."""
