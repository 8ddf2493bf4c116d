#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
#
# Starts a program that takes its listening sockets from a service manager (LISTEN_FDS, see
# sd_listen_fds(3)) and knows nothing of TLS: all that it accepts is TLS.
#
#	keyblobd --cert cert.pem --key key.pem &
#	./tls-listen.py 8443 node https-server.mjs	# opens the port itself
#	ExecStart=tls-listen.py PROGRAM...		# in a unit that has a .socket

import os
import socket
import struct
import sys

TCP_ULP = 31
SOL_KEYBLOB = 0x4B42
KEYBLOB_HANDSHAKE = 7
KEYBLOB_ROLE_SERVER = 2

given = os.environ.get("LISTEN_PID") == str(os.getpid())
program = sys.argv[1:]
if len(program) < 2 - given:
    sys.exit("usage: tls-listen.py PORT PROGRAM...")
if not given:
    os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
    own = socket.create_server(("", int(program.pop(0))), backlog=512)
    os.dup2(own.fileno(), 3)
    os.set_inheritable(3, True)

for fd in range(3, 3 + int(os.environ["LISTEN_FDS"])):
    listener = socket.socket(fileno=fd)
    try:
        listener.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"keyblob")
    except FileExistsError:
        pass  # the service manager keeps it from one start to the next
    except FileNotFoundError:
        sys.exit('no TLS: try "modprobe keyblob"')
    listener.setsockopt(
        SOL_KEYBLOB, KEYBLOB_HANDSHAKE, struct.pack("IHHII", 0, KEYBLOB_ROLE_SERVER, 0, 0, 0)
    )
    listener.detach()
os.execvp(program[0], program)
