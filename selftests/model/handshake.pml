/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The life of one request of KEYBLOB_HANDSHAKE: the application that asks and closes, agents
 * that take it, answer and die, the deadline. Each step names the function of the module
 * (kmod/handshake.c, kmod/agent.c) that it stands for. atomic {} is a section under the
 * socket lock or under kb_net.lock, which are never held together.
 *
 * What must hold, and where it is asserted:
 *   one verdict	it ends once: by an answer, a death, the deadline or	end(), init
 *			the close; with success only where both keys are there
 *   one handshake	no second agent goes on where one has left keys	agent()
 *   references		none is used after the last is gone, none is left	get(), put(), init
 *   an end		every order of steps ends, with the request over	init
 * and there is no deadlock, which spin looks for itself.
 *
 * Not in it: an application that keeps the socket lock (step() comes again then), several
 * requests, is_abandoned().
 *
 * Other functions than the module's. Of the kernel: cancel_delayed_work(). Of this model:
 * get() put() asker() agent() deadline() closer() worker().
 */

#ifndef AGENTS
#define AGENTS 1
#endif
#ifndef CLOSERS
#define CLOSERS 0		/* the application closes the socket, or does not */
#endif

/* enum next */
#define NEXT_NOTHING 0
#define NEXT_WAIT 1
#define NEXT_OFFER 2
#define NEXT_FORGET 3

mtype = { NONE, UNDER_WAY, DONE, FAILED };

mtype handshake = NONE;
bool request;			/* kb_sock.request */
byte keys;			/* the imports that were made */

/* struct kb_request */
byte refs = 1;
bool over, orphaned;
byte verdict;			/* 0: none, 1: done, 2: an error */
byte taker;			/* 0: nobody */
byte list;			/* 0: none, 1: the queue, 1 + n: of agent n */
bool pending, due;		/* the work; now, or at the deadline */

byte agents = AGENTS;
bool expired, all_done;

/* to check with */
byte ends;
byte running;

inline get() { assert(refs > 0); refs++ }
inline put() { assert(refs > 0); refs-- }

/* ---- kmod/handshake.c ---- */

inline detach() { over = true; request = false; taker = 0 }

/* under the socket lock */
inline end(error)
{
	detach();
	ends++;
	assert(ends == 1);
	assert(error || keys == 2);
	handshake = (error -> FAILED : DONE)
}

inline forget()
{
	kb_agents_withdraw();
	atomic {			/* cancel_delayed_work() */
		if
		:: pending -> pending = false; put()
		:: else
		fi
	}
	atomic { put() }
}

inline watch(now)
{
	atomic {			/* mod_delayed_work() */
		if
		:: !pending -> get(); pending = true
		:: else
		fi;
		due = now
	}
	atomic {
		if
		:: over && pending -> pending = false; put()
		:: else
		fi
	}
}

inline offer()
{
	kb_agents_offer();
#ifndef DEFECT_OFFER
	if
	:: ok && over -> kb_agents_withdraw()
	:: else
	fi
#endif
}

/* look() and what step() does then */
inline step()
{
	atomic {
		next = NEXT_NOTHING;
		if
#ifndef DEFECT_OVER
		:: over
#endif
		:: else ->
			next = NEXT_FORGET;
			if		/* judge() */
			:: verdict -> end(verdict == 2); verdict = 0
#ifndef DEFECT_TOUCHED
			:: !verdict && orphaned && keys -> end(true)
			:: !verdict && !(orphaned && keys) && expired -> end(true)
#else
			:: !verdict && expired -> end(true)
#endif
			:: else ->
				next = (orphaned -> NEXT_OFFER : NEXT_WAIT);
				if
				:: orphaned -> taker = 0; orphaned = false
				:: else
				fi
			fi
		fi
	}
	if
	:: next == NEXT_WAIT -> watch(false)
	:: next == NEXT_OFFER ->
		watch(false);
		offer();
		if
		:: !ok -> kb_request_end()
		:: else
		fi
	:: next == NEXT_FORGET -> forget()
	:: else
	fi
}

/* What is left of the step() in there comes by the work; the order is of no importance. */
inline kb_request_end()
{
	if
	:: atomic { !verdict -> verdict = 2 }; watch(true)
	:: else
	fi
}

