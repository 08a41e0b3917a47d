import gc
import hashlib
import io
import json
import os
import resource
import stat
import struct
import zipfile
from functools import partial

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import packed_examples as examples
from cupel.core.errors import ArtifactError
from cupel.core.graph_sessions import open_graph
from cupel.serving import load
from cupel.serving.artifact import open_artifact

DATE = (1980, 1, 1, 0, 0, 0)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return examples.packed(tmp_path_factory.mktemp("packed")).read_bytes()


def contents_of(artifact):
    with zipfile.ZipFile(io.BytesIO(artifact)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(contents, *, compression=zipfile.ZIP_DEFLATED, **changes):
    """An archive of (name, content) pairs; `changes` are set on every member."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in contents.items() if isinstance(contents, dict) else contents:
            info = zipfile.ZipInfo(name, DATE)
            info.compress_type = compression
            info.external_attr = 0o644 << 16
            for field, value in changes.items():
                setattr(info, field, value)
            archive.writestr(info, content)
    return stream.getvalue()


def with_parts(artifact, **parts):
    """The artifact with members replaced (names with _ for .) and its manifest made to agree."""
    contents = contents_of(artifact)
    manifest = json.loads(contents["manifest.json"])
    for name, content in parts.items():
        contents[name.replace("_", ".")] = content
    for name in manifest["files"]:
        manifest["files"][name] = {"sha256": hashlib.sha256(contents[name]).hexdigest(), "bytes": len(contents[name])}
    return zipped({**contents, "manifest.json": json.dumps(manifest).encode()})


def with_manifest(artifact, **fields):
    contents = contents_of(artifact)
    manifest = {**json.loads(contents["manifest.json"]), **fields}
    manifest = {name: value for name, value in manifest.items() if value is not ...}
    return zipped({**contents, "manifest.json": json.dumps(manifest).encode()})


def with_json(artifact, part, change):
    plain = json.loads(contents_of(artifact)[part])
    change(plain)
    return with_parts(artifact, **{part.replace(".", "_"): json.dumps(plain).encode()})


def without(artifact, name):
    return zipped({other: content for other, content in contents_of(artifact).items() if other != name})


def renamed(artifact, old, new):
    return zipped({new if name == old else name: content for name, content in contents_of(artifact).items()})


def with_extra(artifact, name, **changes):
    return zipped([*contents_of(artifact).items(), (name, b"x")], **changes)


def doubled(artifact, name):
    contents = contents_of(artifact)
    with pytest.warns(UserWarning, match="Duplicate name"):
        return zipped([*contents.items(), (name, contents[name])])


def as_link(artifact, name):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for member, content in contents_of(artifact).items():
            info = zipfile.ZipInfo(member, DATE)
            info.external_attr = ((stat.S_IFLNK | 0o777) if member == name else 0o644) << 16
            archive.writestr(info, b"/etc/passwd" if member == name else content)
    return stream.getvalue()


def bomb(artifact):
    return with_parts(artifact, card_md=b"\0" * (12 << 20))


def huge(artifact):
    """A member that claims more than may be read, in the directory."""
    at = artifact.index(b"PK\1\2")
    return artifact[: at + 24] + struct.pack("<L", 0x7FFFFFFF) + artifact[at + 28 :]


def overlapping(artifact):
    """Two members of the directory that point to the same bytes."""
    first = artifact.index(b"PK\1\2")
    second = artifact.index(b"PK\1\2", first + 1)
    return artifact[: second + 42] + artifact[first + 42 : first + 46] + artifact[second + 46 :]


def encrypted(artifact):
    at = artifact.index(b"PK\1\2")
    return artifact[: at + 8] + b"\1\0" + artifact[at + 10 :]


def other_local_name(artifact):
    return artifact.replace(b"model.onnx", b"model.evil", 1)


def deep(artifact):
    return with_parts(artifact, facts_json=b"[" * 100_000 + b"]" * 100_000)


def outside_weights(artifact, location):
    model = onnx.load_from_string(contents_of(artifact)["model.onnx"])
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "8")):
        entry = weights.external_data.add()
        entry.key, entry.value = key, value
    return with_parts(artifact, model_onnx=model.SerializeToString())


def foreign_graph(artifact):
    """A graph of other inputs than the manifest declares."""
    x = helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["rows", 2])
    y = helper.make_tensor_value_info("prediction", TensorProto.DOUBLE, ["rows", 2])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["prediction"])], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return with_parts(artifact, model_onnx=model.SerializeToString())


def unknown_operator(artifact):
    model = onnx.load_from_string(contents_of(artifact)["model.onnx"])
    model.graph.node[0].domain = "evil.ops"
    model.opset_import.append(helper.make_opsetid("evil.ops", 1))
    return with_parts(artifact, model_onnx=model.SerializeToString())


HOSTILE = {
    "path out of the folder": lambda a: renamed(a, "card.md", "../card.md"),
    "absolute path": lambda a: renamed(a, "card.md", "/tmp/card.md"),
    "backslashes": lambda a: renamed(a, "card.md", "..\\card.md"),
    "drive letter": lambda a: renamed(a, "card.md", "C:card.md"),
    "other case": lambda a: renamed(a, "card.md", "CARD.md"),
    "name cut by a null byte": lambda a: renamed(a, "card.md", "card.mdQpkl").replace(b"card.mdQpkl", b"card.md\0pkl"),
    "folder": lambda a: with_extra(a, "models/"),
    "extra member": lambda a: with_extra(a, "notes.txt"),
    "pickle": lambda a: with_extra(a, "model.pkl"),
    "no manifest": lambda a: without(a, "manifest.json"),
    "no model": lambda a: without(a, "model.onnx"),
    "no golden rows": lambda a: without(a, "golden.json"),
    "member twice": lambda a: doubled(a, "model.onnx"),
    "link": lambda a: as_link(a, "card.md"),
    "device": lambda a: zipped(contents_of(a), external_attr=(stat.S_IFCHR | 0o644) << 16),
    "bzip2": lambda a: zipped(contents_of(a), compression=zipfile.ZIP_BZIP2),
    "lzma": lambda a: zipped(contents_of(a), compression=zipfile.ZIP_LZMA),
    "extra field": lambda a: zipped(contents_of(a), extra=b"\xfe\xca\0\0"),
    "encrypted": encrypted,
    "bomb": bomb,
    "claims two gigabytes": huge,
    "overlapping members": overlapping,
    "another name at the member": other_local_name,
    "bytes before": lambda a: b"#!/bin/sh\n" + a,
    "bytes after": lambda a: a + b"\0",
    "comment": lambda a: a[:-2] + b"\1\0x",
    "cut short": lambda a: a[: len(a) // 2],
    "cut by one byte": lambda a: a[:-1],
    "empty": lambda a: b"",
    "text": lambda a: b"age,plan\n1,2\n",
    "only an end record": lambda a: b"PK\5\6" + b"\0" * 18,
    "model changed, manifest not": lambda a: zipped({**contents_of(a), "model.onnx": b"x" * 100}),
    "card changed, manifest not": lambda a: zipped({**contents_of(a), "card.md": b"# B model\n"}),
    "card is not UTF-8": lambda a: with_parts(a, card_md=b"\xff\xfe"),
    "facts are deep": deep,
    "facts hold NaN": lambda a: with_parts(a, facts_json=b'{"x": NaN}'),
    "facts name a thing twice": lambda a: with_parts(a, facts_json=b'{"x": 1, "x": 2}'),
    "facts are no JSON": lambda a: with_parts(a, facts_json=b"{"),
    "manifest is a list": lambda a: zipped({**contents_of(a), "manifest.json": b"[]"}),
    "no format": lambda a: with_manifest(a, format=...),
    "format is a text": lambda a: with_manifest(a, format="1"),
    "format is true": lambda a: with_manifest(a, format=True),
    "format zero": lambda a: with_manifest(a, format=0),
    "future format": lambda a: with_manifest(a, format=2, cupel="9.0"),
    "no files": lambda a: with_manifest(a, files={}),
    "files without sizes": lambda a: with_manifest(a, files={name: {"sha256": "0" * 64} for name in parts_of(a)}),
    "no inputs": lambda a: with_manifest(a, inputs=[]),
    "inputs missing": lambda a: with_manifest(a, inputs=...),
    "inputs of an unknown column": lambda a: with_manifest(a, inputs=[{"name": "number", "kind": "numbers", "columns": ["x"]}]),
    "inputs of a wrong kind": lambda a: with_manifest(a, inputs=[{"name": "number", "kind": "numbers", "columns": ["plan"]}]),
    "inputs that read the target": lambda a: with_manifest(a, inputs=[{"name": "c", "kind": "strings", "columns": ["answer"]}]),
    "inputs as texts": lambda a: with_manifest(a, inputs=["number"]),
    "inputs unlike the graph's": lambda a: with_manifest(a, inputs=[{"name": "number", "kind": "numbers", "columns": ["age"]}]),
    "no task": lambda a: with_manifest(a, task=...),
    "unknown task": lambda a: with_manifest(a, task={"kind": "poetry", "target": "x", "metric": "x", "classes": []}),
    "one class": lambda a: with_manifest(a, task={"kind": "binary", "target": "x", "metric": "x", "classes": ["a"]}),
    "equal classes": lambda a: with_manifest(a, task={"kind": "binary", "target": "x", "metric": "x", "classes": ["a", "a"]}),
    "classes as text": lambda a: with_manifest(a, task={"kind": "binary", "target": "x", "metric": "x", "classes": "ab"}),
    "more classes than the graph": lambda a: with_manifest(
        a, task={"kind": "multiclass", "target": "answer", "metric": "x", "classes": ["a", "b", "c"]}
    ),
    "schema without columns": lambda a: with_parts(a, schema_json=b"{}"),
    "schema with an unknown field": lambda a: with_json(a, "schema.json", lambda s: s["columns"][0].update(code="import os")),
    "schema with equal names": lambda a: with_json(a, "schema.json", lambda s: s["columns"].append(s["columns"][1])),
    "schema with a name of another type": lambda a: with_json(a, "schema.json", lambda s: s["columns"][0].update(name=5)),
    "schema with a limit of another type": lambda a: with_json(a, "schema.json", lambda s: s["columns"][2].update(low="x")),
    "schema with a strange date format": lambda a: with_json(
        a, "schema.json", lambda s: s["columns"][5].update(datetime_format="%Q")
    ),
    "schema with a broken date format": lambda a: with_json(
        a, "schema.json", lambda s: s["columns"][5].update(datetime_format="%d%d%d")
    ),
    "model is no graph": lambda a: with_parts(a, model_onnx=b"\0" * 64),
    "model is empty": lambda a: with_parts(a, model_onnx=b""),
    "model in the runtime's own format": lambda a: with_parts(a, model_onnx=b"\x18\0\0\0ORTM" + b"\0" * 100),
    "graph of other inputs": foreign_graph,
    "graph with unknown operators": unknown_operator,
    "weights in a file": lambda a: outside_weights(a, "weights.bin"),
    "weights in a secret file": lambda a: outside_weights(a, "/etc/passwd"),
    "weights out of the folder": lambda a: outside_weights(a, "../../weights.bin"),
    "weights at an address": lambda a: outside_weights(a, "*/_ORT_MEM_ADDR_/*"),
}


def parts_of(artifact):
    return [name for name in contents_of(artifact) if name != "manifest.json"]


def test_rebuilding_an_artifact_keeps_it_loadable(good):
    for rebuilt in (zipped(contents_of(good)), zipped(contents_of(good), compression=zipfile.ZIP_STORED), with_parts(good)):
        assert load(rebuilt).check()["trained"] < 1e-9


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_artifact_is_refused(good, tmp_path, kind):
    path = tmp_path / "model.cupel"
    path.write_bytes(HOSTILE[kind](good))
    with pytest.raises(ArtifactError) as caught:
        load(path).predict(examples.RAW)
    assert len(str(caught.value)) < 1500
    assert "model.cupel" in str(caught.value)


@pytest.mark.parametrize("cell", [b"[]", b"{}", b'"ab"', b'{"":0}'])
def test_json_that_would_take_much_memory_is_refused_before_it_is_parsed(good, monkeypatch, cell):
    monkeypatch.setattr("cupel.serving.artifact.MOST_PARSED_BYTES", 5 << 20)
    plain = b'{"columns": [' + b",".join([cell] * 80_000) + b"]}"
    with pytest.raises(ArtifactError, match=r"schema\.json would take about .* of memory"):
        open_artifact(with_parts(good, schema_json=plain)).json("schema.json")


def test_a_column_of_very_many_levels_is_read(good):
    levels = [f"customer {n}, “north”" for n in range(100_000)]
    changed = with_json(good, "schema.json", lambda s: s["columns"][1].update(levels=levels))
    assert open_artifact(changed).json("schema.json")["columns"][1]["levels"] == levels


def test_golden_rows_that_cannot_be_used_are_refused_at_the_check(good):
    changes = [
        lambda g: g.pop("rows"),
        lambda g: g.update(rows=[]),
        lambda g: g.update(expected=[]),
        lambda g: g.update(expected=g["expected"][:-1]),
        lambda g: g.update(expected=[[1.0]] * 8),
        lambda g: g.update(expected=[["x", "y"]] * 8),
        lambda g: g.update(tolerance=10.0),
        lambda g: g.update(tolerance=-1),
        lambda g: g.update(spread=0),
        lambda g: g["rows"].update(age="young"),
    ]
    for change in changes:
        with pytest.raises(ArtifactError):
            load(with_json(good, "golden.json", change)).check()


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx", "schema.json", "golden.json", "facts.json", "card.md"])
def test_a_flipped_bit_in_any_member_is_refused(good, name):
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        info = archive.getinfo(name)
    start = info.header_offset + 30 + len(name)
    expected, n_refused, n_tried = open_artifact(good).contents, 0, 0
    for position in set(np.linspace(start, start + info.compress_size - 1, 25).astype(int)):
        for bit in (0, 3, 7):
            damaged = bytearray(good)
            damaged[position] ^= 1 << bit
            n_tried += 1
            try:  # a few bits of the packing, after the last byte of content, say nothing about it
                assert open_artifact(bytes(damaged)).contents == expected
            except ArtifactError:
                n_refused += 1
    assert n_refused > 0.7 * n_tried


def test_no_single_byte_anywhere_changes_what_is_read(good):
    expected = open_artifact(good)
    n_refused = 0
    for position in np.linspace(0, len(good) - 1, 600).astype(int):
        damaged = bytearray(good)
        damaged[position] ^= 0x55
        try:
            read = open_artifact(bytes(damaged))
        except ArtifactError:
            n_refused += 1
            continue
        assert read.contents == expected.contents
        assert read.manifest == expected.manifest
    assert n_refused > 500


def test_a_cut_artifact_is_refused_wherever_it_is_cut(good):
    for length in np.linspace(0, len(good) - 1, 60).astype(int):
        with pytest.raises(ArtifactError):
            open_artifact(good[:length])


def vast(artifact, *, kind="ReduceMax", **sizes):
    """A graph that asks for a matrix of 64 GB to add its largest number to the prediction."""
    model = onnx.load_from_string(contents_of(artifact)["model.onnx"])
    graph = model.graph
    (end,) = (node for node in graph.node if "prediction" in node.output)
    end.output[:] = ["honest"]
    graph.initializer.extend(numpy_helper.from_array(np.array(size), name) for name, size in sizes.items())
    graph.node.extend(
        [
            helper.make_node("ReduceMax", ["number"], ["one"], keepdims=1),
            helper.make_node("Expand", ["one", "long"], ["rows"]),
            helper.make_node("Expand", ["one", "wide"], ["columns"]),
            helper.make_node("Add", ["rows", "columns"], ["all"]),
            helper.make_node("Cast", ["all"], ["truths"], to=TensorProto.BOOL),
            helper.make_node("NonZero", ["truths"], ["places"]),
            helper.make_node("Cast", ["places"], ["numbers"], to=TensorProto.DOUBLE),
            helper.make_node("ReduceMax", ["numbers" if kind == "NonZero" else "all"], ["most"], keepdims=0),
            helper.make_node("Add", ["honest", "most"], ["prediction"]),
        ]
    )
    if kind != "NonZero":
        del graph.node[-5:-2]
    return with_parts(artifact, model_onnx=model.SerializeToString())


def test_a_small_graph_that_would_take_all_memory_is_stopped_and_says_how_to_allow_more(good):
    small = vast(good, long=[1 << 17, 1], wide=[1, 1 << 16])
    assert len(small) < len(good) + 1000
    predictor = load(small)
    for act in (lambda: predictor.predict(examples.RAW), predictor.check):
        with pytest.raises(ArtifactError, match=r"more than the [0-9.]+ GB .* --memory 16GB, or load\(…, memory='16GB'\)"):
            act()


def test_a_graph_may_take_what_it_is_allowed(good):
    larger = vast(good, long=[1 << 11, 1], wide=[1, 1 << 11])
    assert load(larger, memory="1GB").predict(examples.RAW) is not None
    with pytest.raises(ArtifactError, match=r"more than the 0\.0 GB"):
        load(larger, memory="20MB").predict(examples.RAW)


def test_the_system_holds_all_that_a_graph_takes_where_the_model_is_alone(good, monkeypatch):
    opened_without_bound = partial(open_graph, memory_bytes=4 << 30)
    monkeypatch.setattr("cupel.serving.session.open_graph", lambda model, **_: opened_without_bound(model))
    monkeypatch.setattr("cupel.core.foreign_graphs.UNHELD", frozenset())
    beside = vast(good, kind="NonZero", long=[1 << 11, 1], wide=[1, 1 << 11])
    before = resource.getrlimit(resource.RLIMIT_DATA)
    for options in ({"memory": "2GB", "is_alone": True}, {"memory": "50MB"}):
        assert load(beside, **options).predict(examples.RAW) is not None
    gc.collect()
    with pytest.raises(ArtifactError, match=r"more than the 0\.1 GB"):
        load(beside, memory="50MB", is_alone=True).predict(examples.RAW)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_a_pipe_in_the_place_of_a_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ArtifactError, match="no regular file"):
        load(tmp_path / "pipe")


def test_a_future_format_says_what_to_do(good):
    with pytest.raises(ArtifactError, match=r"format 2, written by Cupel 9.0.*pip install -U cupel"):
        load(with_manifest(good, format=2, cupel="9.0"))
