# SPDX-License-Identifier: MIT
"""What two members of ours know of each other, for the tests of senders."""

from harness import sqlite3_closing, wait_until


def row_of(one, other, columns="*"):
    """How far `one` says that `other` is; None: it has never heard of it."""
    with sqlite3_closing(one.oplog()) as db:
        return db.execute(
            f"SELECT {columns} FROM follower WHERE name = ?",
            (other.address[0],)).fetchone()


def parked(one):
    with sqlite3_closing(one.oplog()) as db:
        return db.execute("SELECT * FROM parked").fetchall()


def appears(node, name, deadline=10.0):
    wait_until(lambda: node.path_of(name).exists(), deadline,
               f"{name} is on {node.base.name}")
