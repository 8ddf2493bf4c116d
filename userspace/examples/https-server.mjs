// SPDX-License-Identifier: GPL-2.0-only
//
// An HTTPS server in Node, which cannot set options of sockets: it is given its listening
// socket as descriptor 3, by tls-listen.py or by a service manager (see systemd/).
//
//	keyblobd --cert cert.pem --key key.pem &
//	./tls-listen.py 8443 node https-server.mjs
//	curl --cacert cert.pem https://localhost:8443/

import { createServer } from "node:http";

createServer((request, response) => response.end(`hello, you asked for ${request.url}\n`))
	.listen({ fd: 3 });
