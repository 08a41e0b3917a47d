"""Whether what Cupel says of scores and data is true: planted faults found, clean tables left alone."""
