"""Publishes a send to tram and prints its receipt as JSON, which follow.py reads:

    python3 publish.py order-17-shipped | python3 follow.py
"""

import json
import os
import sys

from msgpack_small import pack
from nats_small import Nats

SOURCE = "/acme/shop"


def publish(nats, kind, provider, account, cls, request_id, body):
    """Stores one request and returns the stream's acknowledgement.

    Nats-Msg-Id lets the stream recognise a repeat: after a timeout or a lost
    connection publish again with the same id, and it stays one request.
    """
    return nats.request(f"tram.{kind}.{provider}.{account}.{cls}", pack(body), {
        "ce-specversion": "1.0",
        "ce-id": request_id,
        "ce-source": SOURCE,
        "ce-type": f"io.github.tramhq.{kind}.v1",
        "ce-datacontenttype": "application/msgpack",
        "Nats-Msg-Id": f"{SOURCE}/{request_id}",
        "Nats-Expected-Stream": "TRAM_REQUESTS",
    })


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: publish.py <id of the request, made of your own key>")
    nats = Nats(os.environ.get("NATS_URL", "127.0.0.1:4222"))
    ack = publish(nats, "send", "caresoft", "hotline", "urgent", sys.argv[1], {
        "recipient": {"kind": "phone", "value": "0900000001"},
        "content": {"kind": "text", "text": "Đơn hàng của bạn đang được giao."},
        "correlation_id": "order-17",
    })
    print(json.dumps({"id": sys.argv[1], "source": SOURCE, "seq": ack["seq"], "duplicate": ack.get("duplicate", False)}))
    nats.close()


if __name__ == "__main__":
    main()
