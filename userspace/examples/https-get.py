#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
#
# Fetches a page over HTTPS, from a server that has been verified: against the agent's trust
# store, and the name.
#
#	keyblobd --cert cert.pem --key key.pem &
#	./https-get.py https://www.example.com/

import socket
import struct
import sys
from urllib.parse import urlsplit

TCP_ULP = 31
SOL_KEYBLOB = 0x4B42
KEYBLOB_INFO = 4
KEYBLOB_HANDSHAKE = 7
KEYBLOB_ROLE_CLIENT = 1

if len(sys.argv) != 2:
    sys.exit("usage: https-get.py URL")
url = urlsplit(sys.argv[1])
name = url.hostname.encode()
server = socket.create_connection((name, url.port or 443))
try:
    server.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"keyblob")
except FileNotFoundError:
    sys.exit('no TLS: try "modprobe keyblob"')
try:
    server.setsockopt(
        SOL_KEYBLOB,
        KEYBLOB_HANDSHAKE,
        struct.pack("IHHII256s", 0, KEYBLOB_ROLE_CLIENT, 0, 0, 0, name),
    )
except ProcessLookupError:
    sys.exit("no agent: is keyblobd running?")
except OSError as error:
    reason = server.getsockopt(SOL_KEYBLOB, KEYBLOB_INFO, 328)[72:].split(b"\0")[0].decode()
    sys.exit(f"{url.hostname}: {error.strerror}: {reason}")

request = f"GET {url.path or '/'} HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: close\r\n\r\n"
server.sendall(request.encode())
while data := server.recv(16384):
    sys.stdout.buffer.write(data)
