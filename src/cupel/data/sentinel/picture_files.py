"""Files of pictures that tell the target by what is no picture: their names, formats, sizes, cameras and dates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cupel.core.dataset import Dataset
from cupel.core.finding import Contrast, Finding, Severity
from cupel.data.about_files import N_BYTES, TAKEN, file_facts, folder_of
from cupel.data.sentinel.identifiers import MIN_DEVIATIONS, coded, parts_of
from cupel.data.skill import Bench

Array = NDArray[Any]
Fact = tuple[str, Array, bool]

MIN_ROWS = 60
MIN_SKILL = 0.5
"""Of a constant's mistakes that are avoided: pictures of some classes are honestly larger, or fill more bytes, than others."""
MAX_COLUMNS = 3
MOST_WITHOUT = 0.5
PICTURE, NAME, DATE = "the {} of a picture", "in the names of the files, {}", "the {} when a picture was taken"
REASONS = {
    PICTURE: "Models see that, or traces of it. Pictures of one class may come from another camera or program than the rest: "
    "bring all into one size and format, or add a column that names the source and say --group COLUMN.",
    NAME: "Names are not read. Find out why they tell: files may have been numbered by outcome, or gathered from several "
    "sources.",
    DATE: "Dates are not read, but pictures taken one after the other are often of one thing, and then train and judge. Add a "
    "column that names the thing or the session and say --group COLUMN, or one of the date and say --order COLUMN.",
}


def find_telling_files(dataset: Dataset, bench: Bench, *, counts_bytes: bool = True) -> list[Finding]:
    """A finding for each column of pictures whose files tell the target, on rows not learned from, without being looked at.

    Height, width and their ratio, bytes in the file, its format, and the camera stand in what models read, or leave traces in it;
    parts of the name and the date in EXIF do not, and are told as notes. When a file was written is not asked: whoever copies or
    unpacks folders class by class writes them in that order. `counts_bytes` is to be false where pictures that show much of what
    is asked for fill more bytes by that alone.
    """
    if dataset.task is None or len(bench.rows) < MIN_ROWS:
        return []
    found = []
    for column in dataset.schema.image_features[:MAX_COLUMNS]:
        facts = list(_facts(dataset, bench, column.name))
        about = {
            PICTURE: [fact for fact in facts if fact[0] != TAKEN and (counts_bytes or fact[0] != N_BYTES)],
            NAME: list(_name_parts(dataset, bench, column.name)),
            DATE: [fact for fact in facts if fact[0] == TAKEN],
        }
        for kind, told in about.items():
            skills = [bench.skill_of(states, is_ordered=is_ordered) for _, states, is_ordered in told]
            skill = max(skills, default=0.0)
            if skill >= MIN_SKILL and bench.deviations(skill) >= MIN_DEVIATIONS:
                probability = bench.probability(skill, n_tried=len(skills))
                words, states, _ = told[skills.index(skill)]
                finding = _finding(column.name, kind, words, skill=skill, bench=bench, probability=probability)
                found.append(replace(finding, contrast=Contrast(rows=bench.rows, states=states)))
    return found


def _facts(dataset: Dataset, bench: Bench, column: str) -> Iterator[Fact]:
    """What is known of a picture without looking at it, as (words, states of the bench's rows, whether they are ordered)."""
    pictures = [dataset.columns[column][row] for row in bench.rows.tolist()]
    shapes = np.array([(0, 0) if picture is None else picture.shape[:2] for picture in pictures], np.float64)
    yield "height", shapes[:, 0], True
    yield "width", shapes[:, 1], True
    yield "ratio of the sides", shapes[:, 0] / np.maximum(shapes[:, 1], 1), True
    names = _names(dataset, bench, column)
    if names is None:
        return
    for fact in file_facts(names, folder_of(dataset)):
        if fact.is_known.mean() >= 1 - MOST_WITHOUT:
            states = np.where(fact.is_known, fact.values, -np.inf) if fact.is_ordered else coded(fact.values.tolist())
            yield fact.words, states, fact.is_ordered


def _name_parts(dataset: Dataset, bench: Bench, column: str) -> Iterator[Fact]:
    """Parts of the names without folders; what stands before a number is left out where it is the class, as people name files."""
    names = _names(dataset, bench, column)
    if names is None or dataset.task is None:
        return
    stems = [PurePath(name).stem for name in names]
    labels = [label.casefold() for label in dataset.task.classes]
    is_said = bool(labels) and np.mean([any(label in stem.casefold() for label in labels) for stem in stems]) > MOST_WITHOUT
    yield from () if is_said else parts_of(stems)


def _names(dataset: Dataset, bench: Bench, column: str) -> list[str] | None:
    files = dataset.names.get(column)
    if files is None:
        return None
    names = ["" if name is None else str(name) for name in files[bench.rows].tolist()]
    return names if np.mean([not name for name in names]) <= MOST_WITHOUT else None


def _finding(column: str, kind: str, words: str, *, skill: float, bench: Bench, probability: float) -> Finding:
    verb = "avoids {:.0%} of the mistakes of a constant guess" if bench.is_classification else "explains {:.0%} of its ranks"
    return Finding(
        code="telling-files",
        severity=Severity.WARNING if kind == PICTURE else Severity.NOTE,
        where=column,
        what=f"Without a look at what is shown, {kind.format(words)} tells the target: on rows not learned from it "
        f"{verb.format(skill)}.",
        action=REASONS[kind],
        probability=probability,
    )
