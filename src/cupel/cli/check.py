"""`cupel check`: does a packed model predict here what it predicted where it was made?"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cupel.core.storage import finite

if TYPE_CHECKING:
    from cupel.serving.certificate import Claim

UNKNOWN = "–"
MOST_SIGNS = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument("model", metavar="MODEL", help="the model.cupel file")
    parser.add_argument("--json", action="store_true", help="print what was measured as JSON")
    parser.add_argument(
        "--memory", metavar="SIZE", help="what the model may take, such as 8GB (default: half of what is available)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure what the model claims of itself and print it beside what was measured when it was packed."""
    from cupel.serving import load

    predictor = load(arguments.model, memory=arguments.memory, is_alone=True)
    claims, packed = predictor.claims(), _certificate(predictor.manifest)
    if arguments.json:
        print(json.dumps(finite(_plain(claims, packed)), indent=1))
    else:
        print(_table(claims, packed))
    predictor.check()
    if not arguments.json:
        print(f"{arguments.model} predicts here what it was trained to.")
    return 0


def _certificate(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What was measured where the model was packed, as far as it can be read; older files say nothing of it."""
    plain = manifest.get("certificate")
    if not isinstance(plain, dict) or not isinstance(plain.get("measured"), dict):
        return {"measured": {}}
    measured = {name: value for name, value in plain["measured"].items() if type(value) in (int, float)}
    known = {name: plain[name] for name in ("machine", "python", "onnxruntime", "numpy") if _is_shown(plain.get(name))}
    return {"measured": measured, **known}


def _is_shown(value: Any) -> bool:
    """Whether it is a short text without anything that steers a terminal: it was written elsewhere."""
    return isinstance(value, str) and value.isprintable() and len(value) <= MOST_SIGNS


def _here() -> dict[str, str]:
    import numpy
    import onnxruntime

    return {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "numpy": numpy.__version__,
    }


def _plain(claims: Sequence[Claim], packed: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        each.name: {"here": each.measured, "packed": packed["measured"].get(each.name), "limit": each.limit, "holds": each.holds}
        for each in claims
    }
    return {"holds": all(claim.holds for claim in claims), "claims": found, "here": _here(), "packed": dict(packed)}


def _table(claims: Sequence[Claim], packed: Mapping[str, Any]) -> str:
    from cupel.cli.predictions import aligned

    rows = [["claim", "here", "packed", "allowed"]]
    rows += [[c.name, _shown(c.measured), _shown(packed["measured"].get(c.name)), _shown(c.limit)] for c in claims]
    here = _here()
    rows += [["", "", "", ""], *([name, here[name], packed.get(name, UNKNOWN), ""] for name in here)]
    return aligned(rows, right=(False, True, True, True))


def _shown(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2g}"
