"""The command ``batchbandit`` with the row lock taken away: the negative control of ``test_replicas``."""

from service.cli import main
from service.store import queries

for _store in queries._QUERIES.values():  # noqa: SLF001  (nothing that ships can take the lock away)
    _store.jobs._for_update_arg = None  # noqa: SLF001  (SQLAlchemy adds the clause and never drops it)

if __name__ == "__main__":
    main()
