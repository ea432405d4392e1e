"""What of a batch is recorded: what commands really did, and on whose behalf."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from service.engine.commands import (
    Altered,
    Change,
    Command,
    Delete,
    Pause,
    Paused,
    Register,
    Registered,
    Reset,
    Started,
)
from service.store.audit import Action, Event


def recorded(outcomes: Iterable[tuple[Command, object]], now: datetime) -> Iterator[Event]:
    """Go through the events of commands that were carried out; what was refused or had been done is none."""
    for command, outcome in outcomes:
        match command, outcome:
            case Register(), Registered(created=True):
                yield Event(now, command.actor, Action.REGISTER_JOB, command.job_id)
            case Reset(), Started():
                yield Event(now, command.actor, Action.RESET_JOB, command.job_id)
            case Change(), Altered() if outcome.terms:
                yield Event(now, command.actor, Action.CHANGE_JOB, command.job_id)
            case Pause(), Paused(is_new=True):
                action = Action.PAUSE_JOB if outcome.is_paused else Action.RESUME_JOB
                yield Event(now, command.actor, action, command.job_id)
            case Delete(), None:
                yield Event(now, command.actor, Action.DELETE_JOB, command.job_id)
