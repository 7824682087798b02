"""A Redis server in Python, for machines without a real one.

`python -m heddle.service.fake_redis PORT` starts it. It keeps nothing when it ends. That costs a
few seconds, as Heddle's messages are hints, which the reaper sends again.
"""

from __future__ import annotations

import sys

from fakeredis import TcpFakeServer


def main() -> None:
    server = TcpFakeServer(("127.0.0.1", int(sys.argv[1])), server_type="redis")
    server.serve_forever()


if __name__ == "__main__":
    main()
