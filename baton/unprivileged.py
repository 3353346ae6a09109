"""Servers that refuse to run as root, and should: they run as `nobody`, in a folder that `nobody` can reach."""

import hashlib
import os
import pwd
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FALLBACK = Path("/var/lib/baton")


@dataclass(frozen=True, slots=True)
class User:
    """The user a server runs as."""

    uid: int
    gid: int


def server_user() -> User | None:
    """`nobody` where we are root; None where we are somebody, whom the servers then run as."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return User(65_534, 65_534)
    return User(entry.pw_uid, entry.pw_gid)


def reachable(path: Path, user: User | None) -> bool:
    """Whether `user` may pass through every folder above `path`, as far as it exists."""
    if user is None:
        return True
    return all(_may_enter(folder, user) for folder in path.resolve().parents if folder.exists())


def _may_enter(folder: Path, user: User) -> bool:
    found = folder.stat()
    if found.st_uid == user.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == user.gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def place_for(folder: Path, user: User | None) -> Path:
    """Where a server that runs as `user` keeps what belongs into `folder`: there, or under /var/lib/baton.

    The second when `folder` lies where `user` cannot go, such as under root's home.
    """
    folder = folder.resolve()
    if reachable(folder, user):
        return folder
    mark = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return FALLBACK / f"{folder.name}-{mark}"


def make_folder(folder: Path, user: User | None) -> None:
    """Make `folder` for `user` alone; its parents, where missing, can be passed through by everybody."""
    for parent in reversed(folder.parents):
        if not parent.exists():
            parent.mkdir(exist_ok=True)
            parent.chmod(0o755)  # whatever the umask
    folder.mkdir(mode=0o700, exist_ok=True)
    if user is not None:
        os.chown(folder, user.uid, user.gid)
    folder.chmod(0o700)


def usable_programs(root: Path, parts: Sequence[str], user: User | None) -> Path:
    """`root`, or a folder under /var/lib/baton with a copy of these parts of it, where `user` cannot reach `root`.

    The parts keep their places, since programs find their libraries by them. Copied once per content.
    """
    if reachable(root / parts[0], user):
        return root
    found = [root / part for part in parts if (root / part).exists()]
    files = sorted(f"{file.relative_to(root)} {file.stat().st_size}" for part in found for file in part.rglob("*"))
    copy = FALLBACK / f"programs-{hashlib.sha256(chr(10).join(files).encode()).hexdigest()[:12]}"
    if copy.exists():
        return copy
    unfinished = copy.with_name(f"{copy.name}.{os.getpid()}")
    for part in found:
        shutil.copytree(part, unfinished / part.relative_to(root), symlinks=True)
    for folder in (FALLBACK, unfinished, *(path for path in unfinished.rglob("*") if path.is_dir())):
        folder.chmod(0o755)  # whatever the umask
    try:
        unfinished.replace(copy)
    except OSError:
        shutil.rmtree(unfinished)
        if not copy.exists():  # or another process was first
            raise
    return copy
