"""What a transaction reads: the jobs and trials that commands name, then what decisions turn out to need."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from core.needs import (
    Arms,
    BatchSizes,
    Costing,
    Explorations,
    Leased,
    NewestExploration,
    Precedents,
    Results,
    RunningSums,
    Stored,
)
from service.engine.commands import Beat, Command, End, Register, Tell
from service.engine.dossier import MOST_KEPT, Dossier
from service.store import precedents, reading


def open_dossiers(
    connection: Connection, commands: Sequence[Command]
) -> tuple[dict[str, Dossier], datetime | None]:
    """Load the jobs and trials that commands name; where there is a job, the database's time too."""
    dossiers = {command.job_id: Dossier(command.job_id) for command in commands}
    jobs, moment = reading.timed_jobs(connection, dossiers)
    for job in jobs:
        dossiers[job.job_id].job = job
    to_create = {
        command.job_id
        for command in commands
        if isinstance(command, Register) and dossiers[command.job_id].job is None
    }
    if to_create:
        for job_id, number in reading.last_numbers(connection, to_create).items():
            dossiers[job_id].last_number = number
    named = {
        (command.job_id, command.trial_number)
        for command in commands
        if isinstance(command, Tell | End | Beat) and dossiers[command.job_id].job is not None
    }
    if named:
        for trial in reading.trials(connection, named):
            dossiers[trial.job_id].read_trials[trial.trial_number] = trial
    return dossiers, moment


# Where a need that names a job alone finds its part of the dossier, and what reads the part.
_PARTS: Sequence[tuple[type[Stored], str, Callable[[Connection, Sequence[str]], Mapping[str, object]]]] = (
    (BatchSizes, "read_batch_sizes", reading.batch_sizes),
    (Explorations, "read_explorations", reading.explorations),
    (Leased, "read_leased", reading.leased),
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
        if isinstance(need, RunningSums)
        and not dossiers[need.job_id].has_new_window
        and need.batch_size not in dossiers[need.job_id].read_sums
    ]
    if unsummed:
        for (job_id, batch_size), sums in reading.sums(connection, unsummed).items():
            dossiers[job_id].read_sums[batch_size] = sums
    unknown = [
        (need.job_id, need.batch_size)
        for need in wanted
        if isinstance(need, NewestExploration) and need.batch_size not in dossiers[need.job_id].read_newest
    ]
    if unknown:
        for (job_id, batch_size), number in reading.newest_explorations(connection, unknown).items():
            dossiers[job_id].read_newest[batch_size] = number
    for need in wanted:
        if isinstance(need, Costing | Precedents):
            load_seldom(connection, dossiers[need.job_id], need)
    return [_ANSWERS[type(need)](dossiers[need.job_id], need) for need in wanted]


def load_seldom(connection: Connection, dossier: Dossier, need: Costing | Precedents) -> None:
    """Read what few commands need, each by itself."""
    if isinstance(need, Precedents):
        dossier.read_precedents = precedents.precedents(connection, need)
    elif not dossier.knows_results:
        dossier.read_costs = reading.costs(connection, need.job)


def load_histories(
    connection: Connection, dossiers: Mapping[str, Dossier], wanted: Sequence[Results]
) -> None:
    """Read the histories that dossiers miss: as they are kept beside arms, else from the trials."""
    windows = {
        (need.job_id, need.batch_size): need.window
        for need in wanted
        if not dossiers[need.job_id].knows_results
        and (need.batch_size, need.window) not in dossiers[need.job_id].read_histories
    }
    keepable = [
        (job_id, batch_size)
        for (job_id, batch_size), window in windows.items()
        if window <= MOST_KEPT and dossiers[job_id].keeps(window)
    ]
    if keepable:
        for (job_id, batch_size), history in reading.histories(connection, keepable).items():
            window = windows.pop((job_id, batch_size))
            dossiers[job_id].read_histories[batch_size, window] = history
            dossiers[job_id].kept.add(batch_size)
    for window in set(windows.values()):
        keys = [key for key in windows if windows[key] == window]
        for (job_id, batch_size), history in reading.results(connection, keys, window).items():
            dossiers[job_id].read_histories[batch_size, window] = history


# How a dossier answers each kind of need.
_ANSWERS: Mapping[type[Stored], Callable[[Dossier, Any], object]] = {
    BatchSizes: lambda dossier, _: dossier.read_batch_sizes,
    Explorations: lambda dossier, _: dossier.explorations(),
    NewestExploration: lambda dossier, need: dossier.newest_exploration(need.batch_size),
    Leased: lambda dossier, _: dossier.leased(),
    Precedents: lambda dossier, _: dossier.read_precedents,
    Arms: lambda dossier, _: dossier.arms(),
    RunningSums: lambda dossier, need: dossier.sums_of(need.batch_size),
    Costing: lambda dossier, need: dossier.costs(need.job),
    Results: lambda dossier, need: dossier.history(need.batch_size, need.window),
}
