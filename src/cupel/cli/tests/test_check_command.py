import hashlib
import json
import zipfile

import pytest

import packed_examples as examples
from cupel.cli.main import main


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return examples.packed(tmp_path_factory.mktemp("packed"))


def test_every_claim_is_shown_beside_what_was_measured_at_packing(model, capsys):
    assert main(["check", str(model)]) == 0
    said = capsys.readouterr().out
    lines = {line.split()[0]: line.split() for line in said.splitlines() if line.strip()}
    for name in ("trained", "one_by_one", "subset", "contract", "refusals", "missing"):
        assert len(lines[name]) == 4
        assert "–" not in lines[name]
    assert lines["onnxruntime"][1] == lines["onnxruntime"][2]
    assert "predicts here what it was trained to" in said


def test_a_machine_can_read_it(model, capsys):
    assert main(["check", str(model), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["holds"]
    assert found["claims"]["trained"]["limit"] == 1e-4
    assert found["claims"]["trained"]["packed"] == found["claims"]["trained"]["here"]


def test_a_model_that_predicts_something_else_is_shown_and_refused(tmp_path, capsys):
    packed = examples.packed(tmp_path)
    changed = _with_golden(packed, tmp_path / "changed.cupel", shift=0.25)
    assert main(["check", str(changed), "--json"]) == 3
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert not found["holds"]
    assert not found["claims"]["trained"]["holds"]
    assert found["claims"]["trained"]["here"] > 0.1
    assert found["claims"]["subset"]["holds"]
    assert "must not be used here" in said.err


def test_what_a_stranger_wrote_into_the_certificate_does_not_steer_the_terminal(tmp_path, capsys):
    packed = examples.packed(tmp_path)
    planted = {"measured": {"trained": "\x1b[2J", "subset": True}, "machine": "\x1b[31mred", "python": "x" * 500, "numpy": 5}
    for number, certificate in enumerate((planted, {"measured": 5}, [], "x", None)):
        changed = _with_manifest(packed, tmp_path / f"{number}.cupel", certificate=certificate)
        assert main(["check", str(changed)]) == 0
        assert "\x1b" not in capsys.readouterr().out


def _with_manifest(source, target, **fields):
    with zipfile.ZipFile(source) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents["manifest.json"] = json.dumps({**json.loads(contents["manifest.json"]), **fields}).encode()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return target


def _with_golden(source, target, *, shift):
    with zipfile.ZipFile(source) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    golden = json.loads(contents["golden.json"])
    golden["expected"] = [[value + shift for value in row] for row in golden["expected"]]
    contents["golden.json"] = json.dumps(golden).encode()
    manifest = json.loads(contents["manifest.json"])
    manifest["files"]["golden.json"] = {
        "sha256": hashlib.sha256(contents["golden.json"]).hexdigest(),
        "bytes": len(contents["golden.json"]),
    }
    contents["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return target
