"""Rectangles: where they lie, what they cover, what is in them."""

import torch

from cupel.modalities.image.augmentation.boxes import Boxes
from cupel.modalities.image.augmentation.draws import Draws
from cupel.modalities.image.augmentation.erasing import cut_out, erase

CPU = torch.device("cpu")


def draws(n, *, seed=0):
    return Draws(n, torch.Generator().manual_seed(seed), CPU)


def test_a_box_covers_what_a_slice_would():
    bounds = torch.tensor([[0, 2, 5], [3, 2, 7], [1, 0, 4], [4, 6, 6]])
    boxes = Boxes(7, 6, *bounds)
    cover = boxes.cover()
    for row, (top, bottom, left, right) in enumerate(bounds.T.tolist()):
        expected = torch.zeros(7, 6, dtype=torch.bool)
        expected[top:bottom, left:right] = True
        assert torch.equal(cover[row, 0], expected)
    torch.testing.assert_close(boxes.shares(), cover.float().mean(dim=(1, 2, 3)))


def test_boxes_within_have_the_area_and_aspect_asked_for():
    boxes = Boxes.within(draws(4000), area=(0.02, 1 / 3), aspect=(0.3, 1 / 0.3), height=200, width=160)
    assert boxes.top.min() >= 0
    assert boxes.left.min() >= 0
    assert boxes.bottom.max() <= 200
    assert boxes.right.max() <= 160
    shares, ratios = boxes.shares(), (boxes.bottom - boxes.top) / (boxes.right - boxes.left)
    assert 0.019 < shares.min() < 0.03
    assert 0.29 < shares.max() < 0.34
    assert 0.28 < ratios.min() < 0.4
    assert 2.6 < ratios.max() < 3.5
    assert (ratios > 1).float().mean() > 0.4
    assert boxes.top.min() == 0
    assert boxes.bottom.max() == 200  # corners are reached


def test_boxes_around_points_are_cut_off_at_the_edges():
    boxes = Boxes.around_points(draws(4000), torch.full((4000,), 0.5), height=20, width=30)
    tall, wide = boxes.bottom - boxes.top, boxes.right - boxes.left
    assert tall.max() == 10
    assert wide.max() == 15
    assert tall.min() == 5
    assert wide.min() in (7, 8)
    assert boxes.bottom.max() <= 20
    assert boxes.left.min() == 0


def test_what_is_cut_out_is_the_mean_colour_and_all_else_stays():
    pictures = torch.rand(50, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    done = cut_out(pictures, draws(50), side_share=0.5)
    is_cut = (done != pictures).any(dim=1, keepdim=True)
    means = pictures.mean(dim=(2, 3), keepdim=True).expand_as(pictures)
    torch.testing.assert_close(done[is_cut.expand_as(done)], means[is_cut.expand_as(done)])
    assert is_cut.sum(dim=(1, 2, 3)).min() >= 16
    assert is_cut.sum(dim=(1, 2, 3)).max() == 64


def test_as_many_pictures_are_erased_as_asked_for():
    pictures = torch.full((2000, 1, 8, 8), 2.0)  # no noise is 2
    is_erased = (erase(pictures, draws(2000), probability=0.25) != pictures).any(dim=(1, 2, 3))
    assert 0.22 < is_erased.float().mean() < 0.28
    done = erase(pictures, draws(2000), probability=1.0)
    assert (done != pictures).any(dim=(1, 2, 3)).all()
    noise = done[done != pictures]
    assert noise.min() >= 0
    assert noise.max() <= 1
    assert noise.unique().numel() == 64


def test_nothing_is_erased_at_probability_0():
    pictures = draws(20, seed=5).noise(20, 1, 8, 8)
    assert torch.equal(erase(pictures, draws(20), probability=0.0), pictures)


def test_a_single_pixel_can_be_erased():
    assert erase(torch.zeros(5, 1, 1, 1), draws(5), probability=1.0).shape == (5, 1, 1, 1)
