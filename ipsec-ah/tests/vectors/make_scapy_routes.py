#!/usr/bin/env python3
"""Writes scapy_routes.json: AH packets with routing headers and source routes, sealed by scapy.

Run with `pip install scapy==2.8.0 cryptography`, then `python3 make_scapy_routes.py > scapy_routes.json`.
`arrived` is the packet as it comes to its last destination, put in order here by RFC 2460 section 4.4.
"""

import json
import sys

from scapy.layers.inet import IP, UDP, IPOption_LSRR, IPOption_SSRR
from scapy.layers.inet6 import (
    HBHOptUnknown,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.ipsec import AH, SecurityAssociation
from scapy.packet import Raw

MACS = [("sha256", 12, 32, "SHA2-256-128"), ("sha1", 2, 20, "HMAC-SHA1-96"), ("cmac96", 8, 16, "AES-CMAC-96")]


def octets(count, seed):
    return bytes((seed + 37 * i) & 0xFF for i in range(count))


def parsed(packet):
    return packet.__class__(bytes(packet))


def packets():
    v6 = dict(src="2001:db8:1::1", dst="2001:db8:2::2", hlim=63, tc=0xB9, fl=0xABCDE)
    v4 = dict(src="10.1.0.1", dst="10.2.0.2", ttl=63, tos=0xB9, id=77)
    stops = ["2001:db8:3::3", "2001:db8:4::4", "2001:db8:5::5"]
    hop = IPv6ExtHdrHopByHop(options=[HBHOptUnknown(otype=0x3E, optlen=4, optdata=b"abcd")])
    before = IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=0x1E, optlen=3, optdata=b"xyz")])
    end = UDP(sport=3, dport=4, chksum=0x1234) / Raw(octets(50, 5))
    for n in (1, 2, 3):
        route = IPv6ExtHdrRouting(type=0, segleft=n, addresses=stops[:n])
        yield f"type 0, {n} left", IPv6(**v6) / route / end
        yield f"type 0 behind options, {n} left", IPv6(**v6) / hop / before / route / before / end
    yield "type 2", IPv6(**v6) / IPv6ExtHdrRouting(type=2, segleft=1, addresses=stops[:1]) / end
    # The destination of a source route at its end is the last one.
    for name, option in (("loose", IPOption_LSRR), ("strict", IPOption_SSRR)):
        for n in (1, 3):
            routers = [f"192.0.2.{i}" for i in range(n)]
            done = option(length=3 + 4 * n, pointer=4 + 4 * n, routers=routers)
            yield f"{name} route at its end, {n}", IP(options=[done], **v4) / end


def arrive(packet):
    packet = parsed(packet)
    route = packet.getlayer(IPv6ExtHdrRouting)
    if route is not None:
        addresses = route.addresses
        while route.segleft > 0:
            at = len(addresses) - route.segleft
            addresses[at], packet.dst = packet.dst, addresses[at]
            route.segleft -= 1
        route.addresses = addresses
        packet.hlim = 7
    return bytes(packet)


def vectors():
    for m, (name, integ, key_len, auth_algo) in enumerate(MACS):
        for i, (kind, inner) in enumerate(packets()):
            key, spi = octets(key_len, 0x31 + m), 0x30000000 + 256 * m + i
            sa = SecurityAssociation(AH, spi=spi, auth_algo=auth_algo, auth_key=key)
            inner = parsed(inner)
            sealed = bytes(sa.encrypt(parsed(inner)))
            yield {
                "name": f"{name}/{kind}",
                "mode": "transport",
                "integ": integ,
                "key": key.hex(),
                "spi": spi,
                "esn": False,
                "seq": "1",
                "inner": bytes(inner).hex(),
                "sealed": sealed.hex(),
                "arrived": arrive(inner.__class__(sealed)).hex(),
                "opened": arrive(inner).hex(),
            }


json.dump(list(vectors()), sys.stdout, indent=0)
print()
