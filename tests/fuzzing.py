"""Strange input by the hundred thousand: whatever comes, Cupel answers, or refuses with an error of its own.

    python tests/fuzzing.py --inputs 100000 --work fuzz

goes on where it stopped. What broke something is described in the work folder, and makes the exit code 1. A short form of the
same runs with the fast tests.
"""

from __future__ import annotations

import argparse
import csv
import functools
import hashlib
import io
import json
import os
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

import fuzzing_runs as runs
import packed_examples as examples
from cupel import data
from cupel.cli.predictions import written
from cupel.core import registry
from cupel.core.foreign_graphs import fault_of
from cupel.core.plain_yaml import parsed_yaml, yaml_of
from cupel.core.recipe import Recipe
from cupel.core.restoring import restored
from cupel.core.settings import Settings
from cupel.core.untrusted import parsed_array, parsed_json
from cupel.core.widening import widened
from cupel.serving import load
from cupel.verdict import leaderboard_csv
from fuzzing_runs import refused_at_most

Case = Callable[[Any, Path], None]
N_IN_A_CHUNK = 250
MOST_SECONDS = 30
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
CELLS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.binary(max_size=8)
    | st.dates()
    | st.datetimes()
    | st.decimals()
    | st.lists(st.integers(), max_size=3)
    | st.sampled_from(["gold", "yes", "31.1.2001", "1.234,50", "unknown", "NaN", "1e999", "\x00", "data:image/png;base64,x"])
)
TABLE_TEXT = st.text(alphabet=st.sampled_from("ab1290.,;\t|\"'\n\r -+eE:/\\=#\ufeff\x00é𝔸"), max_size=200)


@functools.cache
def artifact() -> bytes:
    """A packed model."""
    with tempfile.TemporaryDirectory() as folder:
        return examples.packed(Path(folder)).read_bytes()


@functools.cache
def predictor() -> Any:
    """The same, loaded."""
    return load(artifact())


@functools.cache
def members() -> Mapping[str, bytes]:
    """The same, as files."""
    with zipfile.ZipFile(io.BytesIO(artifact())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@functools.cache
def tables() -> Mapping[str, bytes]:
    """A small table in every format that has a structure of its own."""
    frame = polars.DataFrame({"a": [1, 2, 3, None], "b": ["x", "y", None, "z"], "y": ["p", "q", "p", "q"]})
    parquet, arrow, excel = io.BytesIO(), io.BytesIO(), io.BytesIO()
    frame.write_parquet(parquet)
    frame.write_ipc(arrow)
    frame.write_excel(excel)
    return {
        ".csv": frame.write_csv().encode(),
        ".jsonl": frame.write_ndjson().encode(),
        ".parquet": parquet.getvalue(),
        ".arrow": arrow.getvalue(),
        ".xlsx": excel.getvalue(),
        ".npz": _npz(),
    }


def _npz() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, images=np.zeros((4, 8, 8), np.uint8), labels=np.array([0, 1, 0, 1]))
    return stream.getvalue()


@st.composite
def damaged(draw: Any, content: bytes) -> bytes:
    """Bytes with a few of them changed, cut out or put in."""
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(changed) - 1, 0)))
        match draw(st.sampled_from(("flip", "cut", "insert", "end"))):
            case "flip" if changed:
                changed[place] ^= draw(st.integers(1, 255))
            case "cut":
                del changed[place : place + draw(st.integers(1, 40))]
            case "insert":
                changed[place:place] = draw(st.binary(min_size=1, max_size=16))
            case _:
                del changed[place:]
    return bytes(changed)


@st.composite
def replaced(draw: Any, plain: Any) -> Any:
    """Plain values with one of them, at any depth, exchanged, taken out or joined by another."""
    if isinstance(plain, dict) and plain and draw(st.integers(0, 4)):
        name = draw(st.sampled_from(sorted(plain)))
        return {**plain, name: draw(replaced(plain[name]))}
    if isinstance(plain, list) and plain and draw(st.integers(0, 4)):
        place = draw(st.integers(0, len(plain) - 1))
        return [*plain[:place], draw(replaced(plain[place])), *plain[place + 1 :]]
    if isinstance(plain, dict) and draw(st.booleans()):
        return {**plain, draw(st.text(max_size=8)): draw(PLAIN)}
    return draw(PLAIN)


