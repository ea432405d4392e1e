"""Journals on disk: durable, locked while their training lives, and found once it has died."""

from __future__ import annotations

import gc
import itertools
import json
import math
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from batchbandit import locks
from batchbandit.journals import Header, UnreadableJournal
from batchbandit.spool import Spool

if TYPE_CHECKING:
    from pathlib import Path

    from batchbandit.journals import Journal

JOB = {"job_id": "resnet", "batch_sizes": [16, 32]}
URL = "http://bandit:8000"
REPORT = {"time": 1.0, "energy": 2.0, "metric": 0.5, "current_epoch": 1, "energy_source": "none"}
PRELUDE = """
import os, signal, sys, time
from pathlib import Path
from batchbandit.journals import Header
from batchbandit.spool import Spool
spool = Spool(Path(sys.argv[1]))
header = Header("http://bandit:8000", {"job_id": "resnet"}, 16, "key")
journal = spool.create(header)
"""


def header(url: str = URL, asked: str | None = None) -> Header:
    return Header(url, JOB, 16, "key", asked=asked)


def reported(spool: Spool, *epochs: int) -> Journal:
    """Return a live journal with reports."""
    journal = spool.create(header())
    for epoch in epochs:
        journal.append({"report": {**REPORT, "current_epoch": epoch}})
    return journal


def abandoned(spool: Spool, *epochs: int) -> Path:
    """Return the file of a journal with reports that nobody holds."""
    before = spool.waiting()
    reported(spool, *epochs).close()
    (path,) = set(spool.waiting()) - set(before)
    return path


def epochs_of(journal: Journal) -> list[int]:
    return [report["current_epoch"] for report in journal.reports]


def found(spool: Spool) -> list[list[int]]:
    """Return the epochs of each abandoned journal."""
    return [epochs_of(journal) for journal in spool.abandoned()]


def process(script: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + script, str(folder)], stdout=subprocess.PIPE, text=True
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_a_training_whose_service_is_well_writes_nothing(tmp_path: Path, spool: Spool) -> None:
    journal = spool.create(header())
    journal.close()
    journal.remove()
    assert list(tmp_path.iterdir()) == []


def test_what_is_appended_is_found_again(spool: Spool) -> None:
    journal = spool.create(header(asked="lost"))
    strange = {**REPORT, "metric": math.inf}
    journal.append({"report": REPORT})
    journal.append({"report": strange})
    journal.append({"trial_number": 7})
    journal.mark(1)
    journal.append({"end": {"reason": "preempted"}})
    journal.close()
    (again,) = spool.abandoned()
    assert (again.url, again.job, again.batch_size, again.key) == (URL, JOB, 16, "key")
    assert (again.asked, again.trial_number) == ("lost", 7)
    assert (again.is_ended, again.reason, again.is_live) == (True, "preempted", False)
    assert again.reports == [REPORT, strange]
    assert again.undelivered() == [strange]


def test_a_metric_that_is_no_number_is_kept(spool: Spool) -> None:
    reported(spool)
    journal = spool.create(header())
    journal.append({"report": {**REPORT, "metric": math.nan}})
    journal.close()
    (again,) = spool.abandoned()
    assert math.isnan(again.reports[0]["metric"])


def test_no_token_reaches_the_disk(tmp_path: Path, spool: Spool) -> None:
    journal = spool.create(header(url="http://job:secret@bandit:8000/at?x=a@b"))
    journal.append({"report": REPORT})
    assert journal.url == "http://bandit:8000/at?x=a@b"
    assert all(b"secret" not in path.read_bytes() for path in tmp_path.rglob("*.jsonl"))


def test_files_are_the_user_s_alone(spool: Spool) -> None:
    path = abandoned(spool, 1)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_journals_come_in_the_order_in_which_their_trainings_began(spool: Spool) -> None:
    first, second = spool.create(header()), spool.create(header())
    second.append({"report": {**REPORT, "current_epoch": 2}})
    first.append({"report": {**REPORT, "current_epoch": 1}})
    second.close()
    first.close()
    assert found(spool) == [[1], [2]]


def test_journals_of_one_service_are_found(spool: Spool) -> None:
    for url in ("http://a", "http://b", "http://a"):
        journal = spool.create(header(url=url))
        journal.append({"report": REPORT})
        journal.close()
    assert spool.urls() == ["http://a", "http://b"]
    assert [journal.url for journal in spool.abandoned("http://a")] == ["http://a", "http://a"]


