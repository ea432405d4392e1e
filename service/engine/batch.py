"""A batch of commands as one transaction: one read, one pass through core, one write."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection

from core.decisions import settle
from service.engine.commands import Command, Register
from service.engine.deeds import recorded
from service.engine.dossier import Dossier
from service.engine.handlers import handle
from service.engine.loading import load, open_dossiers
from service.engine.repetition import UNANSWERED, Repetitions
from service.store import audit, feed, locking, reading, writing
from service.store.happening import Happening
from service.store.writing import NewTrial

KEY_SECONDS = 24 * 3600.0
"""How long a first answer is kept, where nothing else is said."""


class Done(NamedTuple):
    """What came of a batch: an outcome a command, and what has happened to jobs."""

    outcomes: list[object]
    happenings: list[Happening]


def run_batch(
    connection: Connection,
    commands: Sequence[Command],
    now: datetime | None = None,
    key_seconds: float = KEY_SECONDS,
) -> Done:
    """Carry commands out, those of one job in their order, and write what they change.

    Args:
        connection: Inside a transaction that the caller commits.
        commands: Of any jobs.
        now: The time of what happens, UTC; None for the database's.
        key_seconds: How long first answers are kept.

    Returns:
        For each command its answer or, where it failed, its exception: one failing leaves the others alone;
        and what has happened.
    """
    claim_names(connection, commands)
    dossiers, moment = open_dossiers(connection, commands)
    now = now or moment or reading.moment(connection)
    repetitions = find_repetitions(connection, commands, now - timedelta(seconds=key_seconds))
    outcomes: list[object] = [UNANSWERED] * len(commands)
    carried_out: list[int] = []
    for wave in waves(commands):
        for index in wave:
            once = commands[index].once
            if once is not None:
                outcomes[index] = repetitions.first_answer(once)
        new = [index for index in wave if outcomes[index] is UNANSWERED]
        settled = settle(
            [handle(dossiers, commands[index], now) for index in new], partial(load, connection, dossiers)
        )
        for index, outcome in zip(new, settled, strict=True):
            outcomes[index] = outcome
            carried_out.append(index)
            once = commands[index].once
            if once is not None:
                repetitions.keep(once, outcome, now)
    write(connection, dossiers.values())
    writing.keep_answers(connection, repetitions.given, repetitions.expired)
    done = [(commands[index], outcomes[index]) for index in sorted(carried_out)]
    audit.record(connection, list(recorded(done, now)))
    happenings = [
        Happening(dossier.job_id, kind, now, detail)
        for dossier in dossiers.values()
        for kind, detail in dossier.happened
    ]
    feed.record(connection, happenings)
    return Done(outcomes, happenings)


def claim_names(connection: Connection, commands: Sequence[Command]) -> None:
    """Keep others from what may not exist yet, and so cannot be locked: jobs to register, keys of calls."""
    names = {command.job_id for command in commands if isinstance(command, Register)}
    names.update(command.once.key for command in commands if command.once is not None)
    if names:
        locking.claim_names(connection, names)


def find_repetitions(
    connection: Connection, commands: Sequence[Command], expired_before: datetime
) -> Repetitions:
    """Load the first answers to calls that came with a key."""
    calls = [command.once for command in commands if command.once is not None]
    keys = {once.key for once in calls}
    repetitions = Repetitions(reading.answers(connection, keys) if keys else (), expired_before)
    for once in calls:
        repetitions.claim(once)
    return repetitions


def waves(commands: Sequence[Command]) -> list[list[int]]:
    """Group the indices of commands so that a group has one command a job and groups follow their order.

    So do commands with one key and place: the second may be about another job, and is the first asked again.
    """
    groups: list[list[int]] = []
    seen: dict[object, int] = {}
    for index, command in enumerate(commands):
        once = command.once
        asked = (command.job_id,) if once is None else (command.job_id, (once.key, once.place))
        position = max(seen.get(name, 0) for name in asked)
        seen.update(dict.fromkeys(asked, position + 1))
        while position >= len(groups):
            groups.append([])
        groups[position].append(index)
    return groups


def write(connection: Connection, dossiers: Iterable[Dossier]) -> None:
    """Write what has changed in dossiers: one statement a kind of change."""
    dossiers = list(dossiers)
    jobs = [(dossier, dossier.job) for dossier in dossiers if dossier.job is not None]
    trials = [
        (trial, d.rationales.get(number)) for d in dossiers for number, trial in d.changed_trials.items()
    ]
    arms = [(arm, size in d.born) for d in dossiers for size, arm in d.changed_arms.items()]
    writing.delete_jobs(connection, {d.job_id: d.last_number for d in dossiers if d.is_deleted})
    writing.insert_jobs(connection, [(job, d.read_batch_sizes or ()) for d, job in jobs if d.is_new])
    writing.forget_arms(connection, [d.job_id for d in dossiers if d.is_reset])
    writing.forget_results(connection, [d.job_id for d in dossiers if d.has_new_window])
    writing.update_jobs(connection, [job for d, job in jobs if d.is_changed and not d.is_new])
    writing.update_terms(connection, [job for d, job in jobs if d.has_new_terms and not d.is_new])
    writing.insert_trials(connection, [NewTrial.of(trial, why) for trial, why in trials if why is not None])
    writing.update_trials(connection, [trial for trial, why in trials if why is None])
    writing.insert_arms(connection, [arm for arm, is_new in arms if is_new])
    writing.update_arms(connection, [arm for arm, is_new in arms if not is_new])
    writing.replace_arms(connection, [arm for d in dossiers for arm in d.believed.values()])
    writing.keep_histories(connection, [kept for d in dossiers for kept in d.changed_histories()])
    writing.replace_sums(connection, [sums for d in dossiers for sums in d.changed_sums.values()])