def read_a_table(given_: tuple[str, bytes], folder: Path) -> None:
    """Any file, by its suffix, with and without a target."""
    suffix, content = given_
    path = folder / f"table{suffix}"
    path.write_bytes(content)
    readers = registry.readers()
    refused_at_most(lambda: data.read(path, readers=readers))
    refused_at_most(lambda: data.read(path, target="y", readers=readers))


def open_an_artifact(content: bytes, folder: Path) -> None:
    """Damaged bytes of a packed model."""
    del folder
    refused_at_most(lambda: load(content).claims())


def open_a_rewritten_artifact(given_: tuple[str, Any], folder: Path) -> None:
    """A packed model in which one file says something else, and the manifest agrees."""
    del folder
    name, plain = given_
    contents = dict(members())
    contents[name] = json.dumps(plain).encode()
    if name != "manifest.json":
        manifest = json.loads(contents["manifest.json"])
        manifest["files"][name] = {"sha256": hashlib.sha256(contents[name]).hexdigest(), "bytes": len(contents[name])}
        contents["manifest.json"] = json.dumps(manifest).encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for member, content in contents.items():
            archive.writestr(zipfile.ZipInfo(member), content)
    opened = refused_at_most(lambda: load(stream.getvalue()))
    if opened is not None:
        refused_at_most(opened.claims)
        refused_at_most(lambda: opened.predict(examples.RAW))


def follow_a_graph(content: bytes, folder: Path) -> None:
    """Damaged bytes of a graph: the walks over them end, and make little of them."""
    del folder
    fault = fault_of(content)
    assert fault is None or fault
    assert len(widened(content)) <= 3 * len(content) + 100


def predict_rows(rows: Mapping[str, list[Any]], folder: Path) -> None:
    """Any cells in the columns of a model."""
    del folder
    n_rows = max(map(len, rows.values()))
    columns = {name: (cells * n_rows)[:n_rows] if cells else [None] * n_rows for name, cells in rows.items()}
    predicted = refused_at_most(lambda: predictor().predict_proba(columns))
    assert predicted is None or (predicted.shape == (n_rows, 2) and np.isfinite(predicted).all())
    record = {name: cells[0] for name, cells in columns.items()} if n_rows else None
    if record is not None:
        refused_at_most(lambda: predictor().predict(record))


def read_settings(plain: Any, folder: Path) -> None:
    """Any settings, recipes and configs."""
    del folder
    for kind in (Settings, Recipe):
        refused_at_most(lambda kind=kind: restored(kind, plain, what="it"))  # type: ignore[misc]


def read_plain_values(content: bytes, folder: Path) -> None:
    """Any bytes as JSON, YAML and arrays."""
    del folder
    refused_at_most(lambda: parsed_json(content), ValueError)
    refused_at_most(lambda: parsed_array(content, dtype=np.float64, n_axes=2), ValueError)
    text = content.decode("utf-8", "replace")
    refused_at_most(lambda: parsed_yaml(text), ValueError)


def write_plain_values(plain: Any, folder: Path) -> None:
    """Plain values written as YAML are read as they were."""
    del folder
    text = yaml_of(plain)
    refused_at_most(lambda: parsed_yaml(text), ValueError)


def write_a_table(names: list[tuple[str, str]], folder: Path) -> None:
    """No cell of a CSV file that Cupel writes is a formula, and none is lost."""
    del folder
    columns = {name: np.array([cell, "plain"], dtype=object) for name, cell in names}
    rows = list(csv.reader(io.StringIO(written(columns, suffix=".csv").decode(), newline="")))
    board = leaderboard_csv([{"name": name, "reason": cell} for name, cell in names])
    rows += csv.reader(io.StringIO(board, newline=""))
    for row in rows:
        for cell in row:
            assert not cell.lstrip()[:1] or cell.lstrip()[0] not in "=+-@＝＋－＠" or _is_number(cell), cell
            assert cell[:1] not in ("\t", "\r", "\n")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _plain_of(name: str) -> Any:
    return json.loads(members()[name])


SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet", ".arrow", ".xlsx", ".sqlite", ".db", ".npz", ".gz")


def _told(contents: Mapping[str, bytes]) -> Callable[[str], st.SearchStrategy[Any]]:
    """By a file's name, the name and what else may stand in it."""

    def strategy(name: str) -> st.SearchStrategy[Any]:
        others = damaged(contents[name]) | st.binary(max_size=300)
        if name.endswith(".json"):
            others |= replaced(json.loads(contents[name])).map(lambda plain: json.dumps(plain).encode())
        return st.tuples(st.just(name), others)

    return strategy


def cases() -> dict[str, tuple[st.SearchStrategy[Any], Case]]:
    """Everything that is fuzzed: what comes, and what is done with it."""
    any_file = st.tuples(st.sampled_from(SUFFIXES), st.binary(max_size=300) | TABLE_TEXT.map(lambda text: text.encode()))
    known_file = st.sampled_from(sorted(tables())).flatmap(lambda name: st.tuples(st.just(name), damaged(tables()[name])))
    rewritten = st.sampled_from(("manifest.json", "schema.json", "golden.json", "facts.json")).flatmap(
        lambda name: st.tuples(st.just(name), replaced(_plain_of(name)))
    )
    unit, run, final_fit = runs.unit_contents(), runs.run_contents(), runs.final_fit_contents()
    unit_file = st.sampled_from(sorted(unit)).flatmap(lambda name: st.tuples(st.just(name), damaged(unit[name]) | st.binary()))
    asked = damaged(yaml_of(runs.RESUMED).encode()) | replaced(runs.RESUMED).map(lambda plain: yaml_of(plain).encode())
    journals = damaged(runs.a_journal()) | st.binary(max_size=300)
    odd = st.tuples(st.sampled_from(("journal", "journal", "journal", "link", "pipe", "folder")), journals)
    resumed = st.tuples(st.just("run.yaml"), asked) | odd
    rows = st.fixed_dictionaries({name: st.lists(CELLS, max_size=4) for name in examples.RAW}).filter(lambda r: any(r.values()))
    texts = st.text(max_size=12) | st.sampled_from(["=1+1", "+x", "-x", "@x", " =x", "\t=x", "\u3000=x", "＝x", "-5", "\r=x"])
    named = st.lists(st.tuples(texts, texts), min_size=1, max_size=4, unique_by=lambda pair: pair[0])
    return {
        "tables": (any_file | known_file, read_a_table),
        "artifacts": (damaged(artifact()), open_an_artifact),
        "rewritten artifacts": (rewritten, open_a_rewritten_artifact),
        "graphs": (damaged(examples.unit(2)[0]), follow_a_graph),
        "rows": (rows, predict_rows),
        "runs": (
            damaged(yaml_of(runs.RUN).encode()) | replaced(runs.RUN).map(lambda plain: yaml_of(plain).encode()),
            runs.read_a_run,
        ),
        "resumed runs": (st.tuples(resumed, st.booleans()).map(lambda pair: (*pair[0], pair[1])), runs.resume_a_run),
        "settings": (replaced(Settings().to_plain()) | PLAIN, read_settings),
        "picks": (
            damaged(runs.a_pick()) | replaced(json.loads(runs.a_pick())).map(lambda plain: json.dumps(plain).encode()),
            runs.read_a_pick,
        ),
        "journals": (damaged(runs.a_journal()) | st.binary(), runs.read_a_journal),
        "units": (unit_file, runs.read_a_unit),
        "records": (st.lists(replaced(runs.STARTED), max_size=3), runs.read_the_records),
        "final fits": (st.sampled_from(("facts.json", "refused.json")).flatmap(_told(final_fit)), runs.read_a_final_fit),
        "run folders": (st.sampled_from(sorted(run)).flatmap(_told(run)), runs.open_a_run),
        "checkpoints": (st.tuples(st.binary() | damaged(runs.checkpoint()), st.binary()), runs.read_a_checkpoint),
        "prepared rows": (st.binary() | replaced(runs.rows_state()).map(lambda plain: json.dumps(plain).encode()), runs.go_on),
        "plain values": (st.binary(max_size=300) | TABLE_TEXT.map(lambda text: text.encode()), read_plain_values),
        "yaml": (PLAIN, write_plain_values),
        "exports": (named, write_a_table),
    }


