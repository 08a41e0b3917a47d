"""From folders, archives and columns of paths to decoded pictures, and what is wrong with them.

`read_source` gives a table, and `read_pictures` decodes a column of it.
"""

from cupel.modalities.image.reading.archives import read_npz
from cupel.modalities.image.reading.cache import cache_file_for, cache_folder, kept_finding, trim
from cupel.modalities.image.reading.class_folders import read_class_folders, read_flat_folder
from cupel.modalities.image.reading.hashing import exact_copies, near_copies
from cupel.modalities.image.reading.idx import read_idx_folder, read_idx_pair
from cupel.modalities.image.reading.mask_files import read_masks
from cupel.modalities.image.reading.masks import read_mask_folders
from cupel.modalities.image.reading.paths import picture_likeness, resolved_paths
from cupel.modalities.image.reading.pictures import read_pictures
from cupel.modalities.image.reading.sharpness import sharpness
from cupel.modalities.image.reading.sources import is_source_of_pictures, read_source
from cupel.modalities.image.reading.table import PictureTable

__all__ = [
    "PictureTable",
    "cache_file_for",
    "cache_folder",
    "exact_copies",
    "is_source_of_pictures",
    "kept_finding",
    "near_copies",
    "picture_likeness",
    "read_class_folders",
    "read_flat_folder",
    "read_idx_folder",
    "read_idx_pair",
    "read_mask_folders",
    "read_masks",
    "read_npz",
    "read_pictures",
    "read_source",
    "resolved_paths",
    "sharpness",
    "trim",
]
