"""What of a batch is recorded: what commands really did, and on whose behalf."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from service.engine.commands import Command, Delete, Register, Registered, Reset, Started
from service.store.audit import Action, Event


def happenings(outcomes: Iterable[tuple[Command, object]], now: datetime) -> Iterator[Event]:
    """Go through the events of commands that were carried out; what was refused or had been done is none."""
    for command, outcome in outcomes:
        match command, outcome:
            case Register(), Registered(created=True):
                yield Event(now, command.actor, Action.REGISTER_JOB, command.job_id)
            case Reset(), Started():
                yield Event(now, command.actor, Action.RESET_JOB, command.job_id)
            case Delete(), None:
                yield Event(now, command.actor, Action.DELETE_JOB, command.job_id)