def test_a_spool_without_a_folder_keeps_all_in_memory() -> None:
    spool = Spool(None)
    journal = reported(spool, 1, 2)
    journal.mark(1)
    assert epochs_of(journal) == [1, 2]
    assert len(journal.undelivered()) == 1
    assert (list(spool.abandoned()), spool.waiting()) == ([], [])
    with spool.delivering() as is_alone:
        assert is_alone
    journal.remove()


def test_a_live_journal_is_no_thread_s_and_no_process_s_to_take(tmp_path: Path, spool: Spool) -> None:
    journal = reported(spool, 1)
    assert found(spool) == []
    script = "print(len(list(spool.abandoned())), len(spool.waiting()), flush=True)"
    other = process(script, tmp_path)
    assert said(other) == "0 1"
    killed(other)
    journal.append({"report": {**REPORT, "current_epoch": 2}})
    journal.close()
    assert found(spool) == [[1, 2]]


def test_one_who_delivers_keeps_others_from_the_journal_and_then_lets_go(spool: Spool) -> None:
    abandoned(spool, 1)
    for _ in spool.abandoned():
        assert found(spool) == []
    assert found(spool) == [[1]]


def test_what_was_appended_survives_a_kill(tmp_path: Path, spool: Spool) -> None:
    script = """
for epoch in range(1, 10**6):
    journal.append({"report": {"current_epoch": epoch}})
    print(epoch, flush=True)
"""
    training = process(script, tmp_path)
    told = 0
    while told < 20:
        told = int(said(training))
    training.kill()
    training.wait()
    assert training.stdout is not None
    told = int([str(told), *training.stdout.read().split("\n")[:-1]][-1])
    training.stdout.close()
    ((epochs),) = found(spool)
    assert len(epochs) >= told
    assert epochs == list(range(1, len(epochs) + 1))


def test_a_data_loader_s_worker_that_outlives_its_training_holds_nothing(
    tmp_path: Path, spool: Spool
) -> None:
    script = """
journal.append({"report": {"current_epoch": 1}})
if os.fork() == 0:
    print(os.getpid(), flush=True)
time.sleep(60)
"""
    training = process(script, tmp_path)
    worker = int(said(training))
    assert found(spool) == []
    killed(training)
    try:
        os.kill(worker, 0)  # it lives
        assert found(spool) == [[1]]
    finally:
        os.kill(worker, signal.SIGKILL)


def test_a_forked_child_changes_nothing_and_takes_no_lock_away(spool: Spool) -> None:
    journal = reported(spool, 1)
    (path,) = spool.waiting()
    before = path.read_bytes()
    child = os.fork()
    if child == 0:
        try:
            journal.append({"end": {"reason": "SystemExit"}})
            journal.refuse("no")
            journal.remove()
            journal.close()
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert path.read_bytes() == before
    assert found(spool) == []
    journal.append({"report": {**REPORT, "current_epoch": 2}})
    journal.close()
    assert found(spool) == [[1, 2]]


def test_the_lock_of_a_file_that_is_gone_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    take = locks._take  # noqa: SLF001 -- where another process comes in between

    def late(descriptor: int) -> bool | None:
        path.unlink()
        return take(descriptor)

    path.touch()
    monkeypatch.setattr(locks, "_take", late)
    assert locks.hold(path) is None


def test_a_file_that_is_removed_as_empty_while_it_is_made_is_made_anew(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = locks._take  # noqa: SLF001 -- where another process comes in between
    raced: list[bool] = []

    def late(descriptor: int) -> bool | None:
        if not raced:
            raced.append(True)
            assert found(spool) == []
        return take(descriptor)

    monkeypatch.setattr(locks, "_take", late)
    reported(spool, 1).close()
    assert raced
    assert found(spool) == [[1]]


@pytest.mark.parametrize(
    "tail", [b'{"report": {"current_ep', b"\0\0\0\0", b"\0\0\n", b"\xff\n", b"[]\n", b'{"end"']
)
def test_a_line_that_was_not_written_whole_is_cut(spool: Spool, tail: bytes) -> None:
    path = abandoned(spool, 1, 2)
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    for journal in spool.abandoned():
        assert epochs_of(journal) == [1, 2]
        journal.mark(1)
    assert path.read_bytes() == whole + b'{"delivered":1}\n'
    assert [len(journal.undelivered()) for journal in spool.abandoned()] == [1]


def test_a_file_at_any_length_is_read_as_far_as_it_goes(spool: Spool) -> None:
    path = abandoned(spool, 1, 2, 3)
    whole = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == 0x0A]
    for size in range(ends[0], len(whole) + 1):
        path.write_bytes(whole[:size])
        lines = sum(end <= size for end in ends)
        assert found(spool) == [list(range(1, lines))]


