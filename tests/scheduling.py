"""How `make test` hands the tests to its workers: file by file, but for those of whole systems, which are two lots.

One lot shares one system, which is started only once. The other starts systems of its own, one after the other: any
two of them at once, beside the shared one, would be more than two cores can bear.
"""

from xdist.scheduler import LoadScopeScheduling

SHARED_SYSTEM = "tests/e2e/"
OWN_SYSTEMS = ("tests/chaos/test_chaos.py", "tests/e2e/test_demo_alone.py", "tests/e2e/test_launcher.py")


class BySystems(LoadScopeScheduling):  # type: ignore[misc]  # xdist tells no types
    """A file to a worker, as `--dist loadfile` has it, and each lot of whole systems to one."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file in OWN_SYSTEMS:
            return "own systems"
        return SHARED_SYSTEM if file.startswith(SHARED_SYSTEM) else file
