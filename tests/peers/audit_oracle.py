"""Looks a gateway's audit over with nothing but what its description says, and hashlib.

    audit_oracle.py FOLDER

A line is a JSON object. Its hash is the SHA-256 of its bytes up to, and without, `,"hash":"`; `previous` is the hash of
the row before, of the first row 64 zeros. Files are named by the number of their first row. `head` holds number and hash
of the last row that is known to be on the disk. Says `N HASH` of the last row, or what is wrong, with exit status 1.
"""

import hashlib
import json
import pathlib
import sys


def main():
    folder = pathlib.Path(sys.argv[1])
    number, previous, hashes = 0, "0" * 64, {0: "0" * 64}
    for path in sorted(folder.glob("audit-*.jsonl")):
        if int(path.stem.removeprefix("audit-")) != number + 1:
            sys.exit(f"{path.name} does not begin with row {number + 1}")
        for line in path.read_bytes().splitlines():
            body, _, rest = line.rpartition(b',"hash":"')
            row = json.loads(line)
            if row["row"] != number + 1 or row["previous"] != previous:
                sys.exit(f"row {row['row']} does not follow row {number}")
            if rest != row["hash"].encode() + b'"}' or hashlib.sha256(body).hexdigest() != row["hash"]:
                sys.exit(f"row {row['row']} was changed")
            number, previous = row["row"], row["hash"]
            hashes[number] = previous
    noted, _, hash = (folder / "head").read_text().strip().partition(":")
    if hashes.get(int(noted)) != hash:
        sys.exit(f"the head names row {noted}, which is not there")
    print(number, previous)


main()
