"""The fields of a `multipart/form-data` body (RFC 7578): Dropbox Sign and Mailgun send such.

Total: what is no such body has no fields. Files are fields like any other, by their name.
"""

import re
from typing import Final

BOUNDARY: Final = re.compile(
    rb'multipart/form-data;(?:.*;)?\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.I | re.S
)
NAME: Final = re.compile(
    rb'^content-disposition:\s*form-data;(?:.*;)?\s*name="([^"\r\n]{1,200})"', re.I | re.M
)
MAX_TYPE: Final = 300  # a longer content type would only feed the pattern


def parse_multipart(body: bytes, content_type: bytes, most: int) -> dict[str, bytes]:
    """Each field's bytes by its name, the last of a repeated one; none of more than `most`."""
    found = BOUNDARY.match(content_type[:MAX_TYPE])
    if found is None:
        return {}
    delimiter = b"\r\n--" + (found[1] or found[2])
    parts = (b"\r\n" + body).split(delimiter, most + 2)
    if len(parts) > most + 2 or not parts[-1].startswith(b"--"):
        return {}
    fields: dict[str, bytes] = {}
    for part in parts[1:-1]:
        head, blank, content = part.partition(b"\r\n\r\n")
        name = NAME.search(head[:2000])
        if blank and name:
            fields[name[1].decode("latin-1")] = content
    return fields
