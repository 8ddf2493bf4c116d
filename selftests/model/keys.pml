/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The keys of one socket: import, KeyUpdate of both sides, shutdown, close. A process is a
 * thread inside a call; each step names the function of the module that it stands for.
 * atomic {} is a section under the socket lock, unless it says otherwise. `run` has the
 * sets of threads that are tried, each in every order that there is.
 *
 * What must hold, and where it is asserted:
 *   once		a direction is imported at most once		import()
 *   nonce		no number is used twice under one key		encrypt()
 *   together		who sends or receives finds key, IV and		encrypt(), decrypt()
 *			generation of one piece, never the decoy
 *   order		between a KeyUpdate and its key goes nothing	encrypt()
 *   plain		nothing goes out plain once the key is there	sender()
 *   last word		nothing goes out after close_notify		encrypt()
 *   not hit		no control record meets the shutdown mark	send_control()
 *   answered		a KeyUpdate that asks is answered, once for	init
 *			all that asked meanwhile
 *   gone		no code of the module runs when it has been	close()
 *			unloaded, and it can be in the end
 * and there is no deadlock, which spin looks for itself.
 *
 * Not in it: keys that fail to be made, signals, blobs that are refused (kmod/blob.c),
 * readers that read plain while the key to receive with is imported: they move the stream.
 *
 * A defect for each that must be found, by -D: see `run`.
 *
 * Other functions than the module's. Of the kernel: setsockopt() tls_sw_sendmsg()
 * tls_sw_recvmsg() tls_rx_reader_acquire() sk_stream_wait_memory() tcp_cleanup_ulp()
 * down_write_trylock() down_write_killable(). Of this model: lock() unlock() give_key()
 * encrypt() decrypt() try_alone() wait_alone() let_in() let_out() sender() rekey() reader()
 * shut() close() peer() drain() unload().
 */

/* Threads that import the key to send with, and the one to receive with; 0: it is there. */
#ifndef IMPORT_TX
#define IMPORT_TX 0
#endif
#ifndef IMPORT_RX
#define IMPORT_RX 0
#endif
#ifndef SENDERS
#define SENDERS 0
#endif
#ifndef NONBLOCK
#define NONBLOCK 0		/* senders that must not wait */
#endif
#ifndef REKEYS
#define REKEYS 0		/* threads that set KEYBLOB_REKEY */
#endif
#ifndef READERS
#define READERS 0
#endif
#ifndef UPDATES
#define UPDATES 0		/* KeyUpdates of the peer's, which ask for ours */
#endif
#ifndef SHUTDOWNS
#define SHUTDOWNS 0		/* threads that call shutdown(2); then the peer may not read */
#endif

#define TX 0
#define RX 1
#define NOBODY 2

#define PLAIN 0			/* keys, and the IVs that belong to them */
#define DECOY 1
#define ASIDE 2
#define KEY(generation) (3 + (generation))

#define RECORDS 6		/* numbers under one key that are told apart */

/* kTLS, by direction */
bool sw[2];			/* TLS_SW; otherwise TLS_BASE */
byte key[2], iv[2], seq[2];
bool tx_lock, reader_present;
bool no_room;			/* in the send buffer */

/* struct kb_sock */
bool import_lock;
byte shares;			/* kb_sock.sending */
bool alone;
byte generation[2];
bool ready[2];
bool update_due, closing, turned_away, controlling, marked, tx_end;
bool send_shutdown;		/* sk_shutdown */

/* struct kb_stand_in */
byte aside = NOBODY, aside_iv;

/* the peer's stream: what waits to be decrypted, and whether it is at a control record */
byte peer_key = KEY(0), peer_seq;
chan wire = [UPDATES * 2 + 1] of { bool, byte, byte };	/* KeyUpdate?, key, number */
bool stopped;

/* to check with */
byte imports[2];
bool used[8 * RECORDS];		/* [key * RECORDS + number] */
bool announced;			/* our KeyUpdate is out, its key is not in place */
bool had_no_room, unanswered, plain_sent;
byte requests, answers;
byte importing, running;
byte refs = 1;			/* of the module: the attach's */
bool peer_done, closing_file, released, gone;

/* As import() leaves it. */
inline give_key(d)
{
	sw[d] = true;
	key[d] = KEY(0);
	iv[d] = KEY(0);
	ready[d] = true
}

