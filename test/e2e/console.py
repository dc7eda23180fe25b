# SPDX-License-Identifier: MIT
"""A terminal program under test, in a tmux of its own."""

import os
import re
import subprocess
from pathlib import Path

from harness import wait_until


class Console:
    """A program in a tmux of its own: keys in, screen out."""

    def __init__(self, command, directory, cols=80, rows=24, env=None):
        self.socket = str(Path(directory) / "tmux.sock")
        self.env = dict(os.environ, TERM="xterm-256color",
                        LC_ALL="C.UTF-8", TZ="UTC")
        self.env.pop("TMUX", None)
        self.env.update(env or {})
        self.marker = Path(directory) / "exit-status"
        shell = f"{command}; echo $? > {self.marker}; sleep 600"
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(cols),
                   "-y", str(rows), "-s", "t", shell)

    def _tmux(self, *args):
        return subprocess.run(["tmux", "-S", self.socket, *args], check=True,
                              capture_output=True, text=True, env=self.env,
                              timeout=20).stdout

    def keys(self, *names):
        self._tmux("send-keys", "-t", "t", *names)

    def type(self, text):
        self._tmux("send-keys", "-t", "t", "-l", text)

    def screen(self):
        return self._tmux("capture-pane", "-p", "-t", "t")

    def lines(self):
        return self.screen().splitlines()

    def resize(self, cols, rows):
        self._tmux("resize-window", "-t", "t", "-x", str(cols), "-y",
                   str(rows))

    def wait(self, pattern, deadline=15.0):
        """Waits until the screen shows the pattern; gives the screen."""
        seen = ""

        def shown():
            nonlocal seen
            seen = self.screen()
            return re.search(pattern, seen)
        try:
            wait_until(shown, deadline)
        except AssertionError:
            raise AssertionError(
                f"no {pattern!r} on the screen within {deadline} s:\n{seen}"
            ) from None
        return seen

    def wait_end(self, deadline=10.0):
        """Waits until the program ends; gives its exit status."""
        wait_until(lambda: self.marker.exists() and
                   self.marker.read_text().strip(), deadline,
                   "the program ends")
        return int(self.marker.read_text())

    def close(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"],
                       check=False, capture_output=True, env=self.env,
                       timeout=20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
