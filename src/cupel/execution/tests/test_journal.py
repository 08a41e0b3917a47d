from cupel.execution import Journal


def test_records_come_back_in_order(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append("started", candidate="a")
    journal.append("finished", candidate="a", seconds=float("nan"))
    records = list(journal.read())
    assert [record["event"] for record in records] == ["started", "finished"]
    assert records[1]["seconds"] is None


def test_a_torn_last_line_is_dropped_and_the_next_record_survives(tmp_path):
    path = tmp_path / "journal.jsonl"
    Journal(path).append("started", candidate="a")
    with path.open("ab") as stream:
        stream.write(b'12345678 {"event": "fini')
    journal = Journal(path)
    journal.append("finished", candidate="b")
    assert [record["event"] for record in journal.read()] == ["started", "finished"]


def test_a_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.append("started", candidate="a")
    journal.append("started", candidate="b")
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(bytes(content))
    assert [record["candidate"] for record in journal.read()] == ["b"]
