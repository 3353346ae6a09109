"""How `make test` hands the tests to its workers: file by file, and the one whole system is started only once."""

from xdist.scheduler import LoadScopeScheduling

WHOLE_SYSTEM = "tests/e2e/"
OF_THEIR_OWN = ("tests/e2e/test_launcher.py",)
"""Tests of whole systems that start others than the one of their folder."""


class ByServers(LoadScopeScheduling):  # type: ignore[misc]  # xdist tells no types
    """A file to a worker, as `--dist loadfile` has it, and all files that share the one whole system to the same."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return WHOLE_SYSTEM if file.startswith(WHOLE_SYSTEM) and file not in OF_THEIR_OWN else file
