# SPDX-License-Identifier: MIT
"""Do all members of a group hold the same, and what was promised?

Compares, byte for byte, the store paths of all members with each other and
with the model of the load (mixload.py), and the databases of our members
with their disk. The answer is a list of sentences; none means they agree.
"""

import hashlib
import sqlite3
import time
import zlib

import wire
from harness import sqlite3_closing

SHOWN = 12


def on_disk(node):
    """{remote name: size} of one member, metadata files included."""
    found = {}
    for name in node.visible():
        try:
            found[name] = node.path_of(name).stat().st_size
        except FileNotFoundError:
            pass
    return found


def digest(node, name):
    try:
        data = node.path_of(name).read_bytes()
    except FileNotFoundError:
        return None
    return hashlib.sha1(data).digest()


def few(sentences):
    if len(sentences) <= SHOWN:
        return sentences
    return sentences[:SHOWN] + [f"... and {len(sentences) - SHOWN} more"]


def compare_disks(nodes, disks):
    """Where the store paths of two members differ."""
    wrong = []
    first = nodes[0]
    for other in nodes[1:]:
        one, two = disks[first], disks[other]
        for name in sorted(one.keys() ^ two.keys()):
            has, lacks = (first, other) if name in one else (other, first)
            wrong.append(f"{name}: on {has.base.name}, "
                         f"not on {lacks.base.name}")
        for name in sorted(one.keys() & two.keys()):
            if one[name] != two[name]:
                wrong.append(f"{name}: {one[name]} bytes on "
                             f"{first.base.name}, {two[name]} on "
                             f"{other.base.name}")
            elif digest(first, name) != digest(other, name):
                wrong.append(f"{name}: other bytes on {first.base.name} "
                             f"than on {other.base.name}")
    return few(wrong)


def _check_file(node, file, disk):
    """What is wrong with one file of the model on one member."""
    at = node.base.name
    if file.name not in disk:
        return [] if file.maybe_gone else [
            f"{file.name} ({file.kind}): acknowledged, not on {at}"]
    wrong = []
    data = node.path_of(file.name).read_bytes()
    if data not in file.allowed():
        sizes = [len(c) for c in file.allowed()]
        if not (file.maybe_torn and
                min(sizes) <= len(data) <= max(sizes)):
            wrong.append(f"{file.name} ({file.kind}): on {at} {len(data)} "
                         f"bytes not as acknowledged ({sizes} bytes)")
    side = file.name + "-m"
    text = node.path_of(side).read_bytes() if side in disk else None
    if text not in file.side_files() and not (
            not text and None in file.side_files()):
        wrong.append(f"{side}: on {at} {text!r:.80}, "
                     f"not {file.side_files()!r:.160}")
    return wrong


def compare_model(node, disk, model):
    """Where one member differs from what the load was told."""
    wrong = []
    for file in list(model.files.values()):
        wrong += _check_file(node, file, disk)
    known = set(model.files)
    spare = list(model.maybe_created)
    for name in sorted(set(disk) - known - {n + "-m" for n in known}):
        if name in model.deleted or name[:-2] in model.deleted:
            wrong.append(f"{name}: deleted, but on {node.base.name}")
            continue
        data = node.path_of(name).read_bytes()
        if data in spare:
            spare.remove(data)
        else:
            wrong.append(f"{name}: on {node.base.name}, nobody stored it")
    return few(wrong)


def _catalogue(node):
    with sqlite3_closing(node.catalogue()) as db:
        files = {row["remote"]: row for row in db.execute(
            "select remote, size, crc from files")}
        metas = {}
        for row in db.execute("select remote, key, value from meta"):
            metas.setdefault(row["remote"], {})[row["key"]] = row["value"]
        cursor = db.execute("select seq from cursor").fetchone()[0]
        if db.execute("pragma quick_check").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("the catalogue is damaged")
    return files, metas, cursor


def compare_databases(node, disk):
    """Where the databases of one of our members differ from its disk."""
    at = node.base.name
    with sqlite3_closing(node.oplog()) as log:
        last = log.execute("select max(seq) from operation").fetchone()[0]
        parked = log.execute("select count(*) from parked").fetchone()[0]
        if log.execute("pragma quick_check").fetchone()[0] != "ok":
            return [f"{at}: the log is damaged"]
    files, metas, cursor = _catalogue(node)
    if cursor < (last or 0):
        return [f"{at}: the catalogue is at {cursor}, the log at {last}"]
    wrong = [f"{at}: {parked} parked files"] if parked else []
    plain = {name for name in disk if not name.endswith("-m")}
    for name in sorted(plain ^ set(files)):
        wrong.append(f"{at}: {name} is " + (
            "on disk, not in the catalogue" if name in plain
            else "in the catalogue, not on disk"))
    for name in sorted(plain & set(files)):
        row = files[name]
        data = node.path_of(name).read_bytes()
        if row["size"] != len(data):
            wrong.append(f"{at}: {name}: {row['size']} bytes in the "
                         f"catalogue, {len(data)} on disk")
        elif row["crc"] and int(row["crc"], 16) != \
                zlib.crc32(data) & 0xFFFFFFFF:
            wrong.append(f"{at}: {name}: crc of the catalogue is wrong")
        side = node.path_of(name + "-m")
        meta = wire.unpack_meta(side.read_bytes()) \
            if name + "-m" in disk else {}
        if meta != metas.get(name, {}):
            wrong.append(f"{at}: {name}: metadata in the catalogue "
                         f"{metas.get(name)!r:.80}, on disk {meta!r:.80}")
    return few(wrong)


def not_synced(node):
    """Pairs in which one of our members has something left to send."""
    if node.is_stock or not node.alive():
        return []
    with sqlite3_closing(node.oplog()) as log:
        rows = log.execute("select name, state, error_text from follower "
                           "where name != 'catalogue'").fetchall()
    return [f"{node.base.name} to {row['name']}: {row['state']} "
            f"({row['error_text']})" for row in rows
            if row["state"] != "synced"]


def differences(nodes, model=None):
    """Everything that is not as it should be, as sentences."""
    wrong = []
    try:
        disks = {node: on_disk(node) for node in nodes}
        wrong += compare_disks(nodes, disks)
        for node in nodes:
            if model is not None:
                wrong += compare_model(node, disks[node], model)
            if not node.is_stock:
                wrong += compare_databases(node, disks[node])
            wrong += not_synced(node)
    except (FileNotFoundError, sqlite3.Error) as err:
        wrong.append(f"while comparing: {err}")  # still changing
    return wrong


def _same_shape(nodes):
    disks = [on_disk(node) for node in nodes]
    return all(disk == disks[0] for disk in disks[1:])


def wait_agree(nodes, model=None, deadline=30.0):
    """Waits until everything agrees; fails with what does not."""
    end = time.monotonic() + deadline
    while True:
        late = time.monotonic() > end
        if late or _same_shape(nodes):
            wrong = differences(nodes, model)
            if not wrong:
                return
            if late:
                raise AssertionError(
                    f"not in agreement after {deadline:.0f} s:\n  " +
                    "\n  ".join(wrong))
        time.sleep(0.2)


def verify_ours(made, nodes):
    """`fdfs-meta verify --rows` of each of our running members."""
    for node in nodes:
        if node.is_stock:
            continue
        out = made.tool("fdfs-meta", "verify", "--rows", node.conf_path,
                        deadline=60)
        assert out.returncode == 0, (
            f"{node.base.name}: fdfs-meta verify --rows: "
            f"{(out.stdout + out.stderr).decode()[-2000:]}")
