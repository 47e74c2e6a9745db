"""cm-ethernetip's client, to read what eip_fake.py serves: the fake must make sense to others too.

Usage: eip_client.py PORT. Lines on standard input: `dint TAG`, `string TAG`, `struct TAG`, `tags` (how many, and the
names of those that are structures).
"""

import asyncio
import sys

from ethernetip.logix.tag_client import TagClient


async def main():
    async with TagClient("127.0.0.1", int(sys.argv[1]), path="1,0", use_connected="connected" in sys.argv) as client:
        print("ready", flush=True)
        found = None
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            word, *rest = line.split()
            try:
                if word in ("tags", "struct") and found is None:
                    found = await client.browse_tags()
                if word == "dint":
                    print(await client.read_dint(rest[0]), flush=True)
                elif word == "string":
                    print(await client.read_string(rest[0]), flush=True)
                elif word == "struct":
                    tag = next(tag for tag in found.tags if tag.name == rest[0])
                    value = await client.read_struct(rest[0], tag.template)
                    print(value.to_dict(), flush=True)
                elif word == "tags":
                    print(len(found.tags), *[tag.name for tag in found.tags if tag.is_struct], flush=True)
            except Exception as error:  # noqa: BLE001 - the test reads it
                print("error", repr(error), flush=True)


asyncio.run(main())
