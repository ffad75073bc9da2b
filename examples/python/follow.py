"""Reads receipts of publish.py from standard input, and prints the deliveries as
JSON lines until each of the sends has come to its end.

It reads with a durable consumer: what one run has acknowledged, the next one
does not see again.
"""

import json
import os
import sys

from msgpack_small import unpack
from nats_small import Nats

STREAM, DURABLE = "TRAM_EVENTS", "python-example"
BATCH = 50
NOTHING_NOW, TIMED_OUT = 404, 408


def events(nats, subjects):
    """Yields each event as its message and its body."""
    nats.request(f"$JS.API.CONSUMER.DURABLE.CREATE.{STREAM}.{DURABLE}", json.dumps({
        "stream_name": STREAM,
        "config": {"durable_name": DURABLE, "ack_policy": "explicit", "filter_subjects": subjects},
    }).encode())
    while True:
        batch = json.dumps({"batch": BATCH, "expires": 5_000_000_000}).encode()  # nanoseconds
        left = BATCH  # a batch that has come whole is followed by no status
        for m in nats.answers(nats.ask(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{DURABLE}", batch)):
            if m.status in (NOTHING_NOW, TIMED_OUT):
                break
            if m.status:
                continue
            left -= 1
            yield m, unpack(m.data)
            if left == 0:
                break


def main():
    open_requests = {(r["source"], r["id"]) for r in map(json.loads, sys.stdin)}
    followed = set(open_requests)
    nats = Nats(os.environ.get("NATS_URL", "127.0.0.1:4222"))
    for m, body in events(nats, ["tram.delivery.*.*.*"]) if open_requests else ():
        request = (body["request_source"], body["request_id"])
        if request in followed:
            print(json.dumps({"id": m.headers["ce-id"], "data": body}, ensure_ascii=False), flush=True)
        nats.publish(m.reply, b"+ACK")  # after it was handled: it comes again where this is not reached
        if body["final"]:
            open_requests.discard(request)
        if not open_requests:
            break
    nats.close()


if __name__ == "__main__":
    main()
