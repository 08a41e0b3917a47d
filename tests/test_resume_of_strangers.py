"""A run folder that a stranger made, as far as `cupel resume` and `cupel refit` read it before they work."""

import os

import pytest

from cupel import pipeline, refitting
from cupel.cli.main import main
from cupel.core import hub
from cupel.core.errors import DataError, UsageError
from cupel.core.limits import Limits
from cupel.core.plain_yaml import yaml_of
from cupel.core.settings import Settings

ASKED = {
    "target": "y",
    "settings": {"backbones": ["someone/else"], "allow_network": True},
    "fingerprint": "abc",
    "version": "1",
    "effort": "quick",
    "source": __file__,
    "seconds": 60.0,
    "began": 1.7e9,
}


@pytest.fixture
def folder(tmp_path):
    return written(tmp_path / "run")


def written(folder, **changes):
    folder.mkdir(exist_ok=True)
    asked = {**ASKED, **changes}
    (folder / "run.yaml").write_text(yaml_of({name: value for name, value in asked.items() if value is not ...}))
    return folder


@pytest.fixture
def downloads(monkeypatch, tmp_path):
    """The names that a hub was asked for."""
    asked = []

    def download(repository):
        asked.append(repository)
        raise UsageError("the hub does not have it")

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hub, "_downloaded", download)
    return asked


def test_a_run_folder_does_not_allow_the_network(folder, downloads):
    with pytest.raises(UsageError, match=r"no someone/else in .*--allow-network"):
        pipeline.resume(folder)
    assert downloads == []
    with pytest.raises(UsageError, match="the hub does not have it"):
        pipeline.resume(folder, limits=Limits(allow_network=True))
    assert downloads == ["someone/else"]


def test_the_command_allows_it_where_it_is_said_again(folder, downloads, capsys):
    assert [main(["resume", str(folder)]), main(["resume", str(folder), "--allow-network"])] == [2, 2]
    assert downloads == ["someone/else"]
    assert "someone/else" in capsys.readouterr().err


def test_a_refit_does_not_take_it_from_the_run_either(folder, downloads, monkeypatch):
    class Old:
        task = None

        @staticmethod
        def load(path):
            return Old()

    given = []
    monkeypatch.setattr(refitting.execution, "read_pick", lambda folder: None)
    monkeypatch.setattr(refitting, "_demand_known_rows", lambda folder: None)
    monkeypatch.setattr(refitting, "Predictor", Old)
    monkeypatch.setattr(refitting, "_settings", lambda settings, old, source: given.append(settings) or 1 / 0)
    for limits in (None, Limits(allow_network=True)):
        with pytest.raises(ZeroDivisionError):
            refitting.refit(folder, {"x": [1], "y": [1]}, limits=limits)
    assert [settings.allow_network for settings in given] == [False, True]


def test_settings_that_are_read_do_not_allow_the_network_by_themselves():
    plain = Settings(allow_network=True, seed=3).to_plain()
    assert Settings.from_plain(plain) == Settings(seed=3)
    assert Settings.from_plain(plain, allow_network=True) == Settings(allow_network=True, seed=3)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"effort": ...}, "effort .*--effort"),
        ({"effort": 5}, "'5' as effort"),
        ({"source": {"y": ["a", "b"]}}, "as source"),
        ({"source": 7}, "'7' as source"),
        ({"source": "gone.csv"}, "'gone.csv', relative to .*--source"),
    ],
)
def test_a_run_file_without_what_is_needed_is_refused(tmp_path, changes, named):
    with pytest.raises(DataError, match=named):
        pipeline.resume(written(tmp_path / "run", **changes))


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_journal_that_is_no_plain_file_is_refused(folder, tmp_path, kind):
    path = folder / "journal" / "journal.jsonl"
    path.parent.mkdir()
    (tmp_path / "other").write_text("x")
    {"link": lambda: path.symlink_to(tmp_path / "other"), "pipe": lambda: os.mkfifo(path), "folder": path.mkdir}[kind]()
    with pytest.raises(DataError, match=r"journal\.jsonl cannot be read"):
        pipeline.resume(folder)


def test_runs_of_outer_folds_that_lie_elsewhere_are_not_written_to(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "journal").mkdir(parents=True)
    (folder / "nested").mkdir()
    (folder / "nested" / "1").symlink_to(elsewhere)
    with pytest.raises(DataError, match="is a link"):
        pipeline.resume(folder, retry_failed=True)
    assert sorted(path.name for path in elsewhere.rglob("*")) == ["journal"]
