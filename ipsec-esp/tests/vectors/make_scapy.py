#!/usr/bin/env python3
"""Writes scapy.json: ESP packets sealed by scapy, an implementation of its own.

Run with `pip install scapy==2.8.0 cryptography`, then `python3 make_scapy.py > scapy.json`.
Keys, IVs and payloads count up from fixed seeds, so that the file is always the same.
"""

import json
import sys

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.packet import Raw

# name, encryption transform id, key octets, salt octets, IV octets, scapy's name
CIPHERS = [
    ("aes128gcm16", 20, 16, 4, 8, "AES-GCM"),
    ("aes256gcm16", 20, 32, 4, 8, "AES-GCM"),
    ("aes128", 12, 16, 0, 16, "AES-CBC"),
    ("aes256", 12, 32, 0, 16, "AES-CBC"),
    ("null", 11, 0, 0, 0, "NULL"),
]
# name, integrity transform id, key octets, scapy's name
MACS = [
    ("sha256", 12, 32, "SHA2-256-128"),
    ("sha384", 13, 48, "SHA2-384-192"),
    ("sha512", 14, 64, "SHA2-512-256"),
]
# the whole number; the IV of GCM is the number here, as the crate makes it
SEQUENCES = [
    (False, 1),
    (False, 0x80000001),
    (True, 5),
    (True, 0xFFFFFFFF),
    (True, 0x100000001),
    (True, 0x7FFFFFFF12345678),
]


def octets(count, seed):
    return bytes((seed + 37 * i) & 0xFF for i in range(count))


def parsed(packet):
    """Lengths and checksums are only set in a packet that was parsed from octets."""
    return packet.__class__(bytes(packet))


def inner_packets():
    v4 = dict(src="10.1.0.1", dst="10.2.0.2", ttl=63)
    v6 = dict(src="2001:db8:1::1", dst="2001:db8:2::2", hlim=63)
    yield 4, parsed(IP(**v4) / ICMP(id=7, seq=1) / Raw(octets(1, 1)))
    yield 4, parsed(IP(**v4) / UDP(sport=4000, dport=53) / Raw(octets(61, 2)))
    yield 4, parsed(IP(**v4) / TCP(sport=4000, dport=80, flags="A") / Raw(octets(500, 3)))
    yield 6, parsed(IPv6(**v6) / ICMPv6EchoRequest(id=7, seq=2, data=octets(3, 4)))
    yield 6, parsed(IPv6(**v6) / UDP(sport=4000, dport=53) / Raw(octets(200, 5)))


def outer_headers():
    yield None, None
    yield IP(src="192.0.2.1", dst="198.51.100.2"), None
    yield IPv6(src="2001:db8::1", dst="2001:db8:ffff::2"), None
    yield IP(src="192.0.2.1", dst="198.51.100.2"), UDP(sport=4500, dport=4501)


def vectors():
    suites = [
        (cipher, mac)
        for cipher in CIPHERS
        for mac in ([None] if cipher[1] == 20 else MACS)
    ]
    for suite, (cipher, mac) in enumerate(suites):
        name, encr, key_len, salt_len, iv_len, crypt_algo = cipher
        for i, (esn, seq) in enumerate(SEQUENCES):
            for j, (version, inner) in enumerate(inner_packets()):
                # Every outer header with every inner one, over all suites.
                tunnel, nat_t = list(outer_headers())[(suite + i + j) % 4]
                crypt_key = octets(key_len + salt_len, 0x11 + suite)
                auth_key = octets(mac[2], 0x55 + suite) if mac else b""
                iv = seq.to_bytes(8, "big") if iv_len == 8 else octets(iv_len, 0x99 + i + j)
                spi = 0x10000000 + 256 * suite + 16 * i + j
                sa = SecurityAssociation(
                    ESP,
                    spi=spi,
                    crypt_algo=crypt_algo,
                    crypt_key=crypt_key or None,
                    auth_algo=mac[3] if mac else None,
                    auth_key=auth_key or None,
                    tunnel_header=tunnel,
                    nat_t_header=nat_t,
                    esn_en=esn,
                    esn=seq >> 32,
                )
                # A low half of 0 would be taken as unset by an argument.
                sa.seq_num = seq & 0xFFFFFFFF
                packet = sa.encrypt(parsed(inner), iv=iv, esn_en=esn, esn=seq >> 32)
                if tunnel is None:
                    payload = bytes(inner)[20 if version == 4 else 40:]
                    next_header = inner.proto if version == 4 else inner.nh
                    esp = bytes(packet)[20 if version == 4 else 40:]
                else:
                    payload = bytes(inner)
                    next_header = 4 if version == 4 else 41
                    outer = 20 if tunnel.version == 4 else 40
                    esp = bytes(packet)[outer + (8 if nat_t else 0):]
                yield {
                    "name": "-".join(filter(None, [name, mac and mac[0]])) + f"/{i}/{j}",
                    "mode": "transport" if tunnel is None else "tunnel",
                    "encr": encr,
                    "key_bits": 8 * key_len,
                    "key": crypt_key.hex(),
                    "integ": mac[1] if mac else 0,
                    "integ_key": auth_key.hex(),
                    "spi": spi,
                    "esn": esn,
                    "seq": f"{seq:x}",
                    "iv": iv.hex() if iv_len else "",
                    "next_header": next_header,
                    "payload": payload.hex(),
                    "esp": esp.hex(),
                }


json.dump(list(vectors()), sys.stdout, indent=0)
print()
