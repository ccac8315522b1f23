"""A name server that knows one name: partner.example, at 127.0.0.2."""

import socket

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
while True:
    question, asker = server.recvfrom(512)
    known = question[12:].startswith(b"\x07partner\x07example\x00")
    name_end = question.index(b"\x00", 12) + 1
    is_address = question[name_end : name_end + 2] == b"\x00\x01"
    head = question[:2] + (b"\x81\x80" if known else b"\x81\x83") + b"\x00\x01" + (b"\x00\x01" if known and is_address else b"\x00\x00")
    answer = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04" + socket.inet_aton("127.0.0.2")
    server.sendto(head + b"\x00" * 4 + question[12 : name_end + 4] + (answer if known and is_address else b""), asker)
