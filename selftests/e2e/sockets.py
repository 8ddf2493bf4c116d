#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""A program that knows nothing of TLS, for the tests of keyblob run.

sockets.py ACT..., each of them one of

  listen=ADDRESS,PORT    bind and listen; PORT 0: any. Without "ADDRESS,PORT": no bind
  again                  listen again on the last one
  connect=HOST,PORT      look HOST up with getaddrinfo, and connect to what it gave first
  to=ADDRESS,PORT        connect without a look-up
  lookup=HOST            only look it up
  lookupall=HOST         the same, for every type of socket
  byname=HOST,PORT       connect to what gethostbyname gave
  udp=ADDRESS,PORT       send a datagram
  unix=PATH              listen and connect there
  fastopen=ADDRESS,PORT  each way to send data in the SYN
  serveropen             TCP_FASTOPEN on a listener
  mptcp=ADDRESS,PORT     connect by Multipath TCP
  stderr=ADDRESS,PORT    make descriptor 2 a connection there
  fork                   the rest is done by a child
  exec                   the rest is done by a program that it becomes

Each prints "ACT ok" or "ACT ERRNO". Ends with "waits" where the last act is "wait", which
waits for a line of input.
"""
import errno
import os
import socket
import sys

kept = []


def tcp(address, protocol=0):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kept.append(socket.socket(family, socket.SOCK_STREAM, protocol))
    kept[-1].settimeout(None)
    return kept[-1]


def listen(where):
    if not where:
        tcp("").listen()
        return
    s = tcp(where[0])
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((where[0], int(where[1])))
    s.listen()


def look_up(host):
    return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0]


def to(address, port, protocol=0):
    tcp(address, protocol).connect((address, int(port)))


def udp(address, port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((address, int(port)))
    s.send(b"hello")


def unix(path):
    kept.append(socket.socket(socket.AF_UNIX))
    kept[-1].bind(path)
    kept[-1].listen()
    socket.socket(socket.AF_UNIX).connect(path)


def fast_open(address, port):
    refused = []
    s = tcp(address)
    ways = {
        "option": lambda: s.setsockopt(socket.IPPROTO_TCP, 30, 1),
        "off": lambda: s.setsockopt(socket.IPPROTO_TCP, 30, 0),
        "sendto": lambda: s.sendto(b"plain", socket.MSG_FASTOPEN, (address, int(port))),
        "sendmsg": lambda: s.sendmsg([b"plain"], [], socket.MSG_FASTOPEN, (address, int(port))),
    }
    for name, way in ways.items():
        try:
            way()
        except OSError as error:
            refused.append(name + ":" + errno.errorcode[error.errno])
    print("refused", ",".join(refused))


def server_open():
    tcp("").setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 5)


def stderr(address, port):
    s = socket.create_connection((address, int(port)))
    os.dup2(s.fileno(), 2)


def act(name, where):
    if name == "listen":
        listen(where)
    elif name == "again":
        kept[-1].listen()
    elif name == "connect":
        to(look_up(where[0]), where[1])
    elif name == "to":
        to(*where)
    elif name == "lookup":
        look_up(where[0])
    elif name == "lookupall":
        socket.getaddrinfo(where[0], None)
    elif name == "byname":
        to(socket.gethostbyname(where[0]), where[1])
    elif name == "udp":
        udp(*where)
    elif name == "unix":
        unix(*where)
    elif name == "fastopen":
        fast_open(*where)
    elif name == "serveropen":
        server_open()
    elif name == "mptcp":
        to(*where, 262)
    elif name == "stderr":
        stderr(*where)
    else:
        sys.exit("sockets.py: what is " + name + "?")


def main():
    for i, word in enumerate(sys.argv[1:]):
        name, _, where = word.partition("=")
        if name == "wait":
            print("waits", flush=True)
            sys.stdin.readline()
        elif name == "fork":
            if os.fork():
                os.wait()
                return
        elif name == "exec":
            os.execv(sys.argv[0], [sys.argv[0]] + sys.argv[i + 2:])
        else:
            try:
                act(name, where.split(",") if where else [])
                print(name, "ok", flush=True)
            except OSError as error:
                print(name, errno.errorcode.get(error.errno, error), flush=True)


main()
