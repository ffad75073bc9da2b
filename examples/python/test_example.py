"""The example against the contract's test vectors and a relay that runs.

TRAM is the binary of tram, which make python builds.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from follow import BATCH
from msgpack_small import pack, unpack
from nats_small import Nats
from publish import SOURCE, publish

HERE = pathlib.Path(__file__).parent
VECTORS = json.loads((HERE / "../../pkg/events/testdata/vectors.json").read_text())


def body_of(vector):
    return bytes.fromhex(vector["body_hex"]) + bytes(vector.get("pad", 0))


class TestVectors(unittest.TestCase):
    def test_valid(self):
        for vector in VECTORS:
            if vector.get("exact"):
                with self.subTest(vector["name"]):
                    body = vector["meaning"]["body"]
                    self.assertEqual(pack(body), body_of(vector))
                    self.assertEqual(unpack(body_of(vector)), body)

    def test_hostile(self):
        for vector in VECTORS:
            if vector["meaning"].get("reason") == "malformed_body":
                with self.subTest(vector["name"]), self.assertRaises(ValueError):
                    body = unpack(body_of(vector))
                    if not isinstance(body, dict):
                        raise ValueError("not a map")


class TestRelay(unittest.TestCase):
    def run_script(self, *args, stdin=""):
        command = [sys.executable, *args]
        done = subprocess.run(command, cwd=HERE, env=self.env, input=stdin, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_publish_and_follow(self):
        with tempfile.TemporaryDirectory() as state:
            up = [os.environ["TRAM"], "up", "--dir", state, "--listen", "127.0.0.1:0"]
            with subprocess.Popen(up, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as relay:
                try:
                    self.publish_and_follow(relay)
                finally:
                    relay.terminate()

    def publish_and_follow(self, relay):
        url = relay.stdout.readline().split("nats=")[1].split()[0]
        self.env = dict(os.environ, NATS_URL=url, PYTHONIOENCODING="utf-8")
        receipt = self.run_script("publish.py", "order-17-shipped")
        again = self.run_script("publish.py", "order-17-shipped")
        self.assertEqual([json.loads(receipt)["duplicate"], json.loads(again)["duplicate"]], [False, True])
        self.assertEqual(json.loads(receipt)["seq"], json.loads(again)["seq"])

        last = json.loads(self.run_script("follow.py", stdin=receipt).splitlines()[-1])["data"]
        self.assertEqual([last["state"], last["final"], last["correlation_id"]], ["accepted", True, "order-17"])

        # The consumer remembers: another run is told of another send alone.
        more = self.run_script("publish.py", "order-18-shipped")
        lines = self.run_script("follow.py", stdin=more).splitlines()
        self.assertEqual({json.loads(line)["data"]["request_id"] for line in lines}, {"order-18-shipped"})

        # One more than comes at once; these are refused, which is quick.
        nats = Nats(url)
        many = [f"order-{n}" for n in range(BATCH + 1)]
        for request_id in many:
            publish(nats, "send", "caresoft", "nobody", "bulk", request_id, {})
        nats.close()
        lines = self.run_script("follow.py", stdin="".join(json.dumps({"id": i, "source": SOURCE}) + "\n" for i in many)).splitlines()
        self.assertEqual({json.loads(line)["data"]["request_id"] for line in lines}, set(many))


if __name__ == "__main__":
    unittest.main()