@pytest.mark.parametrize("size", [0, 1, 11, 40])
def test_a_file_whose_process_died_as_it_made_it_is_removed(
    spool: Spool, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = abandoned(spool, 1)
    path.write_bytes(path.read_bytes()[:size])
    assert found(spool) == []
    assert spool.waiting() == []
    assert caplog.messages == []


@pytest.mark.parametrize(
    "content",
    [
        b"garbage",
        b"\0" * 512,
        b'{"version": "1"}\n',
        b'{"version": 1, "url": "http://a", "job": {}, "batch_size": 1, "key": "k"}\n',
        b'{"version": 1, "url": "http://a", "job": {"job_id": "a"}, "batch_size": true, "key": "k"}\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_a_file_that_is_no_journal_is_put_aside_and_said_once(
    spool: Spool, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = abandoned(spool, 1)
    path.write_bytes(content)
    abandoned(spool, 2)
    assert found(spool) == found(spool) == [[2]]
    kept = path.parent / "unreadable" / path.name
    assert kept.read_bytes() == content
    assert kept.with_suffix(".txt").read_text()
    assert len(caplog.messages) == 1
    assert str(kept) in caplog.messages[0]


@pytest.mark.parametrize(
    "line",
    [b"garbage", b'{"what": 1}', b'{"delivered": -1}', b'{"trial_number": "7"}', b"{}", b'{"a": 1, "b": 2}'],
)
def test_a_line_amid_a_journal_that_is_no_event_makes_it_unreadable(spool: Spool, line: bytes) -> None:
    path = abandoned(spool, 1)
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([whole[0], line + b"\n", *whole[1:]]))
    assert found(spool) == []
    assert (path.parent / "unreadable" / path.name).exists()


def test_a_journal_of_a_newer_release_is_left_to_it(spool: Spool, caplog: pytest.LogCaptureFixture) -> None:
    path = abandoned(spool, 1)
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":2'))
    assert found(spool) == []
    assert spool.waiting() == [path]
    assert caplog.messages == []


def test_an_event_that_is_none_is_not_written(spool: Spool) -> None:
    journal = reported(spool, 1)
    with pytest.raises(UnreadableJournal):
        journal.append({"delivered": True})
    journal.close()
    assert found(spool) == [[1]]


def test_folders_among_the_journals_and_a_folder_that_is_a_file_are_passed_over(
    tmp_path: Path, spool: Spool
) -> None:
    path = abandoned(spool, 1)
    (path.parent / "0.jsonl").mkdir()
    assert found(spool) == [[1]]
    (tmp_path / "file").write_text("")
    nowhere = Spool(tmp_path / "file")
    assert (found(nowhere), nowhere.urls()) == ([], [])


def test_a_full_disk_is_said_once_and_what_it_did_not_take_is_written_later(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    journal = reported(spool, 1)
    (path,) = spool.waiting()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, hard))
    try:
        for epoch in (2, 3):
            journal.append({"report": {**REPORT, "current_epoch": epoch}})
        torn = path.read_bytes()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not torn.endswith(b"\n")
    assert epochs_of(journal) == [1, 2, 3]
    assert len(caplog.messages) == 1
    assert "It stays in memory" in caplog.messages[0]
    journal.append({"report": {**REPORT, "current_epoch": 4}})
    journal.close()
    assert found(spool) == [[1, 2, 3, 4]]


def test_a_folder_that_cannot_be_made_raises_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "spool").write_text("a file")
    journal = reported(Spool(tmp_path), 1, 2)
    journal.refuse("no")
    assert epochs_of(journal) == [1, 2]
    assert len(caplog.messages) == 2
    assert caplog.messages[1].endswith("What it did not take is lost.")


def test_a_folder_that_vanished_is_made_again(tmp_path: Path, spool: Spool) -> None:
    path = abandoned(spool, 1)
    path.unlink()
    path.parent.rmdir()
    tmp_path.rmdir()
    abandoned(spool, 2)
    assert found(spool) == [[2]]


def test_what_is_refused_is_put_away_with_the_reason(spool: Spool, caplog: pytest.LogCaptureFixture) -> None:
    path = abandoned(spool, 1)
    for journal in spool.abandoned():
        journal.refuse("400: Unknown job(resnet).")
    kept = path.parent / "refused" / path.name
    assert kept.exists()
    assert kept.with_suffix(".txt").read_text() == "400: Unknown job(resnet).\n"
    assert spool.waiting() == []
    (message,) = caplog.messages
    assert "Unknown job(resnet)." in message
    assert str(kept) in message


