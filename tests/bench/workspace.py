"""Fills a folder as a workspace: `python workspace.py FOLDER BYTES`. Runs in an agent's container, so it needs nothing.

Of the bytes 60 % are in six large files, the rest in small ones of up to 32 KiB, 256 to a folder; half of either is
noise that no compression makes smaller, half is text.
"""

import os
import random
import sys

LARGE_SHARE = 0.6
LARGE_FILES = 6
SMALL_BYTES = (512, 32 * 1024)
FILES_IN_FOLDER = 256
PIECE_BYTES = 1024 * 1024
TEXT = b"2024-05-17T12:00:00Z info a line of a log as programs write them, with words that come back\n"


def content(noise, size):
    """Yield pieces of `size` bytes together."""
    text = TEXT * (PIECE_BYTES // len(TEXT) + 1)
    while size > 0:
        piece = min(size, PIECE_BYTES)
        yield os.urandom(piece) if noise else text[:piece]
        size -= piece


def write(path, noise, size):
    with open(path, "wb") as file:
        for piece in content(noise, size):
            file.write(piece)


def fill(folder, total):
    """Write files of exactly `total` bytes together; return how many."""
    sizes = random.Random(total)
    large = int(total * LARGE_SHARE) // LARGE_FILES
    for number in range(LARGE_FILES):
        write(os.path.join(folder, f"large-{number}"), number % 2 == 0, large)
    left, number = total - large * LARGE_FILES, 0
    while left > 0:
        below = os.path.join(folder, f"small-{number // FILES_IN_FOLDER}")
        os.makedirs(below, exist_ok=True)
        size = min(sizes.randint(*SMALL_BYTES), left)
        write(os.path.join(below, f"{number}.txt"), number % 2 == 0, size)
        left, number = left - size, number + 1
    return LARGE_FILES + number


if __name__ == "__main__":
    print(fill(sys.argv[1], int(sys.argv[2])))
    os.sync()
