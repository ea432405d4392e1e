"""A batch of commands as one transaction: one read, one pass through core, one write."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection

from core.decisions import settle
from core.needs import Arms, BatchSizes, Explorations, Results, RunningSums, Stored
from service.engine.commands import Command, End, Register, Tell
from service.engine.dossier import MOST_KEPT, Dossier
from service.engine.handlers import handle
from service.engine.happenings import happenings
from service.store import audit, locking, reading, writing


def run_batch(connection: Connection, commands: Sequence[Command], now: datetime) -> list[object]:
    """Carry commands out, those of one job in their order, and write what they change.

    Args:
        connection: Inside a transaction that the caller commits.
        commands: Of any jobs.
        now: The time of what happens, UTC.

    Returns:
        For each command its answer or, where it failed, its exception: one failing leaves the others alone.
    """
    dossiers = open_dossiers(connection, commands)
    outcomes: list[object] = [None] * len(commands)
    for wave in waves(commands):
        settled = settle(
            [handle(dossiers, commands[index], now) for index in wave], partial(load, connection, dossiers)
        )
        for index, outcome in zip(wave, settled, strict=True):
            outcomes[index] = outcome
    write(connection, dossiers.values())
    audit.record(connection, list(happenings(zip(commands, outcomes, strict=True), now)))
    return outcomes


def waves(commands: Sequence[Command]) -> list[list[int]]:
    """Group the indices of commands so that a group has one command a job and groups follow their order."""
    groups: list[list[int]] = []
    seen: dict[str, int] = {}
    for index, command in enumerate(commands):
        position = seen.get(command.job_id, 0)
        seen[command.job_id] = position + 1
        if position == len(groups):
            groups.append([])
        groups[position].append(index)
    return groups


def open_dossiers(connection: Connection, commands: Sequence[Command]) -> dict[str, Dossier]:
    """Load the jobs and trials that commands name."""
    dossiers = {command.job_id: Dossier(command.job_id) for command in commands}
    registered = {command.job_id for command in commands if isinstance(command, Register)}
    if registered:
        locking.claim_names(connection, registered)
    for job in reading.jobs(connection, dossiers):
        dossiers[job.job_id].job = job
    to_create = {job_id for job_id in registered if dossiers[job_id].job is None}
    if to_create:
        for job_id, number in reading.last_numbers(connection, to_create).items():
            dossiers[job_id].last_number = number
    named = {
        (command.job_id, command.trial_number)
        for command in commands
        if isinstance(command, Tell | End) and dossiers[command.job_id].job is not None
    }
    if named:
        for trial in reading.trials(connection, named):
            dossiers[trial.job_id].read_trials[trial.trial_number] = trial
    return dossiers


# Where a need that names a job alone finds its part of the dossier, and what reads the part.
_PARTS: Sequence[tuple[type[Stored], str, Callable[[Connection, Sequence[str]], Mapping[str, object]]]] = (
    (BatchSizes, "read_batch_sizes", reading.batch_sizes),
    (Explorations, "read_explorations", reading.explorations),
    (Arms, "read_arms", reading.arms),
)


def load(connection: Connection, dossiers: Mapping[str, Dossier], wanted: Sequence[Stored]) -> list[Any]:
    """Answer needs from the dossiers, once what these miss has been read, a kind at a time."""
    for kind, part, read in _PARTS:
        missing = [
            need.job_id
            for need in wanted
            if isinstance(need, kind) and getattr(dossiers[need.job_id], part) is None
        ]
        if missing:
            for job_id, found in read(connection, missing).items():
                setattr(dossiers[job_id], part, found)
    load_histories(connection, dossiers, [need for need in wanted if isinstance(need, Results)])
    unsummed = [
        (need.job_id, need.batch_size)
        for need in wanted
        if isinstance(need, RunningSums) and need.batch_size not in dossiers[need.job_id].read_sums
    ]
    if unsummed:
        for (job_id, batch_size), sums in reading.sums(connection, unsummed).items():
            dossiers[job_id].read_sums[batch_size] = sums
    return [_answer(dossiers[need.job_id], need) for need in wanted]


def load_histories(
    connection: Connection, dossiers: Mapping[str, Dossier], wanted: Sequence[Results]
) -> None:
    """Read the histories that dossiers miss: as they are kept beside arms, else from the trials."""
    windows = {
        (need.job_id, need.batch_size): need.window
        for need in wanted
        if need.batch_size not in dossiers[need.job_id].read_histories
    }
    keepable = [key for key, window in windows.items() if window <= MOST_KEPT]
    if keepable:
        for (job_id, batch_size), history in reading.histories(connection, keepable).items():
            dossiers[job_id].read_histories[batch_size] = history
            dossiers[job_id].kept.add(batch_size)
            del windows[job_id, batch_size]
    for window in set(windows.values()):
        keys = [key for key in windows if windows[key] == window]
        for (job_id, batch_size), history in reading.results(connection, keys, window).items():
            dossiers[job_id].read_histories[batch_size] = history


def _answer(dossier: Dossier, need: Stored) -> object:
    match need:
        case BatchSizes():
            return dossier.read_batch_sizes
        case Explorations():
            return dossier.explorations()
        case Arms():
            return dossier.arms()
        case RunningSums():
            return dossier.sums_of(need.batch_size)
        case Results():
            return dossier.history(need.batch_size, need.window)


def write(connection: Connection, dossiers: Iterable[Dossier]) -> None:
    """Write what has changed in dossiers: one statement a kind of change."""
    dossiers = list(dossiers)
    jobs = [(dossier, dossier.job) for dossier in dossiers if dossier.job is not None]
    trials = [(trial, number in d.dispatched) for d in dossiers for number, trial in d.changed_trials.items()]
    arms = [(arm, size in d.born) for d in dossiers for size, arm in d.changed_arms.items()]
    writing.delete_jobs(connection, {d.job_id: d.last_number for d in dossiers if d.is_deleted})
    writing.insert_jobs(connection, [(job, d.read_batch_sizes or ()) for d, job in jobs if d.is_new])
    writing.update_jobs(connection, [job for d, job in jobs if d.is_changed and not d.is_new])
    writing.insert_trials(connection, [trial for trial, is_new in trials if is_new])
    writing.update_trials(connection, [trial for trial, is_new in trials if not is_new])
    writing.insert_arms(connection, [arm for arm, is_new in arms if is_new])
    writing.update_arms(connection, [arm for arm, is_new in arms if not is_new])
    writing.keep_histories(connection, [kept for d in dossiers for kept in d.changed_histories()])
    writing.replace_sums(connection, [sums for d in dossiers for sums in d.changed_sums.values()])
