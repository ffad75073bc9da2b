"""As much of msgpack as tram's bodies need; use the package msgpack instead where you have it."""

import struct

MAX_DEPTH = 32


def pack(value):
    """Returns the shortest encoding of None, a bool, int, str, list or dict."""
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return pack_int(value)
    if isinstance(value, str):
        data = value.encode()
        return head(len(data), (0xA0, 31), {1: 0xD9, 2: 0xDA, 4: 0xDB}) + data
    if isinstance(value, list):
        return head(len(value), (0x90, 15), {2: 0xDC, 4: 0xDD}) + b"".join(map(pack, value))
    if isinstance(value, dict):
        pairs = b"".join(pack(k) + pack(v) for k, v in value.items())
        return head(len(value), (0x80, 15), {2: 0xDE, 4: 0xDF}) + pairs
    raise TypeError(f"no {type(value).__name__} stands in a body of tram")


def pack_int(n):
    if -32 <= n <= 127:
        return struct.pack("b", n)
    codes = zip("BHIQ", b"\xcc\xcd\xce\xcf") if n > 0 else zip("bhiq", b"\xd0\xd1\xd2\xd3")
    for form, code in codes:
        try:
            return bytes([code]) + struct.pack(">" + form, n)
        except struct.error:  # it does not fit
            pass
    raise OverflowError("an integer has at most 64 bits")


def head(n, fixed, codes):
    base, limit = fixed
    if n <= limit:
        return bytes([base | n])
    for width, code in codes.items():
        if n < 1 << 8 * width:
            return bytes([code]) + n.to_bytes(width, "big")
    raise OverflowError("too long for msgpack")


def unpack(data):
    """Returns the one value that data holds, or raises ValueError."""
    value, end = read(data, 0, 0)
    if end != len(data):
        raise ValueError("bytes after the end")
    return value


# What follows the codes from 0xc4 on: the kind, and how wide its length or value is.
WIDE = {
    0xC4: ("bin", 1), 0xC5: ("bin", 2), 0xC6: ("bin", 4), 0xC7: ("ext", 1), 0xC8: ("ext", 2), 0xC9: ("ext", 4),
    0xCA: (">f", 4), 0xCB: (">d", 8), 0xCC: (">B", 1), 0xCD: (">H", 2), 0xCE: (">I", 4), 0xCF: (">Q", 8),
    0xD0: (">b", 1), 0xD1: (">h", 2), 0xD2: (">i", 4), 0xD3: (">q", 8),
    0xD9: ("str", 1), 0xDA: ("str", 2), 0xDB: ("str", 4), 0xDC: ("list", 2), 0xDD: ("list", 4), 0xDE: ("map", 2), 0xDF: ("map", 4),
}


def read(data, at, depth):
    """Reads the value at a place and returns it with the place after it."""
    code = take(data, at, 1)[0]
    at += 1
    if code <= 0x7F or code >= 0xE0:
        return code if code <= 0x7F else code - 256, at
    if code <= 0x8F:
        return read_map(data, at, code & 15, depth)
    if code <= 0x9F:
        return read_list(data, at, code & 15, depth)
    if code <= 0xBF:
        return read_text(data, at, code & 31)
    if code in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[code], at
    if 0xD4 <= code <= 0xD8:  # extensions of 1, 2, 4, 8 and 16 bytes, after their type
        n = 1 + (1 << code - 0xD4)
        return take(data, at, n), at + n
    if code not in WIDE:
        raise ValueError("not msgpack")
    kind, width = WIDE[code]
    raw = take(data, at, width)
    at += width
    if kind.startswith(">"):
        return struct.unpack(kind, raw)[0], at
    n = int.from_bytes(raw, "big") + (kind == "ext")
    if kind == "map":
        return read_map(data, at, n, depth)
    if kind == "list":
        return read_list(data, at, n, depth)
    if kind == "str":
        return read_text(data, at, n)
    return take(data, at, n), at + n


def take(data, at, n):
    if n > len(data) - at:
        raise ValueError("it ends in the middle")
    return data[at : at + n]


def read_text(data, at, n):
    return take(data, at, n).decode(), at + n  # UnicodeDecodeError is a ValueError


def read_list(data, at, n, depth):
    if depth == MAX_DEPTH:
        raise ValueError("nested too deep")
    take(data, at, n)  # each item has a byte at least: a claim of more is refused before it is believed
    items = []
    for _ in range(n):
        item, at = read(data, at, depth + 1)
        items.append(item)
    return items, at


def read_map(data, at, n, depth):
    flat, at = read_list(data, at, 2 * n, depth)
    if not all(isinstance(key, str) for key in flat[::2]):
        raise ValueError("a key is not text")
    return dict(zip(flat[::2], flat[1::2])), at