/* ---- kmod/agent.c ---- */

inline kb_agents_offer()
{
	atomic {
		ok = agents > 0;
		if
		:: ok -> get(); list = 1
		:: else
		fi
	}
}

inline kb_agents_withdraw()
{
	atomic {
		if
		:: list -> list = 0; put()
		:: else
		fi
	}
}

/* kb_agent_unregister(): pop(), kb_request_release(), empty_queue() */
inline kb_agent_unregister(me)
{
	agents--;
	atomic {
		ok = false;
		if
		:: list == 1 + me -> list = 0; ok = true
		:: else
		fi
	}
	if
	:: ok -> orphaned = true; watch(true); atomic { put() }
	:: else
	fi;
	atomic {
		ok = list == 1 && !agents;
		list = (ok -> 0 : list)
	}
	if
	:: ok -> kb_request_end(); atomic { put() }
	:: else
	fi
}

/* ---- who takes part ---- */

/* kb_handshake_begin() */
proctype asker()
{
	byte next;
	bool ok;

	atomic { get(); request = true; handshake = UNDER_WAY }
	watch(false);
	offer();
	if
	:: !ok ->
		atomic {			/* withdraw() */
			ok = over;
			if
			:: !over -> detach(); handshake = NONE; ends++
			:: else
			fi
		}
		if
		:: !ok -> forget()
		:: else
		fi
	:: else
	fi;
	atomic { put(); running-- }
}

/* kb_agent_accept(), then kb_agent_done(), nothing, or death */
proctype agent(byte me)
{
	byte next, error;
	bool ok;

	do
	:: list == 1 ->
		atomic {			/* next_request() */
			ok = list == 1;
			if
			:: ok -> get(); list = 1 + me
			:: else
			fi
		}
		if
		:: !ok -> goto again
		:: else
		fi;
		atomic {			/* kb_request_take() */
			ok = !over;
			if
			:: ok -> taker = me; assert(keys == 0)
			:: else
			fi
		}
		if
		:: !ok -> kb_agents_withdraw(); atomic { put() }; goto again
		:: else -> watch(false)
		fi;
		atomic { put() }		/* kmod/genl.c has told the agent */
		do				/* check_binding(): the taker alone */
		:: atomic { taker == me && keys < 2 -> keys++ }
		:: break
		od;
		if
		:: break			/* it dies */
		:: error = 1
		:: error = 2
		:: goto again			/* it never answers */
		fi;
		atomic {			/* taken_request() */
			ok = list == 1 + me;
			if
			:: ok -> get()
			:: else
			fi
		}
		if
		:: !ok -> goto again
		:: else
		fi;
		ok = !over && (error == 2 || keys == 2);	/* kb_request_done() */
		if
		:: atomic { ok && !verdict -> verdict = error }; step(); kb_agents_withdraw()
		:: else
		fi;
		atomic { put() };
again:		skip
	:: break
	od;
	if
	:: kb_agent_unregister(me)
	:: true				/* idle for ever */
	fi;
	running--
}

active proctype deadline()
{
	expired = true
}

/* kb_handshake_cancel(), by close(2): when nobody is inside kb_handshake_begin(), or never */
proctype closer()
{
	bool mine;

	if
	:: request ->
		atomic {
			mine = request;
			if
			:: mine -> detach(); ends++
			:: else
			fi
		}
		if
		:: mine -> forget()
		:: else
		fi
	:: true
	fi;
	running--
}

/* on_time(), in the module's workqueue */
active proctype worker()
{
	byte next;
	bool ok;

end_worker:
	do
	:: atomic { pending && (due || expired) -> pending = false };
		step();
		atomic { put() }
	:: all_done && !pending -> break
	od
}

init {
	atomic {
		running = AGENTS + CLOSERS + 1;
		run agent(1);
		if
		:: AGENTS > 1 -> run agent(2)
		:: else
		fi;
		if
		:: CLOSERS > 0 -> run closer()
		:: else
		fi;
		run asker()
	}
	running == 0 && !pending && refs == 0;
	all_done = true;
	assert(over && !list && !request && ends == 1)
}