class HangError(Exception):
    """An input took too long."""


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Ends with an error what takes so many seconds of work, whatever else the machine does, or 20 times as many of waiting."""

    def end(number: int, frame: object) -> None:
        del number, frame
        raise HangError(f"it took more than {seconds} s")

    before = [signal.signal(number, end) for number in (signal.SIGPROF, signal.SIGALRM)]
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, 20 * seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in zip((signal.SIGPROF, signal.SIGALRM), before, strict=True):
            signal.signal(number, handler)


_written: list[str] = []


@functools.cache
def _watch_writing() -> None:
    """From now on what this process opens for writing, makes, moves or removes is noted; hooks cannot be taken away again."""

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, str) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
                _written.append(path)
        elif event in ("os.mkdir", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.rename", "shutil.rmtree"):
            _written.extend(str(path) for path in arguments[:2] if isinstance(path, str | Path))

    sys.addaudithook(note)


@contextmanager
def kept_within(folder: str) -> Iterator[None]:
    """An assertion that nothing is written, made or removed elsewhere."""
    _watch_writing()
    _written.clear()
    yield
    elsewhere = [path for path in _written if not f"{os.path.abspath(path)}/".startswith(f"{folder}/") and path != os.devnull]
    assert not elsewhere, f"written to elsewhere: {elsewhere[:5]}"


def fuzz(name: str, *, n_inputs: int, number: int) -> None:
    """So many inputs of one case; `number` is the seed."""
    strategy, case = cases()[name]

    @seed(number)
    @settings(
        max_examples=n_inputs,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def answer(given_: Any) -> None:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), limited(MOST_SECONDS), kept_within(folder):
            warnings.simplefilter("ignore")
            case(given_, Path(folder))

    answer()


def main() -> int:
    """Fuzz until every case has had its share of the inputs; returns 1 where something broke."""
    parser = argparse.ArgumentParser(description="Feed Cupel with strange input.")
    parser.add_argument("--inputs", type=int, default=100_000, help="in all")
    parser.add_argument("--work", type=Path, default=Path("fuzz"), help="where progress and faults are kept")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after so many; the same command goes on")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    artifact()  # made before anything is watched
    started = time.monotonic()
    progress = arguments.work / "progress.json"
    done: dict[str, int] = json.loads(progress.read_text()) if progress.exists() else {}
    names = list(cases())
    each = -(-arguments.inputs // len(names))
    while waiting := [name for name in names if done.get(name, 0) < each]:
        if time.monotonic() - started > arguments.seconds:
            break
        name = min(waiting, key=lambda name: done.get(name, 0))
        number = done.get(name, 0) // N_IN_A_CHUNK
        try:
            fuzz(name, n_inputs=N_IN_A_CHUNK, number=number)
        except Exception:  # noqa: BLE001 whatever it is, it is a fault to be described
            (arguments.work / f"fault-{name.replace(' ', '-')}-{number}.txt").write_text(traceback.format_exc())
        done[name] = done.get(name, 0) + N_IN_A_CHUNK
        progress.write_text(json.dumps(done, indent=1))
    faults = sorted(path.name for path in arguments.work.glob("fault-*.txt"))
    print(f"{sum(done.values()):,} inputs, {len(faults)} faults{': ' + ', '.join(faults[:10]) if faults else ''}")  # noqa: T201
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
