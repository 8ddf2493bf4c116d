#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
#
# A TLS echo server in one thread: asyncio as it is, and two options on the listening socket.
# A peer that dawdles in its handshake keeps nobody waiting.
#
#	keyblobd --cert cert.pem --key key.pem &
#	./echo-server-asyncio.py 8443
#	openssl s_client -connect localhost:8443

import asyncio
import errno
import os
import socket
import struct
import sys

TCP_ULP = 31
SOL_KEYBLOB = 0x4B42
KEYBLOB_INFO = 4
KEYBLOB_HANDSHAKE = 7
KEYBLOB_ROLE_SERVER = 2


async def echo(connection):
    loop = asyncio.get_running_loop()
    with connection:
        try:
            while data := await loop.sock_recv(connection, 16384):
                await loop.sock_sendall(connection, data)
        except OSError as error:
            print(why(connection) or error, file=sys.stderr)


def why(connection):
    # The head of struct keyblob_status: error is at 60, reason from 72 on.
    status = connection.getsockopt(SOL_KEYBLOB, KEYBLOB_INFO, 328)
    (error,) = struct.unpack_from("I", status, 60)
    reason = status[72:].split(b"\0")[0].decode()
    if error == errno.ESRCH:
        reason = "is keyblobd running?"
    return error and f"handshake failed: {os.strerror(error)}: {reason}"


async def main(port):
    listener = socket.create_server(("", port), backlog=512)
    listener.setblocking(False)
    try:
        listener.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"keyblob")
    except FileNotFoundError:
        sys.exit('no TLS: try "modprobe keyblob"')
    listener.setsockopt(
        SOL_KEYBLOB, KEYBLOB_HANDSHAKE, struct.pack("IHHII", 0, KEYBLOB_ROLE_SERVER, 0, 0, 0)
    )
    async with asyncio.TaskGroup() as connections:
        while True:
            connection, _ = await asyncio.get_running_loop().sock_accept(listener)
            connections.create_task(echo(connection))


if len(sys.argv) != 2:
    sys.exit("usage: echo-server-asyncio.py PORT")
asyncio.run(main(int(sys.argv[1])))
