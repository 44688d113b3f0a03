#!/usr/bin/env python3
"""Writes scapy.json: AH packets sealed by scapy, an implementation of its own.

Run with `pip install scapy==2.8.0 cryptography`, then `python3 make_scapy.py > scapy.json`.
Keys and payloads count up from fixed seeds, so that the file is always the same.
"""

import json
import sys

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption, IPOption_RR, IPOption_Router_Alert
from scapy.layers.inet6 import (
    HBHOptUnknown,
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrHopByHop,
    RouterAlert,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from scapy.layers.ipsec import AH, SecurityAssociation, split_for_transport, zero_mutable_fields
from scapy.packet import Raw

# name, integrity transform id, key octets, scapy's name
MACS = [
    ("sha256", 12, 32, "SHA2-256-128"),
    ("sha384", 13, 48, "SHA2-384-192"),
    ("sha512", 14, 64, "SHA2-512-256"),
    ("sha1", 2, 20, "HMAC-SHA1-96"),
    ("cmac96", 8, 16, "AES-CMAC-96"),
    ("gmac128", 9, 20, None),
    ("gmac256", 11, 36, None),
]
SEQUENCES = [(False, 1), (False, 0x80000001), (True, 0xFFFFFFFF), (True, 0x7FFFFFFF12345678)]


def octets(count, seed):
    return bytes((seed + 37 * i) & 0xFF for i in range(count))


def parsed(packet):
    """Lengths and checksums are only set in a packet that was parsed from octets."""
    return packet.__class__(bytes(packet))


def packets():
    v4 = dict(src="10.1.0.1", dst="10.2.0.2", ttl=63, tos=0xB9, id=77, flags="DF")
    v6 = dict(src="2001:db8:1::1", dst="2001:db8:2::2", hlim=63, tc=0xB9, fl=0xABCDE)
    yield "v4", IP(**v4) / ICMP(id=7, seq=1) / Raw(octets(1, 1))
    yield "v4", IP(**v4) / TCP(sport=4000, dport=80, flags="A") / Raw(octets(300, 3))
    # Router Alert is immutable, Record Route mutable.
    options = [IPOption_Router_Alert(), IPOption_RR(length=7, pointer=4, routers=["1.2.3.4"]), IPOption(b"\x01")]
    yield "v4 options", IP(options=options, **v4) / UDP(sport=1, dport=2) / Raw(octets(61, 2))
    yield "v6", IPv6(**v6) / ICMPv6EchoRequest(id=7, seq=2, data=octets(3, 4))
    # One option that may change, one that may not.
    hop = IPv6ExtHdrHopByHop(options=[RouterAlert(), HBHOptUnknown(otype=0x3E, optlen=4, optdata=b"abcd")])
    destination = IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=0x1E, optlen=3, optdata=b"xyz")])
    yield "v6 options", IPv6(**v6) / hop / destination / UDP(sport=3, dport=4) / Raw(octets(50, 5))


def tunnels():
    yield "transport", None
    yield "tunnel v4", IP(src="192.0.2.1", dst="198.51.100.2")
    yield "tunnel v6", IPv6(src="2001:db8::1", dst="2001:db8:ffff::2")


def gmac(inner, tunnel, key, spi, esn, seq):
    """RFC 4543, which scapy does not have for AH: put together from its parts and the GCM of `cryptography`."""
    iv = seq.to_bytes(8, "big")
    ah = AH(spi=spi, seq=seq & 0xFFFFFFFF, icv=iv + bytes(16))
    if tunnel is not None:
        header, ah.nh, payload = tunnel.copy(), 4 if inner.version == 4 else 41, inner
        if header.version == 4:
            header.proto = 51
        else:
            header.nh = 51
    else:
        header, ah.nh, payload = split_for_transport(inner, 51)
    # In units of four octets, less two; behind IPv6 a multiple of eight.
    padding = 4 if header.version == 6 else 0
    ah.payloadlen = (12 + 24 + padding) // 4 - 2
    ah.padding = bytes(padding)
    packet = parsed(header / ah / payload)
    zeroed = bytes(zero_mutable_fields(parsed(packet), sending=True))
    # Which takes the IV for a part of the ICV.
    at = bytes(packet).index(bytes(ah)[:12]) + 12
    aad = zeroed[:at] + iv + bytes(16) + zeroed[at + 24:]
    if esn:
        aad += (seq >> 32).to_bytes(4, "big")
    tag = AESGCM(key[:-4]).encrypt(key[-4:] + iv, b"", aad)
    octets = bytes(packet)
    return octets[:at + 8] + tag + octets[at + 24:]


def vectors():
    for m, (name, integ, key_len, auth_algo) in enumerate(MACS):
        for i, (esn, seq) in enumerate(SEQUENCES):
            for j, (kind, inner) in enumerate(packets()):
                for k, (mode, tunnel) in enumerate(tunnels()):
                    key = octets(key_len, 0x31 + m)
                    spi = 0x20000000 + 4096 * m + 256 * i + 16 * j + k
                    inner = parsed(inner)
                    if auth_algo is None:
                        sealed = gmac(parsed(inner), tunnel, key, spi, esn, seq)
                        yield vector(name, mode, kind, seq, integ, key, spi, esn, inner, sealed)
                        continue
                    sa = SecurityAssociation(
                        AH,
                        spi=spi,
                        auth_algo=auth_algo,
                        auth_key=key,
                        tunnel_header=tunnel,
                        esn_en=esn,
                        esn=seq >> 32,
                    )
                    sa.seq_num = seq & 0xFFFFFFFF
                    # AH zeroes fields of the packet that it is given.
                    sealed = sa.encrypt(parsed(inner), esn_en=esn, esn=seq >> 32)
                    yield vector(name, mode, kind, seq, integ, key, spi, esn, inner, sealed)


def vector(name, mode, kind, seq, integ, key, spi, esn, inner, sealed):
    return {
        "name": f"{name}/{mode}/{kind}/{seq:x}",
        "mode": mode.split()[0],
        "integ": integ,
        "key": key.hex(),
        "spi": spi,
        "esn": esn,
        "seq": f"{seq:x}",
        "inner": bytes(inner).hex(),
        "sealed": bytes(sealed).hex(),
    }


json.dump(list(vectors()), sys.stdout, indent=0)
print()
