"""Policies: how the batch sizes of a job are chosen. One is a module that fits ``protocol.Policy``."""

from collections.abc import Mapping

from core import records
from core.policies import frugal, zeus
from core.policies.protocol import Policy
from core.records import Job

POLICIES: Mapping[records.Policy, Policy] = {records.Policy.ZEUS: zeus, records.Policy.FRUGAL: frugal}
"""The policies by name."""


def of(job: Job) -> Policy:
    """Return the policy of a job."""
    return POLICIES[job.policy]
