"""As much of NATS as a producer and a follower of tram need, over one plain socket.

It shows what goes over the wire and runs wherever Python does. It has no TLS, no
reconnect and one request at a time: a service uses the package nats-py, whose
jetstream().publish and jetstream().pull_subscribe do the same with the same
subjects and headers.
"""

import json
import secrets
import socket
from collections import deque, namedtuple
from urllib.parse import unquote, urlsplit

Message = namedtuple("Message", "subject reply status headers data")


class NatsError(Exception):
    """The broker has refused something, or is not there."""


class Nats:
    def __init__(self, url="nats://127.0.0.1:4222", timeout=10):
        at = urlsplit(url if "://" in url else "nats://" + url)
        self.socket = socket.create_connection((at.hostname, at.port or 4222), timeout)
        self.lines = self.socket.makefile("rb")
        self.arrived = deque()
        self.lines.readline()  # INFO: what the server is
        options = {"verbose": False, "headers": True, "no_responders": True, "lang": "python", "version": "1", "protocol": 1}
        if at.username and at.password is None:
            options["auth_token"] = unquote(at.username)
        elif at.username:
            options.update(user=unquote(at.username), **{"pass": unquote(at.password)})
        self.inbox = "_INBOX." + secrets.token_hex(12)
        self.asked = 0
        self.write("CONNECT " + json.dumps(options), f"SUB {self.inbox}.* 1", "PING")
        while self.read() != "PONG":
            pass

    def close(self):
        self.lines.close()
        self.socket.close()

    def write(self, *lines):
        self.socket.sendall("".join(line + "\r\n" for line in lines).encode())

    def publish(self, subject, data=b"", headers=None, reply=""):
        if headers is None:
            parts = f"PUB {subject} {reply} {len(data)}\r\n".encode(), data
        else:
            h = ("NATS/1.0\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n").encode()
            parts = f"HPUB {subject} {reply} {len(h)} {len(h) + len(data)}\r\n".encode(), h, data
        self.socket.sendall(b"".join(parts) + b"\r\n")

    def ask(self, subject, data=b"", headers=None):
        """Publishes with an address to answer to, which it returns for answers()."""
        self.asked += 1
        reply = f"{self.inbox}.{self.asked}"
        self.publish(subject, data, headers, reply)
        return reply

    def answers(self, reply):
        """Yields what comes to an address. It raises TimeoutError when nothing comes."""
        while True:
            m = self.arrived.popleft() if self.arrived else self.read()
            if isinstance(m, Message) and m.subject != reply and m.reply:
                yield m  # messages of a stream come under their own subject
            elif isinstance(m, Message) and m.subject == reply:
                if m.status == 503:
                    raise NatsError("nobody answers: is the subject right, and are the streams set up (tram setup)?")
                yield m

    def request(self, subject, data=b"", headers=None):
        """Asks for one JSON answer of JetStream, and raises NatsError if that is an error."""
        reply = self.ask(subject, data, headers)
        answer = json.loads(next(m for m in self.answers(reply) if m.subject == reply).data)
        if "error" in answer:
            raise NatsError(f"{subject}: {answer['error']['description']} ({answer['error']['err_code']})")
        return answer

    def read(self):
        """Reads one item of the protocol: a Message, "PONG", or None for what needs no answer."""
        words = self.lines.readline().decode().split()
        if not words:
            raise NatsError("the broker has closed the connection")
        if words[0] == "PING":
            self.write("PONG")
        elif words[0] == "-ERR":
            raise NatsError(" ".join(words[1:]))
        elif words[0] in ("MSG", "HMSG"):
            return self.read_message(words)
        return words[0] if words[0] == "PONG" else None

    def read_message(self, words):
        size = int(words[-1])
        head = int(words[-2]) if words[0] == "HMSG" else 0
        reply = words[3] if len(words) == (6 if head else 5) else ""
        data = self.lines.read(size + 2)[:-2]
        first, *rest = data[:head].decode().split("\r\n")
        status = int(first.split()[1]) if len(first.split()) > 1 else 0
        headers = dict(line.split(": ", 1) if ": " in line else line.split(":", 1) for line in rest if line)
        return Message(words[1], reply, status, headers, data[head:])