inline lock(l) { atomic { !l -> l = true } }
inline unlock(l) { l = false }

/* ---- kTLS: tls_sw_sendmsg(), under tx_lock and the socket lock ---- */

inline encrypt()
{
	assert(sw[TX] && key[TX] == KEY(generation[TX]) && iv[TX] == key[TX]);
	assert(!announced && !tx_end);
	assert(seq[TX] < RECORDS && !used[key[TX] * RECORDS + seq[TX]]);
	used[key[TX] * RECORDS + seq[TX]] = true;
	seq[TX]++
}

/* tls_sw_recvmsg(), under the reader's mark and the socket lock */
inline decrypt(k, n)
{
	assert(sw[RX] && key[RX] == KEY(generation[RX]) && iv[RX] == key[RX]);
	assert(k == key[RX] && n == seq[RX]);
	seq[RX]++
}

/* ---- kmod/ktls.c ---- */

inline put_aside(d)
{
	aside = d;
	aside_iv = iv[d];
	iv[d] = ASIDE
}

inline put_back()
{
	iv[aside] = aside_iv;
	aside = NOBODY
}

inline commit(d, g)
{
	key[d] = KEY(g);
	iv[d] = KEY(g);
	seq[d] = 0
}

/* kb_ktls_rekey() and what turn() of kmod/stream.c does beside */
inline turn(d)
{
	commit(d, generation[d] + 1);
#ifndef DEFECT_STALE_IV
	if
	:: aside == d -> put_aside(d)
	:: else
	fi;
#endif
	generation[d]++
}

/* kb_ktls_install(): done is false where it is refused */
inline kb_ktls_install(d)
{
#ifndef DEFECT_NO_TX_LOCK
	lock(tx_lock);
#endif
	atomic {
		done = true;
		if
		:: d == TX && plain_sent -> done = false	/* may_install(): -ESTALE */
		:: else ->
			if
			:: !sw[1 - d]
			:: sw[1 - d] && d == RX -> put_aside(TX)
			:: sw[1 - d] && d == TX && reader_present -> done = false	/* readers_stop() */
			:: sw[1 - d] && d == TX && !reader_present ->
				reader_present = true;
				stopped_readers = true;
				put_aside(RX)
			fi
		fi
	}
	if
	:: done ->
		/* kTLS's setsockopt(), with the socket lock of its own */
		atomic { sw[d] = true; key[d] = DECOY; iv[d] = DECOY; seq[d] = 0 }
		atomic {
			commit(d, 0);
			if
			:: aside != NOBODY -> put_back()
			:: else
			fi;
			if
			:: stopped_readers -> reader_present = false	/* readers_resume() */
			:: else
			fi
		}
	:: else
	fi;
#ifndef DEFECT_NO_TX_LOCK
	unlock(tx_lock)
#endif
}

/* ---- kmod/stream.c: sending ---- */

/*
 * send_control(), under kb_sock.sending alone; sent is false where TCP has been shut down,
 * or the connection is lost.
 */
inline send_control()
{
	atomic {
		take_mark_back();
		controlling = true
	}
	lock(tx_lock);
	atomic {
		assert(!marked);
		sent = !send_shutdown;
		if
		:: sent -> encrypt()
		:: else
		fi
	}
	unlock(tx_lock);
	atomic { controlling = false }
}

inline take_mark_back()
{
	if
	:: marked -> marked = false; send_shutdown = false
	:: else
	fi
}

/* send_update(), under kb_sock.sending alone */
inline send_update()
{
	if
	:: !tx_end ->
		send_control();
		if
		:: sent ->
			announced = true;
			atomic {
				turn(TX);
				update_due = false;
				announced = false;
				unanswered = false;
				answers++
			}
		:: else
		fi
	:: else -> sent = false
	fi
}

inline try_alone(ok)			/* down_write_trylock() */
{
	atomic {
		ok = shares == 0 && !alone;
		alone = alone || ok
	}
}

inline wait_alone()			/* down_write_killable() */
{
	atomic { shares == 0 && !alone -> alone = true }
}

