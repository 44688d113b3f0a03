#!/usr/bin/env python3
"""Writes tcp_encap.pcap and its key tables: IKE and ESP in TCP (RFC 9329), made by scapy.

Run with `pip install scapy==2.8.0 cryptography`, then `python3 make_tcp_encap.py` in this folder. Keys, IVs and
payloads count up from fixed seeds, so that the files are always the same.
"""

import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from scapy.contrib import ikev2 as ike
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.packet import Raw
from scapy.utils import PcapWriter


def octets(count, seed):
    return bytes((seed + 37 * i) & 0xFF for i in range(count))


SPI_I, SPI_R = octets(8, 0x11), octets(8, 0x22)
# Key and salt of each direction.
SK_E = {True: octets(36, 0x33), False: octets(36, 0x44)}
ESP_KEY = {True: octets(36, 0x55), False: octets(36, 0x66)}
ESP_SPI = {True: 0xC0FFEE01, False: 0xC0FFEE02}


def transforms():
    aes = ike.IKEv2_Transform(transform_type=1, transform_id=20, key_length=256)
    return aes / ike.IKEv2_Transform(transform_type=2, transform_id=5) / ike.IKEv2_Transform(
        transform_type=4, transform_id=31
    )


def sa_init(request):
    header = ike.IKEv2(
        init_SPI=SPI_I,
        resp_SPI=bytes(8) if request else SPI_R,
        exch_type=34,
        flags="Initiator" if request else "Response",
        id=0,
    )
    proposal = ike.IKEv2_Proposal(proposal=1, proto=1, trans_nb=3, trans=transforms())
    return bytes(
        header
        / ike.IKEv2_SA(prop=proposal)
        / ike.IKEv2_KE(group=31, ke=octets(32, 0x77 if request else 0x88))
        / ike.IKEv2_Nonce(nonce=octets(32, 0x99 if request else 0xAA))
        / ike.IKEv2_Notify(type=16388, notify=octets(20, 1))
        / ike.IKEv2_Notify(type=16389, notify=octets(20, 2))
    )


def informational(request, number, payloads, first):
    """An SK payload under AES-GCM (RFC 5282), sealed with the octets that scapy makes of the header."""
    key, salt = SK_E[request][:32], SK_E[request][32:]
    iv, plain = struct.pack(">Q", number + 1), payloads + b"\x00"
    length = 28 + 4 + 8 + len(plain) + 16
    header = bytes(
        ike.IKEv2(
            init_SPI=SPI_I,
            resp_SPI=SPI_R,
            next_payload=46,
            exch_type=37,
            flags="Initiator" if request else "Response",
            id=number,
            length=length,
        )
    )
    header += struct.pack(">BBH", first, 0, length - 28)
    return header + iv + AESGCM(key).encrypt(salt + iv, plain, header)


def esp(request, number, count, seed):
    src, dst = ("10.1.0.1", "10.2.0.2") if request else ("10.2.0.2", "10.1.0.1")
    inner = IP(src=src, dst=dst, ttl=63) / ICMP(type=8 if request else 0, id=7, seq=number) / Raw(octets(count, seed))
    sa = SecurityAssociation(
        ESP,
        spi=ESP_SPI[request],
        crypt_algo="AES-GCM",
        crypt_key=ESP_KEY[request],
        tunnel_header=IP(src="192.0.2.1", dst="192.0.2.2"),
    )
    sealed = sa.encrypt(IP(bytes(inner)), seq_num=number, iv=struct.pack(">Q", number))
    return bytes(sealed[ESP])


def frame(content):
    return struct.pack(">H", 2 + len(content)) + content


def marked(message):
    return frame(bytes(4) + message)


class Connection:
    """Two ends, and a stream of octets each way that is cut as one likes."""

    def __init__(self, out, low, high, sport, dport, isn, streams):
        self.out, self.streams, self.taken = out, streams, [0, 0]
        self.ends, self.ports, self.isn = [low, high], [sport, dport], isn
        for side, flags in [(0, "S"), (1, "SA"), (0, "A")]:
            self.write(side, flags, self.isn[side] if "S" in flags else None)

    def write(self, side, flags, seq=None, payload=b""):
        layer = IPv6 if ":" in self.ends[0] else IP
        seq = (self.isn[side] + 1 + self.taken[side]) if seq is None else seq
        ack = (self.isn[1 - side] + 1 + self.taken[1 - side]) if flags != "S" else 0
        tcp = TCP(
            sport=self.ports[side],
            dport=self.ports[1 - side],
            flags=flags,
            seq=seq & 0xFFFFFFFF,
            ack=ack & 0xFFFFFFFF,
        )
        self.out.write(layer(src=self.ends[side], dst=self.ends[1 - side]) / tcp / payload)

    def cut(self, side, start, end):
        """The segment that holds these octets of a stream."""
        self.write(side, "PA", self.isn[side] + 1 + start, self.streams[side][start:end])
        self.taken[side] = max(self.taken[side], end)


