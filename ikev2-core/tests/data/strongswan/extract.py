"""Turns a tcpdump capture and charon's log (ike = 4, chd = 4) of one side into lines of `name hex`."""
import re
import struct
import sys

capture, log = open(sys.argv[1], "rb").read(), open(sys.argv[2], encoding="utf-8").read()
offset, number = 24, 0
while offset < len(capture):
    length = struct.unpack_from("<I", capture, offset + 8)[0]
    frame = capture[offset + 16 : offset + 16 + length]
    offset += 16 + length
    udp = frame[14 + 4 * (frame[14] & 15) :]
    ports, data = struct.unpack_from(">HH", udp), udp[8 : struct.unpack_from(">H", udp, 4)[0]]
    if 4500 in ports:
        if data[:4] != bytes(4):
            continue  # ESP
        data = data[4:]
    number += 1
    print(f"message.{number} {data.hex()}")

name, octets, seen = None, b"", {}


def emit():
    if name in WANTED:
        seen[name] = seen.get(name, 0) + 1
        print(f"{WANTED[name]}.{seen[name]} {octets.hex()}")


WANTED = {
    "shared Diffie Hellman secret": "shared", "DH secret": "child_shared", "SKEYSEED": "skeyseed",
    "Sk_d secret": "sk_d", "Sk_ai secret": "sk_ai", "Sk_ar secret": "sk_ar", "Sk_ei secret": "sk_ei",
    "Sk_er secret": "sk_er", "Sk_pi secret": "sk_pi", "Sk_pr secret": "sk_pr",
    "IDx'": "id_body", "octets = message + nonce + prf(Sk_px, IDx')": "auth_octets", "secret": "psk",
    "AUTH = prf(prf(secret, keypad), octets)": "auth", "seed": "seed",
    "encryption initiator key": "encr_i", "encryption responder key": "encr_r",
    "integrity initiator key": "integ_i", "integrity responder key": "integ_r",
    "natd_chunk": "natd_chunk", "natd_hash": "natd_hash",
}
for line in log.splitlines():
    line = re.sub(r"^\S*\[[A-Z]+\] ", "", re.sub(r"^.*?(?=\d\d\[)", "", line))
    if head := re.fullmatch(r"(.*) => (\d+) bytes @ 0x[0-9a-f]+", line):
        emit()
        name, octets = head[1], b""
    elif name and (row := re.match(r" +\d+: ((?:[0-9A-F]{2} ){1,16})", line)):
        octets += bytes.fromhex(row[1])
    else:
        emit()
        name = None
emit()
