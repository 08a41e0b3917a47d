"""Plans of random operations: what is drawn, and that a batch is done as its pictures would be one by one."""

import pytest
import torch

from cupel.modalities.image.augmentation.colour import adjust_colour, solarise
from cupel.modalities.image.augmentation.draws import Draws
from cupel.modalities.image.augmentation.geometry import Motion, warp
from cupel.modalities.image.augmentation.operations import MOVING, OPERATIONS
from cupel.modalities.image.augmentation.policies import Plan, RandAugment, TrivialAugment

CPU = torch.device("cpu")
PLACES = {operation.name: place for place, operation in enumerate(OPERATIONS)}


def draws(n, *, seed=0):
    return Draws(n, torch.Generator().manual_seed(seed), CPU)


def drawn(n, *, seed=0):
    return torch.rand(n, 3, 12, 10, generator=torch.Generator().manual_seed(seed))


def test_every_operation_is_drawn_equally_often():
    plan = TrivialAugment().plan(draws(13_000))
    counts = plan.operations[0].bincount(minlength=len(OPERATIONS))
    assert counts.min() > 880
    assert counts.max() < 1120


def test_strengths_go_from_nothing_to_the_strongest_in_both_directions():
    plan = TrivialAugment().plan(draws(40_000))
    for place, operation in enumerate(OPERATIONS):
        strengths = plan.strengths[plan.operations == place]
        lowest = -operation.wide if operation.is_signed else 0.0
        torch.testing.assert_close(strengths.max(), torch.tensor(operation.wide))
        torch.testing.assert_close(strengths.min(), torch.tensor(lowest))
        n_levels = {False: 31, True: 61}[operation.is_signed] if operation.wide else 1
        assert strengths.unique().numel() == n_levels


def test_rand_augment_has_one_magnitude():
    plan = RandAugment(3, 15.0).plan(draws(500))
    assert plan.operations.shape == (3, 500)
    halves = torch.tensor([operation.moderate / 2 for operation in OPERATIONS])
    torch.testing.assert_close(plan.strengths.abs(), halves[plan.operations])


def test_magnitude_0_changes_nothing_but_stretched_contrast():
    plan = RandAugment(2, 0.0).plan(draws(200))
    pictures = drawn(200)
    is_stretched = (plan.operations == PLACES["stretch contrast"]).any(dim=0)
    torch.testing.assert_close(plan.paint(pictures)[~is_stretched], pictures[~is_stretched], atol=1e-6, rtol=0)
    assert not torch.equal(plan.paint(pictures)[is_stretched], pictures[is_stretched])
    still = warp(pictures, plan.matrices(height=12, width=10))
    torch.testing.assert_close(still, pictures, atol=1e-5, rtol=0)


def test_each_picture_gets_its_operation_at_its_strength():
    names = ["identity", "brightness", "saturation", "solarise", "rotate"]
    strengths = torch.tensor([0.0, -0.5, 0.9, 0.4, 30.0])
    plan = Plan(torch.tensor([[PLACES[name] for name in names]]), strengths[None])
    pictures = drawn(5)
    painted = plan.paint(pictures)
    assert torch.equal(painted[[0, 4]], pictures[[0, 4]])
    torch.testing.assert_close(painted[1], pictures[1] * 0.5)
    torch.testing.assert_close(painted[2], adjust_colour(pictures[2:3], saturation=torch.tensor([1.9]))[0])
    torch.testing.assert_close(painted[3], solarise(pictures[3:4], torch.tensor([0.6 * 256 / 255]))[0])
    expected = Motion(degrees=torch.tensor([0.0, 0.0, 0.0, 0.0, 30.0])).matrices(5, CPU)
    torch.testing.assert_close(plan.matrices(height=12, width=10), expected)
    assert plan.moves().tolist() == [False, False, False, False, True]


def test_two_turns_are_one_after_the_other():
    turns = torch.tensor([[PLACES["solarise"]], [PLACES["brightness"]]])
    plan = Plan(turns, torch.tensor([[0.5], [-0.5]]))
    pictures = drawn(1)
    torch.testing.assert_close(plan.paint(pictures), solarise(pictures, torch.tensor([128 / 255])) * 0.5)


def test_translations_are_shares_of_each_side():
    plan = Plan(torch.tensor([[PLACES["translate x"], PLACES["translate y"]]]), torch.tensor([[0.3, -0.25]]))
    moved = plan.matrices(height=40, width=10)[:, :, 2]
    torch.testing.assert_close(moved, torch.tensor([[3.0, 0.0], [0.0, -10.0]]))


@pytest.mark.parametrize("policy", [RandAugment(2, 12.0), TrivialAugment()])
def test_a_batch_is_done_as_its_pictures_one_by_one(policy):
    plan, pictures = policy.plan(draws(60)), drawn(60)
    painted, matrices = plan.paint(pictures), plan.matrices(height=12, width=10)
    assert painted.min() >= 0
    assert painted.max() <= 1
    for row in range(60):
        alone = Plan(plan.operations[:, row : row + 1], plan.strengths[:, row : row + 1])
        torch.testing.assert_close(alone.paint(pictures[row : row + 1])[0], painted[row], atol=1e-6, rtol=0)
        torch.testing.assert_close(alone.matrices(height=12, width=10)[0], matrices[row])


def test_what_moves_is_what_has_no_paint():
    assert {OPERATIONS[place].name for place in MOVING} == {"rotate", "shear x", "shear y", "translate x", "translate y"}
