"""What becomes of runs that are killed again and again."""
