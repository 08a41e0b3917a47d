"""Makes one file that predicts anywhere, and refuses when it does not predict the same."""