/* answer_update(): called by who has just let go, and by readers */
inline answer_update()
{
	do
	:: update_due && ready[TX] && !tx_end && !no_room ->
		try_alone(mine);
		if
		:: mine ->
			sent = true;
			if
#ifndef DEFECT_NO_SECOND_LOOK
			:: update_due -> send_update()
			:: else
#else
			:: send_update()
#endif
			fi;
			alone = false;
			if
			:: sent
			:: else -> break
			fi
		:: else -> break
		fi
	:: else -> break
	od
}

/* after_hold(), as in kb_stream_send_end() and unseize() */
inline after_hold()
{
	turned_away = false;
#ifndef DEFECT_NO_AFTER_HOLD
	answer_update()
#endif
}

inline unseize()
{
	alone = false;
	after_hold()
}

/* ---- the calls ---- */

/* import() of kmod/sockopt.c */
proctype import(byte d)
{
	bool done, mine = true, sent, stopped_readers;

#ifndef DEFECT_NO_IMPORT_LOCK
	lock(import_lock);
#endif
	if
	:: ready[d] -> goto out			/* check_binding(): -EALREADY */
	:: else
	fi;
	if
	:: d == TX -> try_alone(mine)		/* kb_stream_hold() */
	:: else
	fi;
	if
	:: mine
	:: else -> goto out			/* -EBUSY */
	fi;
	kb_ktls_install(d);
	if
	:: done ->
		imports[d]++;
		assert(imports[d] == 1);
		ready[d] = true
	:: else
	fi;
	if
	:: d == TX -> unseize()			/* kb_stream_release() */
	:: else
	fi;
out:
#ifndef DEFECT_NO_IMPORT_LOCK
	unlock(import_lock);
#endif
	atomic { importing--; running-- }
}

/* kb_stream_send_begin(): a sender's part of kb_sock.sending, by itself or with others */
inline let_in()
{
	by_itself = nonblock && ready[TX];
	if
	:: by_itself ->				/* seize() */
		try_alone(mine);
		if
		:: mine
		:: else ->
			turned_away = true;
			try_alone(mine)
		fi
	:: else ->				/* share() */
		mine = true;
#ifndef DEFECT_NO_SHARE
		atomic { !alone -> shares++ }
#endif
	fi
}

/* kb_stream_send_end() */
inline let_out()
{
	if
	:: by_itself -> alone = false
	:: else ->
#ifndef DEFECT_NO_SHARE
		shares--
#endif
		skip
	fi;
	after_hold()
}

/* kb_stream_sendmsg() */
proctype sender(bool nonblock)
{
	bool by_itself, mine, sent;

	do
	:: let_in();
		if
		:: !mine -> break			/* -EAGAIN */
		:: else
		fi;
		if
		:: !ready[TX] ->			/* plain TCP, for the handshake */
			atomic { assert(!sw[TX]); plain_sent = true }
			let_out();
			break
		:: ready[TX] && (tx_end || closing || send_shutdown) ->
			let_out();			/* may_send(): -EPIPE */
			break
		:: ready[TX] && !(tx_end || closing || send_shutdown) && update_due ->
			let_out();
			if				/* send_due_update() */
			:: nonblock && no_room -> break
			:: nonblock && !no_room -> try_alone(mine)
			:: else -> wait_alone(); mine = true
			fi;
			if
			:: !mine -> break
			:: mine && update_due -> send_update()
			:: else -> sent = true
			fi;
			unseize();
			if
			:: sent
			:: else -> break
			fi
		:: else ->
			lock(tx_lock);
			if				/* sk_stream_wait_memory() */
			:: nonblock
			:: atomic { !nonblock && (!no_room || send_shutdown) -> skip }
			fi;
			atomic {
				if
				:: no_room || send_shutdown
				:: else ->
					encrypt();
					if
					:: SHUTDOWNS > 0 -> no_room = true; had_no_room = true
					:: true
					fi
				fi
			}
			unlock(tx_lock);
			let_out();
			break
		fi
	od;
	running--
}

/* kb_stream_rekey() */
proctype rekey()
{
	bool mine, sent;

	if
	:: ready[TX] ->
		wait_alone();			/* seize() */
		send_update();
		unseize()
	:: else
	fi;
	running--
}

