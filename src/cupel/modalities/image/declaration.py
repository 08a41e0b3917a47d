"""What is special about pictures, as one object."""

from __future__ import annotations

from collections.abc import Sequence

from cupel.core.dataset import Dataset
from cupel.core.family import Family
from cupel.core.modality import GraphInput, Inspection, Modality, Pretrained
from cupel.core.schema import ColumnKind, Schema
from cupel.core.weights import Weights
from cupel.modalities.image.example import example_pictures
from cupel.modalities.image.reader import PictureReader


def recognises(schema: Schema) -> float:
    """Surely, where there is a column of pictures and nothing else, so that who reads more may claim what it stands beside."""
    if not schema.image_features:
        return 0.0
    return 1.0 if len(schema.features) == 1 else 0.75


def families() -> Sequence[Family]:
    """Imported on first use."""
    from cupel.modalities.image.models import families as found

    return found()


def graph_inputs(schema: Schema) -> tuple[GraphInput, ...]:
    """The pictures."""
    return tuple(GraphInput(name=column.name, kind="pixels", columns=(column.name,)) for column in schema.image_features[:1])


def inspect(dataset: Dataset) -> Inspection:
    """Imported on first use, as the families are."""
    from cupel.modalities.image.inspection import inspect as inspected

    return inspected(dataset)


def pretrained(weights: Sequence[Weights]) -> Pretrained:
    """Imported on first use, as the families are."""
    from cupel.modalities.image.backbones import pretrained as opened

    return opened(weights)


def unusable(dataset: Dataset) -> str | None:
    """Why no model can learn from these pictures, as a sentence; None where one can."""
    columns = dataset.schema.image_features
    present = [picture for picture in dataset.columns[columns[0].name].tolist() if picture is not None]
    if not present:
        return f"not one picture in column {columns[0].name!r} can be read. Check the paths."
    return None


modality = Modality(
    name="image",
    recognises=recognises,
    families=families,
    graph_inputs=graph_inputs,
    unusable=unusable,
    reader=PictureReader(),
    example=example_pictures,
    inspect=inspect,
    kinds=frozenset({ColumnKind.IMAGE}),
    reads_one_column=True,
    pretrained=pretrained,
)
