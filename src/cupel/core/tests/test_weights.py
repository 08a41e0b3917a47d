"""Weights by name: what is found, what is refused, and what is said about licences."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from cupel.core.errors import MissingDependencyError, UsageError
from cupel.core.finding import Severity
from cupel.core.hub import snapshot_of
from cupel.core.licences import LicenceKind, licence_identifier, licence_kind
from cupel.core.weights import Weights, demand_allowed, find_weights, findings_about


def saved(path: Path, *, value: float = 1.0, **metadata: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"w": np.full(3, value, np.float32)}, path, metadata=metadata or None)
    return path


def found(path: Path | str, **options: bool) -> Weights:
    (weights,) = find_weights([str(path)], **options)
    return weights


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("apache-2.0", LicenceKind.OPEN),
        ("Apache License 2.0", LicenceKind.OPEN),
        ("Apache License, Version 2.0", LicenceKind.OPEN),
        ("MIT", LicenceKind.OPEN),
        ("The MIT License", LicenceKind.OPEN),
        ("GPL-3.0-or-later", LicenceKind.OPEN),
        ("cc-by-4.0", LicenceKind.OPEN),
        ("CC BY-NC 4.0", LicenceKind.NON_COMMERCIAL),
        ("cc-by-nc-sa-4.0", LicenceKind.NON_COMMERCIAL),
        ("FAIR Noncommercial Research License", LicenceKind.NON_COMMERCIAL),
        ("apple-amlr", LicenceKind.NON_COMMERCIAL),
        ("Research only", LicenceKind.NON_COMMERCIAL),
        ("dinov3-license", LicenceKind.UNKNOWN),
        ("zinc", LicenceKind.UNKNOWN),
        ("", LicenceKind.UNKNOWN),
    ],
)
def test_licences_are_known_by_their_names(name: str, kind: LicenceKind) -> None:
    assert licence_kind(name) is kind


def test_a_licence_is_written_as_identifiers_are() -> None:
    assert licence_identifier(" Apache 2.0 ") == licence_identifier("Apache License v2") == "apache-2.0"
    assert licence_identifier("CC_BY NC/4.0") == "cc-by-nc-4.0"


def test_a_file_has_its_hash_and_a_reference_that_means_it_alone(tmp_path: Path) -> None:
    first, second = found(saved(tmp_path / "a" / "net.safetensors")), found(saved(tmp_path / "b" / "net.safetensors", value=2.0))
    assert len(first.files[0].sha256) == 64
    assert first.name == second.name == "net"
    assert first.reference != second.reference
    moved = found(saved(tmp_path / "c" / "net.safetensors"))
    assert moved.reference == first.reference
    assert first.is_used_by({"preparation": {"backbone": first.reference}})
    assert not second.is_used_by({"preparation": {"backbone": first.reference}, "config": None})


def test_the_same_weights_twice_are_one_and_two_of_one_name_are_refused(tmp_path: Path) -> None:
    one, other = saved(tmp_path / "a" / "net.safetensors"), saved(tmp_path / "b" / "net.safetensors", value=2.0)
    assert len(find_weights([str(one), str(one)])) == 1
    with pytest.raises(UsageError, match=r"two backbones are named 'net'.*Rename"):
        find_weights([str(one), str(other)])


def test_the_licence_is_read_from_the_file_then_from_the_card_beside_it(tmp_path: Path) -> None:
    inside = saved(tmp_path / "a" / "net.safetensors", license="mit")
    assert found(inside).licences == (("mit", "net.safetensors"),)
    beside = saved(tmp_path / "b" / "net.safetensors")
    (tmp_path / "b" / "README.md").write_text("---\nlicense: apache-2.0\ntags: [x]\n---\n# A net\n")
    assert found(beside).licences == (("apache-2.0", "README.md"),)
    (tmp_path / "b" / "README.md").write_text("---\nlicense: other\nlicense_name: own-terms\n---\n")
    assert found(beside).licence == "own-terms"
    (tmp_path / "b" / "README.md").write_text("# no front matter\nlicense: mit\n---\n")
    assert found(beside).licence == ""
    (tmp_path / "b" / "config.json").write_text(json.dumps({"architecture": "n", "pretrained_cfg": {"license": "bsd-3-clause"}}))
    assert found(beside).licence == "bsd-3-clause"
    assert found(beside).facts["architecture"] == "n"


def test_of_two_licences_the_one_that_forbids_counts(tmp_path: Path) -> None:
    path = saved(tmp_path / "net.safetensors", licence="mit")
    (tmp_path / "net.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    weights = found(path)
    assert weights.licence == "cc-by-nc-4.0"
    with pytest.raises(UsageError, match=r"'cc-by-nc-4.0' \(net.md\), which forbids.*--allow-licence cc-by-nc-4.0"):
        demand_allowed([weights], allowed=["mit"])
    demand_allowed([weights], allowed=["CC BY-NC 4.0"])
    (finding,) = findings_about([weights])
    assert finding.severity is Severity.NOTE
    assert "was allowed" in finding.what


def test_unknown_licences_are_found_and_open_ones_are_not(tmp_path: Path) -> None:
    (finding,) = findings_about([found(saved(tmp_path / "net.safetensors"))])
    assert finding.severity is Severity.WARNING
    assert "no licence" in finding.what
    assert not list(findings_about([found(saved(tmp_path / "b" / "net.safetensors", license="mit"))]))


@pytest.mark.parametrize("damage", ["---\n{: : [\n---\n", "---\n- a list\n---\n", "\x00\xff", "---\nlicense: 3\n---\n"])
def test_cards_that_cannot_be_read_say_nothing(tmp_path: Path, damage: str) -> None:
    path = saved(tmp_path / "net.safetensors")
    (tmp_path / "README.md").write_bytes(damage.encode("latin-1"))
    (tmp_path / "config.json").write_text("[" * 100_000)
    assert found(path).licences == ()


def test_what_is_no_weights_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "net.pt").write_bytes(b"PK")
    (tmp_path / "net.safetensors").write_bytes(b"\xff" * 40)
    (tmp_path / "net.onnx").write_bytes(b"\xff" * 40)
    (tmp_path / "net.txt").write_text("x")
    (tmp_path / "two").mkdir()
    saved(tmp_path / "two" / "a.safetensors")
    saved(tmp_path / "two" / "b.safetensors")
    for name, message in [
        ("net.pt", "can run code.*Convert"),
        ("net.txt", "this is '.txt'"),
        ("net.safetensors", "cannot be read as .safetensors"),
        ("net.onnx", "cannot be read as .onnx"),
        ("none.onnx", "there is no file"),
        ("two", r"holds 2 files of weights \(a.safetensors, b.safetensors\)"),
    ]:
        with pytest.raises(UsageError, match=message):
            find_weights([str(tmp_path / name)])
    with pytest.raises(UsageError, match="there is no file ''"):
        find_weights([""])


def test_parts_beside_an_onnx_file_are_hashed_and_none_elsewhere_is_read(tmp_path: Path) -> None:
    weight = numpy_helper.from_array(np.ones((64, 64), np.float32), "w")
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 64]) for name in ("x", "y")]
    model = helper.make_model(helper.make_graph([node], "g", ends[:1], ends[1:], [weight]))
    model.metadata_props.add(key="license", value="mit")
    path = tmp_path / "net.onnx"
    onnx.save(model, path, save_as_external_data=True, location="net.data", size_threshold=0)
    weights = found(path)
    assert [Path(file.path).name for file in weights.files] == ["net.onnx", "net.data"]
    assert weights.licence == "mit"
    path.write_bytes(path.read_bytes().replace(b"net.data", b"../a.dat"))
    with pytest.raises(UsageError, match=r"keeps weights in '../a.dat'; expected a file beside it"):
        find_weights([str(path)])


def test_names_are_looked_up_in_the_local_cache_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--timm--tiny.in1k"
    saved(repository / "snapshots" / "abc" / "model.safetensors")
    saved(repository / "snapshots" / "def" / "model.safetensors", value=2.0)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("def")
    for name in ("tiny.in1k", "timm/tiny.in1k", "hf-hub:timm/tiny.in1k"):
        weights = found(name)
        assert weights.name == "tiny.in1k"
        assert "/def/" in weights.files[0].path
    with pytest.raises(UsageError, match=r"no someone/else in .*--allow-network"):
        find_weights(["someone/else"])
    with pytest.raises(UsageError, match=r"'up/one/two' is neither a file nor a name on a hub"):
        find_weights(["up/one/two"])


def test_a_download_that_is_allowed_needs_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "cupel\[timm\]"'):
        snapshot_of("someone/else", allow_network=True)
