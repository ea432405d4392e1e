"""What core refuses.

CoreError
├── NoBatchSizeLeft
├── UnknownBatchSize
├── TrialFailed
├── CostOutOfRange
└── KnowledgeUnreadable
"""


class CoreError(Exception):
    """Base of all that core refuses; its text is a sentence for the person who meets it."""


class NoBatchSizeLeft(CoreError):
    """No batch size of the job is known or hoped to converge."""


class UnknownBatchSize(CoreError):
    """A batch size that is not one of the job's."""


class TrialFailed(CoreError):
    """A report for a trial that has already ended without a result."""


class CostOutOfRange(CoreError):
    """The reported time and energy make a cost that is not above 0 or is beyond 1e100 joules."""


class KnowledgeUnreadable(CoreError):
    """What a policy has kept of a job is not what it wrote."""
