"""What systemd is told of a service with `Type=notify`: sd_notify(3), without the library."""

import os
import socket


def notify(*lines: str) -> None:
    """Such as READY=1, STOPPING=1, MAINPID=4711. Nothing happens where nobody listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto("\n".join(lines).encode(), address)
    except OSError:  # a service that cannot say so serves all the same
        pass
