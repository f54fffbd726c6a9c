"""The work folder: records that come late."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from unseam.errors import OutputError
from unseam.streaming.work import await_records, has_record, save_record


def test_records_of_other_machines_are_waited_for(tmp_path: Path) -> None:
    save_record(tmp_path, "grow", 0, {})
    late = threading.Timer(0.2, save_record, (tmp_path, "grow", 1, {}))
    late.start()
    await_records(tmp_path, "grow", [0, 1])
    assert has_record(tmp_path, "grow", 1)
    late.join()


def test_a_folder_that_is_not_shared_is_told(tmp_path: Path) -> None:
    save_record(tmp_path, "grow", 0, {})
    with pytest.raises(OutputError, match=r"block 1 is done and its record is not in .*; all machines must"):
        await_records(tmp_path, "grow", [0, 1], patience=0.1)
