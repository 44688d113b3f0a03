#!/usr/bin/env python3
"""Writes ipcomp.json: raw DEFLATE by zlib, and IPComp packets inside ESP sealed by scapy.

Run with `pip install scapy==2.8.0 cryptography`, then `python3 make_ipcomp.py > ipcomp.json`.
zlib comes with Python; scapy knows no IPComp, so that its header is written here (RFC 3173 section 3.3).
"""

import json
import random
import struct
import sys
import zlib

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.packet import Raw

KEY = bytes((0x3C + 7 * i) & 0xFF for i in range(20))


def deflate(data, level=6, strategy=zlib.Z_DEFAULT_STRATEGY, flush_at=()):
    state = zlib.compressobj(level, zlib.DEFLATED, -15, 9, strategy)
    out, start = b"", 0
    for at in flush_at:
        out += state.compress(data[start:at]) + state.flush(zlib.Z_FULL_FLUSH)
        start = at
    return out + state.compress(data[start:]) + state.flush()


def blocks():
    rng = random.Random(3173)
    words = b"the quick brown fox jumps over a lazy dog and runs away from it".split()
    text = b" ".join(rng.choice(words) for _ in range(220))[:1200]
    noise = bytes(rng.randrange(256) for _ in range(700))
    yield "text", text, deflate(text)
    yield "text, level 1", text, deflate(text, 1)
    yield "text, level 9", text, deflate(text, 9)
    yield "text, fixed codes", text, deflate(text, 6, zlib.Z_FIXED)
    yield "text, codes alone", text, deflate(text, 6, zlib.Z_HUFFMAN_ONLY)
    yield "text, runs alone", text, deflate(text, 6, zlib.Z_RLE)
    yield "text, stored", text, deflate(text, 0)
    yield "text in four parts", text, deflate(text, 6, flush_at=(1, 400, 1199))
    yield "noise", noise, deflate(noise)
    yield "zeros", bytes(1400), deflate(bytes(1400))
    yield "64 KiB of zeros", bytes(65535), deflate(bytes(65535), 9)
    yield "one octet", b"x", deflate(b"x")
    yield "nothing", b"", deflate(b"")


def packets():
    body = b"GET /index.html HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\n\r\n" * 8
    for cpi in (2, 0x3D7A):
        for version in (4, 6):
            if version == 4:
                ends = dict(src="10.1.0.1", dst="10.2.0.2", ttl=63, id=77)
                make, outer = IP, IP(src="192.0.2.1", dst="198.51.100.2", id=1)
            else:
                ends = dict(src="2001:db8:1::1", dst="2001:db8:2::2", hlim=63)
                make, outer = IPv6, IPv6(src="2001:db8::1", dst="2001:db8:ffff::2")
            inner = make(bytes(make(**ends) / TCP(sport=1025, dport=80, flags="PA") / Raw(body)))
            segment = bytes(inner[TCP])
            for mode in ("transport", "tunnel"):
                if mode == "transport":
                    data, following, header = segment, 6, inner.copy()
                    header.remove_payload()
                else:
                    data, following, header = bytes(inner), 4 if version == 4 else 41, outer.copy()
                payload = struct.pack("!BBH", following, 0, cpi) + deflate(data)
                # The length is set anew, the next header is IPComp.
                for field in ("len", "chksum", "plen", "proto", "nh"):
                    header.fields.pop(field, None)
                setattr(header, "proto" if version == 4 else "nh", 108)
                packet = header.__class__(bytes(header / Raw(payload)))
                sa = SecurityAssociation(ESP, spi=0x12345678, crypt_algo="AES-GCM", crypt_key=KEY)
                sealed = sa.encrypt(packet, seq_num=1, iv=bytes(7) + b"\1")
                name = f"{mode}/v{version}/{cpi}"
                yield name, mode, cpi, bytes(inner), payload[4:], bytes(sealed)


def main():
    values = [dict(name=n, plain=p.hex() if len(p) < 2000 else "", zeros=len(p) if len(p) >= 2000 else 0,
                   deflated=d.hex()) for n, p, d in blocks()]
    sealed = [dict(name=n, mode=m, cpi=c, inner=i.hex(), deflated=d.hex(), sealed=s.hex())
              for n, m, c, i, d, s in packets()]
    json.dump(dict(blocks=values, packets=sealed), sys.stdout, indent=0)
    print()


main()