class Clock(PcapWriter):
    """A packet each millisecond."""

    def __init__(self, name):
        super().__init__(name, linktype=101, sync=True)
        self.millisecond = 0

    def write(self, packet):
        packet.time = 1_700_000_000 + self.millisecond / 1000
        self.millisecond += 1
        super().write(packet)


def main():
    out = Clock("tcp_encap.pcap")
    delete = bytes(ike.IKEv2_Delete(proto=3, SPIsize=4, SPInum=1, SPI=[ESP_SPI[True].to_bytes(4, "big")]))
    client = b"IKETCP" + marked(sa_init(True)) + marked(informational(True, 1, b"", 0))
    client += frame(esp(True, 1, 40, 1)) + frame(b"\xff") + frame(b"") + frame(esp(True, 2, 1300, 2))
    client += frame(esp(True, 3, 0, 3)) + marked(informational(True, 2, delete, 42))
    server = marked(sa_init(False)) + marked(informational(False, 1, b"", 0))
    server += frame(esp(False, 1, 40, 4)) + frame(esp(False, 2, 1300, 5)) + marked(informational(False, 2, b"", 0))

    # Sequence numbers of both sides wrap. The client's segments are cut inside the prefix, lengths and markers, come in
    # another order, twice, and overlapping; the server's are as large as they can be, and one of an octet.
    first = Connection(
        out, "192.0.2.1", "192.0.2.2", 40000, 4500, (0xFFFFFF00, 0xFFFFFFF0), (client, server)
    )
    init = len(b"IKETCP" + marked(sa_init(True)))
    first.cut(0, 0, 2)
    first.cut(0, 2, 7)
    first.cut(0, 10, 60)
    first.cut(0, 7, 10)
    first.cut(0, 7, 10)
    first.cut(0, 40, init)
    answer = len(marked(sa_init(False)))
    first.cut(1, 0, answer)
    first.cut(0, init, init + 1)
    first.cut(0, init + 90, init + 200)
    first.cut(0, init + 1, init + 95)
    first.cut(1, answer, answer + 1)
    first.cut(1, answer + 1, min(answer + 1461, len(server)))
    for start in range(init + 700, init + 200, -250):
        first.cut(0, start, start + 250)
    first.cut(0, init + 190, init + 210)
    first.cut(0, init + 210, init + 460)
    first.cut(0, init + 950, len(client))
    first.cut(1, answer + 1461, len(server))
    first.write(0, "FA")
    first.taken[0] += 1
    first.write(1, "FA")
    first.taken[1] += 1
    first.write(0, "A")

    # Not ours: what a server of the web is asked.
    web = Connection(out, "192.0.2.1", "198.51.100.7", 40001, 80, (1, 1), (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 404\r\n"))
    web.cut(0, 0, 18)
    web.cut(1, 0, 14)

    # Another port, IPv6, and only the prefix to know it by.
    second = Connection(
        out,
        "2001:db8::1",
        "2001:db8::2",
        50001,
        8443,
        (1000, 0x7FFFFFF0),
        (b"IKETCP" + marked(sa_init(True)), marked(sa_init(False)) + frame(esp(False, 3, 9, 6))),
    )
    second.cut(0, 0, len(second.streams[0]))
    second.cut(1, 0, len(second.streams[1]))
    second.write(0, "RA")
    out.close()

    with open("tcp_encap_ikev2_decryption_table", "w") as table:
        keys = f"{SK_E[True].hex()},{SK_E[False].hex()}"
        name = '"AES-GCM-256 with 16 octet ICV [RFC5282]",,,"NONE [RFC4306]"'
        table.write(f"{SPI_I.hex()},{SPI_R.hex()},{keys},{name}\n")
    with open("tcp_encap_esp_sa", "w") as table:
        for request in (True, False):
            ends = '"192.0.2.1","192.0.2.2"' if request else '"192.0.2.2","192.0.2.1"'
            name = "AES-GCM with 16 octet ICV [RFC4106]"
            key = ESP_KEY[request].hex()
            table.write(f'"IPv4",{ends},"0x{ESP_SPI[request]:08x}","{name}","0x{key}","NULL",""\n')


main()
