#!/usr/bin/env python3
"""Writes scapy_packets.json: whole IP packets sealed by scapy, an implementation of its own.

Every cipher and integrity algorithm that scapy knows, with IPv4 options and IPv6 extension headers in transport mode,
with and without UDP. Run with `pip install scapy==2.8.0 cryptography`, then
`python3 make_scapy_packets.py > scapy_packets.json`. Keys, IVs and payloads count up from fixed seeds, so that the file
is always the same.
"""

import json
import sys

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_RR, IPOption_Router_Alert
from scapy.layers.inet6 import (
    HBHOptUnknown,
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.packet import Raw

# name, encryption transform id, key octets, salt octets, IV octets, scapy's name, ICV octets
CIPHERS = [
    ("aes256gcm16", 20, 32, 4, 8, "AES-GCM", 16),
    ("aes192gcm12", 19, 24, 4, 8, "AES-GCM", 12),
    ("aes128gcm8", 18, 16, 4, 8, "AES-GCM", 8),
    ("aes128ccm16", 16, 16, 3, 8, "AES-CCM", 16),
    ("aes192ccm12", 15, 24, 3, 8, "AES-CCM", 12),
    ("aes256ccm8", 14, 32, 3, 8, "AES-CCM", 8),
    ("chacha20poly1305", 28, 32, 4, 8, "CHACHA20-POLY1305", 16),
    ("aes256gmac", 21, 32, 4, 8, "AES-NULL-GMAC", 16),
    ("aes192ctr", 13, 24, 4, 8, "AES-CTR", 0),
    ("aes192", 12, 24, 0, 16, "AES-CBC", 0),
    ("null", 11, 0, 0, 0, "NULL", 0),
]
# name, integrity transform id, key octets, scapy's name
MACS = [
    ("sha1", 2, 20, "HMAC-SHA1-96"),
    ("cmac96", 8, 16, "AES-CMAC-96"),
    ("sha256", 12, 32, "SHA2-256-128"),
]
SEQUENCES = [(False, 0x80000001), (True, 0x100000001)]


def octets(count, seed):
    return bytes((seed + 37 * i) & 0xFF for i in range(count))


def parsed(packet):
    """Lengths and checksums are only set in a packet that was parsed from octets."""
    return packet.__class__(bytes(packet))


def truncated(packet, octets):
    """scapy leaves the tag of GCM whole; a shorter ICV is its beginning (RFC 4106 section 6)."""
    packet[ESP].data = packet[ESP].data[:-octets]
    if UDP in packet:
        del packet[UDP].len, packet[UDP].chksum
    if IP in packet:
        del packet[IP].len, packet[IP].chksum
    else:
        del packet[IPv6].plen
    return packet


def packets():
    v4 = dict(src="192.0.2.1", dst="198.51.100.2", ttl=63, tos=0xB9, id=77, flags="DF")
    v6 = dict(src="2001:db8::1", dst="2001:db8:ffff::2", hlim=63, tc=0xB9, fl=0xABCDE)
    yield "v4", IP(**v4) / TCP(sport=4000, dport=80, flags="A") / Raw(octets(100, 3))
    options = [IPOption_Router_Alert(), IPOption_RR(length=7, pointer=4, routers=["1.2.3.4"])]
    yield "v4 options", IP(options=options, **v4) / UDP(sport=1, dport=2) / Raw(octets(61, 2))
    yield "v4 icmp", IP(**v4) / ICMP(id=7, seq=1) / Raw(octets(1, 1))
    yield "v6", IPv6(**v6) / ICMPv6EchoRequest(id=7, seq=2, data=octets(3, 4))
    hop = IPv6ExtHdrHopByHop(options=[HBHOptUnknown(otype=0x3E, optlen=4, optdata=b"abcd")])
    routing = IPv6ExtHdrRouting(addresses=["2001:db8::7"], segleft=0)
    stop = IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=0x1E, optlen=3, optdata=b"xyz")])
    yield "v6 extensions", IPv6(**v6) / hop / routing / UDP(sport=3, dport=4) / Raw(octets(50, 5))
    yield "v6 stops", IPv6(**v6) / hop / stop / routing / TCP(sport=3, dport=4) / Raw(octets(9, 6))


def outer_headers():
    yield "transport", None, None
    yield "tunnel", IP(src="192.0.2.1", dst="198.51.100.2"), None
    yield "tunnel", IPv6(src="2001:db8::1", dst="2001:db8:ffff::2"), None
    yield "tunnel", IP(src="192.0.2.1", dst="198.51.100.2"), UDP(sport=4500, dport=4501)


def vectors():
    suites = [(cipher, mac) for cipher in CIPHERS for mac in ([None] if cipher[6] else MACS)]
    for suite, (cipher, mac) in enumerate(suites):
        name, encr, key_len, salt_len, iv_len, crypt_algo, icv_len = cipher
        for i, (esn, seq) in enumerate(SEQUENCES):
            for j, (kind, inner) in enumerate(packets()):
                for mode, tunnel, nat_t in list(outer_headers())[:: 1 if suite == 0 else 3]:
                    crypt_key = octets(key_len + salt_len, 0x11 + suite)
                    auth_key = octets(mac[2], 0x55 + suite) if mac else b""
                    iv = seq.to_bytes(8, "big") if iv_len == 8 else octets(iv_len, 0x99 + i + j)
                    spi = 0x30000000 + 4096 * suite + 16 * i + j
                    sa = SecurityAssociation(
                        ESP,
                        spi=spi,
                        crypt_algo=crypt_algo,
                        crypt_key=crypt_key or None,
                        crypt_icv_size=icv_len or None,
                        auth_algo=mac[3] if mac else None,
                        auth_key=auth_key or None,
                        tunnel_header=tunnel,
                        nat_t_header=nat_t,
                        esn_en=esn,
                        esn=seq >> 32,
                    )
                    # A low half of 0 would be taken as unset by an argument.
                    sa.seq_num = seq & 0xFFFFFFFF
                    inner = parsed(inner)
                    sealed = sa.encrypt(parsed(inner), iv=iv, esn_en=esn, esn=seq >> 32)
                    if crypt_algo == "AES-GCM" and icv_len < 16:
                        sealed = truncated(sealed, 16 - icv_len)
                    yield {
                        "name": "-".join(filter(None, [name, mac and mac[0]])) + f"/{mode}/{kind}/{seq:x}",
                        "mode": mode,
                        "udp": nat_t is not None,
                        "encr": encr,
                        "key_bits": 8 * key_len,
                        "key": crypt_key.hex(),
                        "integ": mac[1] if mac else 0,
                        "integ_key": auth_key.hex(),
                        "spi": spi,
                        "esn": esn,
                        "seq": f"{seq:x}",
                        "iv": iv.hex() if iv_len else "",
                        "inner": bytes(inner).hex(),
                        "sealed": bytes(sealed).hex(),
                    }


json.dump(list(vectors()), sys.stdout, indent=0)
print()
