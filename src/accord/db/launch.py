"""Runs one PostgreSQL program as a user that PostgreSQL accepts. Stands alone: run by path, with -I and -S.

    launch.py run    IDENTITY COMMAND...        become IDENTITY and the command
    launch.py detach IDENTITY LOG COMMAND...    the same in a session of its own; prints its pid and leaves it running
    launch.py reach  IDENTITY PATH...           exit 0 when IDENTITY can enter every folder and write in the first

IDENTITY is `same`; `namespace:UID:GID`, a user namespace in which our uid, root, is called UID, so that PostgreSQL's
refusal to run as root is met although every file stays root's own; or `drop:UID:GID`, for good.
A process of its own because a fork of a program with threads must not do more than exec.
"""

from __future__ import annotations

import ctypes
import os
import sys

CLONE_NEWUSER = 0x10000000


def become(identity: str) -> None:
    """Take on the identity; raises OSError when this machine does not allow it."""
    how, _, ids = identity.partition(":")
    if how == "same":
        return
    uid, gid = (int(part) for part in ids.split(":"))
    if how == "drop":
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        return
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "unshare"):
        raise OSError("this system has no user namespaces")
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWUSER)")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {outer_uid} 1"),
        ("gid_map", f"{gid} {outer_gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def detach(identity: str, log: str, command: list[str]) -> None:
    """Start the command in a session of its own, so that it outlives us and our terminal, and print its pid."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    pid = os.fork()
    if pid:
        print(pid)
        return
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    become(identity)
    os.execv(command[0], command)


def main(verb: str, identity: str, *rest: str) -> int:
    os.umask(0o077)
    os.chdir("/")
    if verb == "detach":
        detach(identity, rest[0], list(rest[1:]))
        return 0
    become(identity)
    if verb == "run":
        os.execv(rest[0], list(rest))
    # PostgreSQL has no privileges, and neither has this process now if what it became is not root.
    return 0 if os.access(rest[0], os.W_OK | os.X_OK) and all(os.access(path, os.X_OK) for path in rest) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
