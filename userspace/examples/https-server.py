#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
#
# Serves the files of the working directory over HTTPS: http.server as it is, and two options
# on its listening socket.
#
#	keyblobd --cert cert.pem --key key.pem &
#	./https-server.py 8443
#	curl --cacert cert.pem https://localhost:8443/

import http.server
import socket
import struct
import sys

TCP_ULP = 31
SOL_KEYBLOB = 0x4B42
KEYBLOB_HANDSHAKE = 7
KEYBLOB_ROLE_SERVER = 2


if len(sys.argv) != 2:
    sys.exit("usage: https-server.py PORT")
server = http.server.ThreadingHTTPServer(
    ("", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler
)
try:
    server.socket.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"keyblob")
except FileNotFoundError:
    sys.exit('no TLS: try "modprobe keyblob"')
server.socket.setsockopt(
    SOL_KEYBLOB, KEYBLOB_HANDSHAKE, struct.pack("IHHII", 0, KEYBLOB_ROLE_SERVER, 0, 0, 0)
)
server.serve_forever()
