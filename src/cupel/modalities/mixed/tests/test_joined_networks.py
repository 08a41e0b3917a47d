"""Networks joined before their answer: what they begin as, how they learn, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from cupel.core import registry
from cupel.core.errors import TrainingError
from cupel.core.inputs import Inputs, InputShape
from cupel.core.presets import Preset
from cupel.modalities.mixed.example import example_mixed
from cupel.modalities.mixed.network import JoinedNetworks
from cupel.modalities.mixed.preparation import FittedSideBySide, SideBySide, blocks_of_part

DATASET = example_mixed("binary")
ROWS = np.arange(64)
FAMILY = next(f for f in registry.recognise(DATASET.schema).families() if f.name == "Airbench + MLP")


def joined(preset: Preset | None = None, seeds: tuple[int, ...] = (0, 1)) -> tuple[JoinedNetworks, dict[str, torch.Tensor]]:
    assert DATASET.task is not None
    preset = preset or FAMILY.portfolio(DATASET.task)[0]
    inputs = preset.preparation.fit(DATASET, ROWS, seed=0).inputs
    shape = InputShape.covering([inputs])
    assert FAMILY.build is not None
    network = FAMILY.build(shape, n_outputs=2, task=DATASET.task, config=preset.config, seeds=seeds)
    blocks = {
        name: torch.from_numpy(np.stack([block] * len(seeds))) for name, block in inputs.blocks.items() if shape.widths[name]
    }
    assert isinstance(network, JoinedNetworks)
    network.initialise(blocks)
    return network, blocks


def test_it_begins_as_the_sum_of_what_the_parts_say() -> None:
    network, blocks = joined()
    network.eval()
    with torch.no_grad():
        alone = [part(blocks_of_part(blocks, place))[..., :2] for place, part in enumerate(network.networks)]
        torch.testing.assert_close(network(blocks), alone[0] + alone[1])


def test_every_part_and_what_joins_them_learns_at_its_own_rate() -> None:
    network, _ = joined()
    assert DATASET.task is not None
    config = FAMILY.portfolio(DATASET.task)[0].config
    groups = network.parameter_groups()
    held = [id(parameter) for group in groups for parameter in group.parameters]
    assert sorted(held) == sorted(id(parameter) for parameter in network.parameters())
    rates = {id(parameter): group.learning_rate_factor for group in groups for parameter in group.parameters}
    mine = [rates[id(parameter)] for parameter in network.networks[1].parameters()]
    assert config.paces[0] == (1.0, 1.0)
    assert set(mine) == {config.paces[1][0]}
    assert 0 < config.paces[1][0] < 1


def test_what_is_kept_of_a_stack_answers_as_before() -> None:
    network, blocks = joined(seeds=(0, 1, 2))
    network.eval()
    with torch.no_grad():
        before = network(blocks)
        network.keep([2, 0])
        after = network({name: block[[2, 0]] for name, block in blocks.items()})
    torch.testing.assert_close(after, before[[2, 0]])
    assert [part.n_models for part in network.networks] == [2, 2]
    network.train()
    network.changed({name: block[[2, 0]] for name, block in blocks.items()}, torch.zeros(2, 64), n_outputs=2)


def test_targets_of_several_labels_pass_as_they_are() -> None:
    assert DATASET.task is not None
    network, blocks = joined(FAMILY.portfolio(DATASET.task)[0])
    labels = torch.zeros(2, 64, 3)
    assert network.changed(blocks, labels, n_outputs=3)[1] is labels


def test_a_part_that_mixes_samples_is_refused() -> None:
    assert DATASET.task is not None
    preset = FAMILY.portfolio(DATASET.task)[0]
    pictures = replace(preset.config.parts[0], augment="strong")
    mixing = replace(preset, config=replace(preset.config, parts=(pictures, preset.config.parts[1])))
    network, blocks = joined(mixing)
    with pytest.raises(TrainingError, match="mixes samples"):
        network.changed(blocks, torch.zeros(2, 64, dtype=torch.int64), n_outputs=2)


class Prepares:
    """A preparation that gives row numbers, and leaves some rows out."""

    def __init__(self, left_out: tuple[int, ...]) -> None:
        self._left_out = left_out

    def fit(self, dataset: Any, rows: Any, *, seed: int) -> Any:
        from cupel.core.preparation import Prepared

        kept = np.setdiff1d(rows, self._left_out)
        return Prepared(self, self.transform(dataset, kept), kept)  # type: ignore[arg-type]

    def transform(self, dataset: Any, rows: Any) -> Inputs:
        return Inputs({"row": rows[:, None].astype(np.float32)}, {})


def test_rows_that_one_part_leaves_out_are_left_out_of_all() -> None:
    prepared = SideBySide((Prepares((1, 5)), Prepares((5, 7)))).fit(DATASET, np.arange(9), seed=0)
    assert prepared.rows.tolist() == [0, 2, 3, 4, 6, 8]
    assert {name: block[:, 0].tolist() for name, block in prepared.inputs.blocks.items()} == {
        "0/row": [0, 2, 3, 4, 6, 8],
        "1/row": [0, 2, 3, 4, 6, 8],
    }
    assert isinstance(prepared.fitted, FittedSideBySide)
    with pytest.raises(TrainingError, match="none is usable in all parts"):
        SideBySide((Prepares((0, 1)), Prepares((2,)))).fit(DATASET, np.arange(3), seed=0)


def test_a_part_is_not_taken_for_one_of_more_digits() -> None:
    assert blocks_of_part({"1/a": "x", "10/a": "y", "0/1/a": "z"}, 1) == {"a": "x"}
