// SPDX-License-Identifier: GPL-2.0-only

// An HTTPS server: net/http as it is, and two options on the listening socket.
//
//	keyblobd --cert cert.pem --key key.pem &
//	go run https-server.go :8443
//	curl --cacert cert.pem https://localhost:8443/

// Not with Multipath TCP, which has no upper layer protocols.
//
//go:debug multipathtcp=0
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"syscall"
	"unsafe"
)

const (
	tcpULP            = 31
	solKeyblob        = 0x4b42
	keyblobHandshake  = 7
	keyblobRoleServer = 2
)

// withTLS is called for a socket that does not listen yet.
func withTLS(_, _ string, c syscall.RawConn) (err error) {
	// The head of struct keyblob_handshake, whose third word is role.
	handshake := [8]uint16{2: keyblobRoleServer}
	value := string((*[16]byte)(unsafe.Pointer(&handshake))[:])
	c.Control(func(fd uintptr) {
		err = syscall.SetsockoptString(int(fd), syscall.IPPROTO_TCP, tcpULP, "keyblob")
		if err == syscall.ENOENT {
			err = fmt.Errorf(`no TLS (try "modprobe keyblob"): %w`, err)
		}
		if err == nil {
			err = syscall.SetsockoptString(int(fd), solKeyblob, keyblobHandshake, value)
		}
	})
	return err
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: https-server [ADDRESS]:PORT")
	}
	config := net.ListenConfig{Control: withTLS}
	listener, err := config.Listen(context.Background(), "tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.Serve(listener, http.FileServer(http.Dir("."))))
}
