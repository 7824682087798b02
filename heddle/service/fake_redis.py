"""A Redis server in Python, for where no real one can be had.

`python -m heddle.service.fake_redis PORT` starts it. It keeps nothing when it ends.
Heddle's messages are hints that the reaper sends again, so what that costs is a few seconds.
"""

from __future__ import annotations

import sys

from fakeredis import TcpFakeServer


def main() -> None:
    server = TcpFakeServer(("127.0.0.1", int(sys.argv[1])), server_type="redis")
    server.serve_forever()


if __name__ == "__main__":
    main()
