import pytest

from cupel.cli.asking import SEARCHES, space_from
from cupel.core.errors import UsageError
from cupel.tuning import SEARCHES as KNOWN


def test_the_searches_offered_are_those_that_there_are():
    assert tuple(KNOWN) == SEARCHES


def test_wishes_are_read_by_family_and_field(tmp_path):
    path = tmp_path / "ranges.yaml"
    path.write_text('RealMLP:\n  width: [64, 128]\n"*":\n  dropout: 0.1\n')
    assert space_from(str(path)) == {"RealMLP": {"width": [64, 128]}, "*": {"dropout": 0.1}}
    assert space_from(None) == {}


@pytest.mark.parametrize("content", ["RealMLP: 3", "- a\n- b", "a: [", "", b"\xff\xfe\x00"])
def test_what_cannot_be_read_is_said_with_an_example(content, tmp_path):
    path = tmp_path / "ranges.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError, match=r"ranges\.yaml"):
        space_from(str(path))
