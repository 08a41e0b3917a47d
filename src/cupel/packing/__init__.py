"""Makes one file that predicts anywhere, and refuses when it does not predict the same."""

from cupel.packing.export import combine, export_unit, inputs_of, measure_latency, parity, run, session
from cupel.packing.maps import maps, with_maps
from cupel.packing.pack import Package, pack, prove

__all__ = [
    "Package",
    "combine",
    "export_unit",
    "inputs_of",
    "maps",
    "measure_latency",
    "pack",
    "parity",
    "prove",
    "run",
    "session",
    "with_maps",
]
