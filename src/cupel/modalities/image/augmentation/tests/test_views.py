"""What is looked at when predicting: here, and in a packed graph."""

import numpy as np
import onnxruntime
import pytest
import torch

from cupel.core.graph import Graph
from cupel.modalities.image.augmentation import DIGITS, NONE, OBJECTS, Augmentation, View, views

CONFIGS = {"none": NONE, "digits": DIGITS, "objects": OBJECTS, "both": Augmentation(flip="both", translate=0.1)}


def by_graph(view, pictures):
    graph = Graph()
    tensor = graph.input_of_shape("pictures", np.float32, axes=("channels", "height", "width"))
    graph.output_of_shape("seen", view.emit(graph, tensor), np.float32, axes=("channels", "height", "width"))
    session = onnxruntime.InferenceSession(graph.model().SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["seen"], {"pictures": pictures.numpy()})[0]


def drawn(height=7, width=9):
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_graph_sees_the_same(config):
    for view in views(config):
        for size in ((7, 9), (1, 2)):
            pictures = drawn(*size)
            assert np.array_equal(by_graph(view, pictures), view(pictures).numpy())


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_weights_sum_to_1_and_views_differ(config):
    all_views = views(config)
    assert sum(view.weight for view in all_views) == pytest.approx(1)
    seen = [view(drawn()).numpy().tobytes() for view in all_views]
    assert len(set(seen)) == len(seen)
    assert all_views[0](drawn()).equal(drawn())


def test_nothing_is_seen_that_training_did_not_show():
    assert len(views(NONE)) == 1
    assert not any(view.mirrored or view.upturned for view in views(DIGITS))
    assert len(views(OBJECTS)) == 6
    assert not any(view.upturned for view in views(OBJECTS))


def test_a_view_is_plain_indexing():
    pictures = drawn().numpy()
    wide = np.pad(pictures, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    assert np.array_equal(View(down=1, right=-1)(drawn()).numpy(), wide[:, :, 0:7, 2:11])
    mirrored = np.pad(pictures[..., ::-1], ((0, 0), (0, 0), (2, 2), (0, 0)), mode="edge")
    view = View(mirrored=True, down=-2)
    assert np.array_equal(view(drawn()).numpy(), mirrored[:, :, 4:])
    assert np.array_equal(by_graph(view, drawn()), mirrored[:, :, 4:])
