# SPDX-License-Identifier: GPL-2.0
"""A progress bar on standard error, where that is a terminal; nothing elsewhere."""
import shutil
import sys
import time


class Bar:
    def __init__(self, steps):
        self.steps, self.done, self.began = steps, 0, time.monotonic()
        self.is_on = sys.stderr.isatty()

    def step(self):
        self.done += 1
        self.draw()

    def draw(self):
        if not self.is_on:
            return
        room = max(10, min(40, shutil.get_terminal_size().columns - 40))
        full = room * self.done // self.steps
        left = (time.monotonic() - self.began) / self.done * (self.steps - self.done) if self.done else None
        text = f", about {left / 60:.0f} min left" if left and left >= 60 else f", about {left:.0f} s left" if left else ""
        sys.stderr.write(f"\r\x1b[K[{'#' * full}{'.' * (room - full)}] {self.done} of {self.steps}{text}")
        sys.stderr.flush()

    def clear(self):
        if self.is_on:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