def test_a_journal_that_was_put_away_is_delivered_once_it_is_put_back(spool: Spool) -> None:
    path = abandoned(spool, 1)
    for journal in spool.abandoned():
        journal.refuse("no")
    (path.parent / "refused" / path.name).rename(path)
    assert found(spool) == [[1]]


def test_a_journal_that_is_dropped_is_let_go_of(spool: Spool) -> None:
    reported(spool, 1)
    gc.collect()
    assert found(spool) == [[1]]


def test_a_removed_journal_is_gone_and_stays_so(spool: Spool) -> None:
    journal = reported(spool, 1)
    journal.remove()
    journal.append({"report": REPORT})
    assert spool.waiting() == []


def test_threads_may_share_a_journal(spool: Spool) -> None:
    journal = spool.create(header())

    def report(first: int) -> None:
        for epoch in range(first, first + 25):
            journal.append({"report": {"current_epoch": epoch}})

    threads = [threading.Thread(target=report, args=(25 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    (epochs,) = found(spool)
    assert sorted(epochs) == list(range(100))


def test_a_signal_s_handler_may_append_while_an_event_is_written(spool: Spool) -> None:
    journal = spool.create(header())
    numbers = itertools.count(1)
    handled = []

    def handler(*_: object) -> None:  # which another signal may interrupt in its turn
        number = -next(numbers)
        journal.append({"report": {"current_epoch": number}})
        handled.append(number)

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
    try:
        epoch = 0
        while epoch < 50 or len(handled) < 20:
            epoch += 1
            journal.append({"report": {"current_epoch": epoch}})
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    journal.close()
    (epochs,) = found(spool)
    assert [each for each in epochs if each > 0] == list(range(1, epoch + 1))
    assert sorted(each for each in epochs if each < 0) == sorted(handled)


def test_an_exception_amid_a_write_leaves_no_line_twice(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = reported(spool, 1)
    with monkeypatch.context() as patched:

        def interrupted(_: int) -> None:
            raise KeyboardInterrupt

        patched.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            journal.append({"report": {**REPORT, "current_epoch": 2}})
    journal.append({"end": {"reason": "preempted"}})
    journal.close()
    (again,) = spool.abandoned()
    assert (epochs_of(again), again.reason) == ([1, 2], "preempted")


def test_one_process_delivers_at_a_time(tmp_path: Path, spool: Spool) -> None:
    abandoned(spool, 1)
    script = """
with spool.delivering() as is_alone:
    print(is_alone, flush=True)
    time.sleep(60)
"""
    other = process(script, tmp_path)
    assert said(other) == "True"
    with spool.delivering() as is_alone:
        assert not is_alone
    killed(other)
    with spool.delivering() as is_alone, spool.delivering() as is_too:
        assert is_alone
        assert not is_too


@pytest.fixture
def lockless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the system have no locks."""
    monkeypatch.setitem(sys.modules, "fcntl", None)


@pytest.mark.usefixtures("lockless")
def test_without_locks_a_journal_is_abandoned_with_its_end_or_after_a_week(spool: Spool) -> None:
    path = abandoned(spool, 1)
    assert found(spool) == []
    ended = reported(spool, 2)
    ended.append({"end": {"reason": None}})
    ended.close()
    assert found(spool) == [[2]]
    week = 7 * 86400
    for age, epochs in ((week - 60, [[2]]), (week + 60, [[1], [2]])):
        os.utime(path, (time.time() - age, time.time() - age))
        assert found(spool) == epochs


@pytest.mark.usefixtures("lockless")
def test_without_locks_what_is_being_written_is_left_alone(spool: Spool) -> None:
    path = abandoned(spool, 1)
    for content in (b"", path.read_bytes()[:10], path.read_bytes() + b'{"rep'):
        path.write_bytes(content)
        assert found(spool) == []
        assert path.read_bytes() == content


@pytest.mark.usefixtures("lockless")
def test_without_locks_nobody_is_kept_from_delivering(spool: Spool) -> None:
    abandoned(spool, 1)
    with spool.delivering() as is_alone, spool.delivering() as is_too:
        assert is_alone
        assert is_too


def test_lines_are_as_documented(spool: Spool) -> None:
    journal = reported(spool, 1)
    journal.append({"trial_number": 3})
    journal.mark(1)
    journal.append({"end": {"reason": None}})
    (path,) = spool.waiting()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [
        {
            "version": 1,
            "url": URL,
            "job": JOB,
            "batch_size": 16,
            "key": "key",
            "trial_number": None,
            "asked": None,
        },
        {"report": REPORT},
        {"trial_number": 3},
        {"delivered": 1},
        {"end": {"reason": None}},
    ]
