"""One complete folder per kind of data; each hands over one Modality object."""
