"""What an artifact says of itself: schema, task and graph inputs, refused where they cannot be true."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cupel.core.errors import ArtifactError, UsageError
from cupel.core.form import Form
from cupel.core.masks import LARGEST_SIDE
from cupel.core.modality import INPUT_KINDS, GraphInput
from cupel.core.moments import SECONDS, compiled
from cupel.core.schema import Column, ColumnKind, Schema
from cupel.core.task import Task
from cupel.core.uncertainty import Uncertainty
from cupel.serving.artifact import Artifact


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """The columns that were learned from, the question, what the graph reads, and what is promised beside predictions."""

    schema: Schema
    task: Task
    inputs: tuple[GraphInput, ...]
    uncertainty: Uncertainty

    @classmethod
    def of(cls, artifact: Artifact) -> Declaration:
        """Read the declaration of an artifact.

        Raises:
            ArtifactError: a part is missing, of the wrong type, or contradicts another.
        """
        try:
            schema = Schema.from_json(artifact.json("schema.json"))
            _check_schema(schema)
            task = _task(artifact.manifest["task"])
            inputs = tuple(_input(plain, schema) for plain in _listed(artifact.manifest["inputs"]))
            read = [name for graph_input in inputs for name in graph_input.columns]
            _demand(bool(read), "the graph reads no column")
            _demand(len(set(read)) == len(read), "a column is read twice")
            _demand(len({graph_input.name for graph_input in inputs}) == len(inputs), "two graph inputs have one name")
            _demand(task.target not in read, "the target is among what is read")
            promised = artifact.manifest.get("uncertainty", {})
            uncertainty = Uncertainty.from_json(promised, is_classification=task.is_classification)
            _demand(uncertainty.decision is None or len(task.classes) == 2, "a threshold for other than two classes")
            _demand(uncertainty.silence is None or task.is_classification, "a confidence for what has no classes")
            threshold = None if uncertainty.decision is None else uncertainty.decision.threshold
            learned_by = None if uncertainty.silence is None else uncertainty.silence.threshold
            _demand(learned_by in (None, threshold), "a confidence for answers by another threshold")
        except ArtifactError as error:
            raise ArtifactError(f"{artifact.path}: {error}") from error
        except (KeyError, TypeError, ValueError, AttributeError, re.error) as error:
            raise _damaged(artifact.path, error) from error
        return cls(schema=schema, task=task, inputs=inputs, uncertainty=uncertainty)


@dataclass(frozen=True, kw_only=True)
class Golden:
    """Raw rows by column, what the trained model predicted for them (rows, outputs), and how near that must be met.

    `spread` is the size of a difference that matters: 1 for probabilities, the target's deviation for regression.
    """

    rows: Mapping[str, list[Any]]
    expected: list[list[float]]
    tolerance: float
    spread: float

    @classmethod
    def of(cls, artifact: Artifact, *, n_outputs: int) -> Golden:
        """Read the golden rows of an artifact.

        Raises:
            ArtifactError: they are missing, or do not fit one another.
        """
        try:
            plain = artifact.json("golden.json")
            rows = {str(name): _listed(cells) for name, cells in plain["rows"].items()}
            expected = [[float(value) for value in _listed(row)] for row in _listed(plain["expected"])]
            tolerance, spread = float(plain["tolerance"]), float(plain["spread"])
            _demand(bool(expected) and all(len(row) == n_outputs for row in expected), "golden rows and outputs differ in number")
            _demand(all(len(cells) == len(expected) for cells in rows.values()), "golden columns differ in length")
            _demand(0 < tolerance <= 1e-2 and 0 < spread < float("inf"), "golden rows have no sensible tolerance")
        except ArtifactError as error:
            raise ArtifactError(f"{artifact.path}: {error}") from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _damaged(artifact.path, error) from error
        return cls(rows=rows, expected=expected, tolerance=tolerance, spread=spread)


def _damaged(path: Path, error: Exception) -> ArtifactError:
    return ArtifactError(f"{path}: what it says of itself cannot be read ({type(error).__name__}: {error}); it is damaged.")


def _demand(is_so: bool, fault: str) -> None:
    if not is_so:
        raise ArtifactError(f"{fault}; the file is damaged or not Cupel's. Pack the model anew.")


def _listed(value: Any) -> list[Any]:
    _demand(isinstance(value, list), "a list was expected")
    listed: list[Any] = value
    return listed


def _task(plain: Any) -> Task:
    _listed(plain["classes"])
    task = Task.from_json(plain)
    n_classes = len(task.classes)
    fits = n_classes == 2 if task.kind.value == "binary" else n_classes >= 2 if task.form.has_probabilities else n_classes == 0
    _demand(fits, f"a {task.kind.value} task with {n_classes} classes")
    is_gridded = len(task.grid) == 2 and all(0 < side <= LARGEST_SIDE for side in task.grid)
    has_grid = is_gridded if task.form is Form.MASKS else not task.grid
    _demand(has_grid, f"a {task.kind.value} task with the grid {task.grid}")
    _demand(len(set(task.classes)) == n_classes, "two classes have one name")
    n_thresholds = n_classes if task.form is Form.LABELS else 0
    fits = len(task.thresholds) == n_thresholds and all(0 <= threshold <= 1 for threshold in task.thresholds)
    _demand(fits, f"{len(task.thresholds)} thresholds between 0 and 1 for {n_thresholds} labels")
    return task


def _check_schema(schema: Schema) -> None:
    _demand(len(set(schema.names)) == len(schema.names), "two columns have one name")
    for column in schema.columns:
        is_typed = isinstance(column.name, str) and isinstance(column.datetime_format, str) and column.decimal in (".", ",")
        limits = (column.low, column.high)
        is_typed = is_typed and all(limit is None or type(limit) in (int, float) for limit in limits)
        _demand(is_typed, f"column {column.name!r} has a field of the wrong type")
        _check_format(column)


def _check_format(column: Column) -> None:
    if column.kind is not ColumnKind.DATETIME or column.datetime_format in ("", SECONDS):
        return
    try:
        compiled(column.datetime_format)
    except UsageError as error:
        raise ArtifactError(f"column {column.name!r}: {error}") from error


def _input(plain: Mapping[str, Any], schema: Schema) -> GraphInput:
    graph_input = GraphInput(name=str(plain["name"]), kind=str(plain["kind"]), columns=tuple(_listed(plain["columns"])))
    is_known = graph_input.kind in INPUT_KINDS and all(name in schema for name in graph_input.columns)
    _demand(is_known, f"graph input {graph_input.name!r} reads columns that the schema does not have")
    kinds = [schema[name].kind for name in graph_input.columns]
    if graph_input.kind == "pixels":
        fits = kinds == [ColumnKind.IMAGE] and schema[graph_input.columns[0]].channels in (1, 3)
    else:
        fits = all(kind.is_numeric if graph_input.kind == "numbers" else kind is ColumnKind.CATEGORY for kind in kinds)
    _demand(fits, f"graph input {graph_input.name!r} reads columns of another kind")
    return graph_input
