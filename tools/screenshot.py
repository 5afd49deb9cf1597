#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`make screenshot`: a picture of the text console after a few commands, typed on the emulated keyboard.

`screenshot.py OUTPUT.png COMMAND...`. It waits for a still picture rather than for a time.
"""

import os
import sys
import time

import qemu

KEYS = {" ": "spc", "\n": "ret", "-": "minus", "/": "slash", ".": "dot", ",": "comma", ";": "semicolon", "=": "equal",
        "'": "apostrophe", "\\": "backslash", "[": "bracket_left", "]": "bracket_right", "`": "grave_accent"}
SHIFTED = dict(zip('!@#$%^&*()_+{}|:"<>?~', ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0", "minus", "equal",
                                             "bracket_left", "bracket_right", "backslash", "semicolon", "apostrophe",
                                             "comma", "dot", "slash", "grave_accent"]))
STILL_SECONDS = 2
PATIENCE_SECONDS = 60


def keys_for(character):
    """The key names, pressed together, that type a character on a US keyboard."""
    if character in SHIFTED:
        return ["shift", SHIFTED[character]]
    if character.isupper():
        return ["shift", character.lower()]
    return [KEYS.get(character, character)]


def type_text(guest, text):
    for character in text:
        guest.qmp({"execute": "send-key", "arguments": {
            "keys": [{"type": "qcode", "data": key} for key in keys_for(character)], "hold-time": 20}})
        time.sleep(0.05 * qemu.slowness())


def picture(guest, path):
    """The screen as PNG bytes."""
    guest.qmp({"execute": "screendump", "arguments": {"filename": path, "format": "png"}})
    with open(path, "rb") as file:
        return file.read()


def wait_for_stillness(guest, path):
    """Wait until the screen has not changed for a while."""
    last, since = None, time.monotonic()
    begin = since
    while time.monotonic() - since < STILL_SECONDS * qemu.slowness():
        if time.monotonic() - begin > PATIENCE_SECONDS * qemu.slowness():
            raise TimeoutError("the screen never was still\n" + guest.report())
        guest.pump(0.3)
        now = picture(guest, path)
        if now != last:
            last, since = now, time.monotonic()
    return last


def main():
    output, commands = sys.argv[1], sys.argv[2:]
    # Of two console= options the later one counts, and the driver's own comes first.
    machine = qemu.Machine(smp=4, boot="grub", cmdline="console=tty1")
    with qemu.Guest(machine) as guest:
        path = guest.path("screen.png")
        wait_for_stillness(guest, path)
        for command in commands:
            type_text(guest, command + "\n")
            last = wait_for_stillness(guest, path)
    os.makedirs(os.path.dirname(output) or ".", exist_ok=True)
    with open(output, "wb") as file:
        file.write(last)


if __name__ == "__main__":
    main()