/* kb_stream_recvmsg(), until all that the peer sends is read */
proctype reader()
{
	bool mine, sent, is_update, asks;
	byte k, n;

	ready[RX] || !importing;
	do
	:: ready[RX] && (nempty(wire) || stopped) ->
		asks = false;
		atomic { !reader_present -> reader_present = true }	/* tls_rx_reader_acquire() */
		atomic {
			if
			:: !stopped && nempty(wire) ->
				wire?is_update, k, n;
				decrypt(k, n);
				stopped = is_update
			:: stopped || empty(wire)
			fi
		}
		reader_present = false;
		/* control() */
#ifdef DEFECT_LATE_NUMBER
		if
		:: stopped ->
			atomic { key[RX]++; iv[RX]++; generation[RX]++; stopped = false }
			atomic { seq[RX] = 0 }
		:: else
		fi;
#endif
		atomic {
			if
			:: stopped ->
				turn(RX);
				update_due = true;
				stopped = false;
				asks = true;
				unanswered = true;
				requests++
			:: else
			fi
		}
		if
		:: asks -> answer_update()
		:: else
		fi
	:: !ready[RX] || (empty(wire) && !stopped && peer_done) -> break
	od;
	running--
}

/* kb_stream_shutdown(): send_last_alert() */
proctype shut()
{
	bool mine, sent;

	if
	:: ready[TX] && !tx_end ->
		closing = true;			/* stop_senders() */
		try_alone(mine);
		if
		:: mine
		:: else ->
			atomic {
				if
#ifndef DEFECT_HIT_CONTROL
				:: !controlling && !send_shutdown ->
#else
				:: !send_shutdown ->
#endif
					marked = true;
					send_shutdown = true
				:: else
				fi
			}
			wait_alone();
			atomic { take_mark_back() }
		fi;
		if				/* send_alert() */
		:: !tx_end -> send_control(); tx_end = sent
		:: else
		fi;
		unseize()
	:: else
	fi;
	send_shutdown = true;			/* TCP's own */
	running--
}

/* ---- the peer, and the end ---- */

active proctype peer()
{
	byte left = UPDATES;

	do
	:: left > 0 ->
		atomic { wire!false, peer_key, peer_seq; peer_seq++ }
		atomic { wire!true, peer_key, peer_seq; peer_key++; peer_seq = 0; left-- }
	:: left == 0 -> break
	od;
	peer_done = true
}

/* The peer reads at last, or never. */
active proctype drain()
{
end:
	do
	:: atomic { no_room -> no_room = false }
	:: true -> break
	od
}

/* kb_ulp_close() of kmod/ulp.c, when the last call has returned */
inline close()
{
#ifndef DEFECT_NO_CLOSE_REFERENCE
	refs++;
#endif
	closing_file = true;		/* base->close(): the socket may die at once */
	assert(!gone);
#ifndef DEFECT_NO_CLOSE_REFERENCE
	refs--
#endif
}

/* release() of kmod/ulp.c, maybe in softirq, maybe much later */
active proctype release()
{
	closing_file;
	assert(!gone);
	refs--				/* tcp_cleanup_ulp() */
}

active proctype unload()
{
	refs == 0;
	gone = true
}

/* @n threads of @call */
#define START(n, call)								\
	i = 0;									\
	do									\
	:: i < n -> running++; run call; i++					\
	:: else -> break							\
	od

init {
	byte i;

	atomic {
		if
		:: IMPORT_TX == 0 -> give_key(TX)
		:: else
		fi;
		if
		:: IMPORT_RX == 0 -> give_key(RX)
		:: else
		fi;
		importing = IMPORT_TX + IMPORT_RX;
		START(IMPORT_TX, import(TX));
		START(IMPORT_RX, import(RX));
		START(SENDERS, sender(false));
		START(NONBLOCK, sender(true));
		START(REKEYS, rekey());
		START(READERS, reader());
		START(SHUTDOWNS, shut())
	}
	running == 0;
	assert(shares == 0 && !alone && !tx_lock && !import_lock && !reader_present);
	assert(!marked && !controlling && aside == NOBODY);
	assert(!ready[TX] || (iv[TX] == key[TX] && key[TX] == KEY(generation[TX])));
	assert(!ready[RX] || (iv[RX] == key[RX] && key[RX] == KEY(generation[RX])));
	assert(answers <= requests + REKEYS);
	assert(!unanswered || !ready[TX] || tx_end || send_shutdown || had_no_room);
	close()
}
