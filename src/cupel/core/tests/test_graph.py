"""Inputs and outputs of a graph under construction."""

import numpy as np

from cupel.core.graph import Graph


def shape_of(declared):
    return [axis.dim_param or axis.dim_value for axis in declared.type.tensor_type.shape.dim]


def test_axes_with_a_name_are_free_and_those_with_a_size_are_not():
    graph = Graph()
    pictures = graph.input_of_shape("pictures", np.uint8, axes=("height", "width", 3))
    assert graph.input_of_shape("pictures", np.uint8, axes=("height", "width", 3)) == pictures
    graph.output_of_shape("same", pictures, np.uint8, axes=("height", "width", 3))
    graph.output("copy", graph.input("number", np.float64, width=2), np.float64, width=2)
    model = graph.model().graph
    assert [shape_of(each) for each in model.input] == [["rows", "height", "width", 3], ["rows", 2]]
    assert [shape_of(each) for each in model.output] == [["rows", "height", "width", 3], ["rows", 2]]
