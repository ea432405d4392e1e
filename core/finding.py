"""What an audit says of one thing that is wrong."""

from msgspec import Struct

RESTORE = "restore the database from a backup"


class Finding(Struct, frozen=True):
    """What is wrong with a job, or one batch size of it, and what to do; without a job, with the database."""

    job_id: str | None
    batch_size: int | None
    what: str
    remedy: str

    def __str__(self) -> str:
        where = "database" if self.job_id is None else f"job {self.job_id!r}"
        size = "" if self.batch_size is None else f", batch size {self.batch_size}"
        return f"{where}{size}: {self.what}; {self.remedy}"
