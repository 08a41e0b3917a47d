"""From files of weights to the families that start from them."""

from __future__ import annotations

from collections.abc import Sequence

from cupel.core.finding import Finding, Severity
from cupel.core.modality import Pretrained
from cupel.core.weights import Weights
from cupel.modalities.image.backbones.backbone import Backbone
from cupel.modalities.image.backbones.cupel_files import is_cupel, open_cupel
from cupel.modalities.image.backbones.families import families_of
from cupel.modalities.image.backbones.onnx_files import open_onnx
from cupel.modalities.image.backbones.timm_files import open_timm


def pretrained(weights: Sequence[Weights]) -> Pretrained:
    """All of them opened: an ONNX file, a backbone that Cupel saved, or weights by timm's names.

    Raises:
        UsageError: one is no network for pictures.
        MissingDependencyError: one needs timm.
    """
    opened = [_opened(each) for each in weights]
    return Pretrained(
        weights=tuple(known for _, known in opened),
        families=tuple(family for backbone, _ in opened for family in families_of(backbone)),
        findings=tuple(_assumed(backbone, note) for backbone, _ in opened for note in backbone.notes),
    )


def _opened(weights: Weights) -> tuple[Backbone, Weights]:
    if weights.path.suffix.lower() == ".onnx":
        return open_onnx(weights), weights
    return (open_cupel(weights), weights) if is_cupel(weights) else open_timm(weights)


def _assumed(backbone: Backbone, note: str) -> Finding:
    return Finding(
        code="backbone-assumption",
        severity=Severity.WARNING,
        where=backbone.name,
        what=note,
        action="Features may be worse than they could be; the scores are honest all the same.",
    )
