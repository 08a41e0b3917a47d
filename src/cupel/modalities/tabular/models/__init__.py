"""The families that learn from tables, one file each."""
