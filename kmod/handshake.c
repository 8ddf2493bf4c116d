// SPDX-License-Identifier: GPL-2.0-only
/*
 * KEYBLOB_HANDSHAKE on a connected socket: the life of a request, who may use the
 * connection meanwhile, and how its end is told.
 *
 * A request is under way (kb_sock.request) until exactly one of these ends it, under the
 * socket lock (kb_request.over): the agent's answer, the agent's death, the deadline, the
 * close of the socket. Who ended it takes it from agents as well. What a request
 * points to outlives it by its references; kb_sock does not: whoever finds a request not
 * over, under the socket lock, finds kb_sock.
 *
 * An application can keep the lock of its socket as long as it likes (by options that
 * read memory which is slow to fault in). So nothing that agents call waits for it: what
 * has to be done is noted in the request, and step() does it, now or when the lock is
 * free. step() runs in a workqueue of the module's own, which is empty before the module
 * goes. Lock order: kb_sock.import, the socket lock; agent.c's is never held across a call
 * into this file.
 */
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/ctype.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <net/tcp.h>

#include <linux/keyblob_netlink.h>

#include "agent.h"
#include "compat.h"
#include "genl.h"
#include "handshake.h"
#include "ktls.h"
#include "stream.h"
#include "ulp.h"

static struct workqueue_struct *steps;

/* ---- requests ---- */

/* kb_asker_current() - the current process, with references */
void kb_asker_current(struct kb_asker *who)
{
	who->cred = get_current_cred();
	who->pid = get_pid(task_tgid(current));
	who->cgroup = NULL;
#ifdef CONFIG_CGROUPS
	rcu_read_lock();
	do {
		who->cgroup = task_dfl_cgroup(current);
	} while (!cgroup_tryget(who->cgroup));
	rcu_read_unlock();
#endif
}

/* kb_asker_copy() - the same one, with references of its own */
void kb_asker_copy(struct kb_asker *to, const struct kb_asker *from)
{
	to->cred = get_cred(from->cred);
	to->pid = get_pid(from->pid);
	to->cgroup = from->cgroup;
	if (to->cgroup)
		cgroup_get(to->cgroup);
}

void kb_asker_put(struct kb_asker *who)
{
	put_cred(who->cred);
	put_pid(who->pid);
	if (who->cgroup)
		cgroup_put(who->cgroup);
}

void kb_request_put(struct kb_request *r)
{
	if (!refcount_dec_and_test(&r->refs))
		return;
	kfree(r->verdict);
	put_pid(r->taker);
	kb_asker_put(&r->who);
	sock_put(r->sk);
	kfree(r);
}

static void on_time(struct work_struct *work);

static struct kb_request *request_new(struct sock *sk, const struct keyblob_handshake *what,
				      const struct kb_asker *who)
{
	struct kb_request *r = kzalloc(sizeof(*r), GFP_KERNEL_ACCOUNT);

	if (!r)
		return NULL;
	refcount_set(&r->refs, 1);
	r->what = *what;
	sock_hold(sk);
	r->sk = sk;
	kb_asker_copy(&r->who, who);
	r->expires = jiffies +
		     msecs_to_jiffies(what->timeout_ms ?: KEYBLOB_HANDSHAKE_MS_DEFAULT);
	INIT_DELAYED_WORK(&r->work, on_time);
	INIT_LIST_HEAD(&r->link);
	return r;
}

/* An outcome with nothing but an error and its reason. There is no way without one. */
static struct kb_outcome *outcome_new(int error, const char *reason)
{
	const size_t size = strlen(reason) + 1;
	struct kb_outcome *o = kzalloc(struct_size(o, texts, size + 1),
				       GFP_KERNEL_ACCOUNT | __GFP_NOFAIL);
	enum kb_text text;

	o->error = error;
	memcpy(o->texts, reason, size);
	for (text = KB_REASON + 1; text < KB_TEXTS; text++)
		o->text[text] = size;
	return o;
}

/* ---- the end ---- */

/*
 * Nothing is carried any more: for the application the connection is over, and TCP says
 * so to the peer. Under the socket lock.
 */
static void fail_stream(struct sock *sk, int error)
{
	kb_stream_fail(sk, -ENOTCONN);
	WRITE_ONCE(sk->sk_err, error);
	if (sk->sk_state != TCP_CLOSE) {
		sk->sk_shutdown |= SHUTDOWN_MASK;
		kb_ulp_base(sk)->shutdown(sk, SEND_SHUTDOWN);
	}
}

/* Parts @r and its socket. Under the socket lock; forget() is due. */
static void detach(struct kb_request *r)
{
	struct kb_sock *kb = kb_sock(r->sk);

	WRITE_ONCE(r->over, true);
	kb->request = NULL;
	WRITE_ONCE(kb->taker, NULL);
}

/* The handshake has ended like this. Under the socket lock; @outcome is owned from here on. */
static void conclude(struct sock *sk, struct kb_outcome *outcome)
{
	struct kb_sock *kb = kb_sock(sk);

	kfree(kb->outcome);
	kb->outcome = outcome;
	kb->told = false;
	if (outcome->error)
		fail_stream(sk, outcome->error);
	/* Who sees it finds the rest. */
	smp_store_release(&kb->handshake, outcome->error ? KEYBLOB_HANDSHAKE_FAILED :
							   KEYBLOB_HANDSHAKE_DONE);
	sk->sk_state_change(sk);
}

/* Under the socket lock; forget() is due. @outcome is owned from here on. */
static void end(struct kb_request *r, struct kb_outcome *outcome)
{
	const struct kb_audit refused = {
		.type = KEYBLOB_EVENT_REFUSED,
		.error = outcome->error,
	};

	detach(r);
	conclude(r->sk, outcome);
	if (outcome->error)
		kb_genl_event(r->sk, &refused);
}

/* Without locks: drops what agents, the socket and the deadline hold of @r. */
static void forget(struct kb_request *r)
{
	kb_agents_withdraw(sock_net(r->sk), r);
	if (cancel_delayed_work(&r->work))
		kb_request_put(r);
	kb_request_put(r);
}

/*
 * The agent's copy of the file would outlive the application's: two looks, a second
 * apart, for an agent that has just closed its own. Under the socket lock.
 */
static bool is_abandoned(struct kb_request *r)
{
	const struct kb_sock *kb = kb_sock(r->sk);
	const struct socket *sock = r->sk->sk_socket;
	bool was = r->lonely;

	r->lonely = r->taker && !(kb->tx.ready && kb->rx.ready) &&
		    sock && sock->file && file_count(sock->file) == 1;
	return was && r->lonely;
}

/* Is the connection as it was when @r was taken, if it was? Under the socket lock. */
static bool is_untouched(const struct kb_request *r)
{
	const struct kb_sock *kb = kb_sock(r->sk);

	if (!r->taker)
		return true;
	return !kb->tx.ready && !kb->rx.ready &&
	       kb_ktls_position(r->sk, KEYBLOB_DIR_TX) == r->position[0] &&
	       kb_ktls_position(r->sk, KEYBLOB_DIR_RX) == r->position[1];
}

/* Has step() look at @r after @delay jiffies. */
static void watch(struct kb_request *r, unsigned long delay)
{
	refcount_inc(&r->refs);
	/* True: the work was pending already, with a reference of its own. */
	if (mod_delayed_work(steps, &r->work, delay))
		kb_request_put(r);
	/* Who ended it meanwhile found nothing to cancel; and the module may go. */
	if (READ_ONCE(r->over) && cancel_delayed_work(&r->work))
		kb_request_put(r);
}

/*
 * Puts @r into the queue. It may have ended just before: who ended it looked for it in
 * vain then.
 */
static int offer(struct kb_request *r)
{
	int err = kb_agents_offer(sock_net(r->sk), r);

	if (!err && READ_ONCE(r->over))
		kb_agents_withdraw(sock_net(r->sk), r);
	return err;
}

/* lock_sock(), or false: whoever has the lock may keep it. */
static bool trylock(struct sock *sk)
{
	bool free;

	spin_lock_bh(&sk->sk_lock.slock);
	free = !sk->sk_lock.owned;
	if (free)
		sk->sk_lock.owned = 1;
	spin_unlock_bh(&sk->sk_lock.slock);
	if (free)
		mutex_acquire(&sk->sk_lock.dep_map, 0, 1, _RET_IP_);
	return free;
}

/* What is to be done about a request, after a look at it. */
enum next { NEXT_NOTHING, NEXT_WAIT, NEXT_OFFER, NEXT_FORGET };

/* Why @r has to end, or NULL. Under the socket lock. */
static struct kb_outcome *judge(struct kb_request *r)
{
	struct kb_outcome *verdict = xchg(&r->verdict, NULL);

	if (verdict)
		return verdict;
	if (READ_ONCE(r->orphaned) && !is_untouched(r))
		return outcome_new(ECONNABORTED,
				   "the agent ended in the middle of the handshake");
	if (is_abandoned(r))
		return outcome_new(ECANCELED, "the application has closed the socket");
	if (time_after_eq(jiffies, r->expires))
		return outcome_new(ETIMEDOUT, r->taker ? "the agent did not finish in time" :
							 "no agent took it in time");
	return NULL;
}

/* Under the socket lock. */
static enum next look(struct kb_request *r)
{
	struct kb_outcome *outcome;

	if (r->over)
		return NEXT_NOTHING;
	outcome = judge(r);
	if (outcome) {
		end(r, outcome);
		return NEXT_FORGET;
	}
	if (!READ_ONCE(r->orphaned))
		return NEXT_WAIT;
	WRITE_ONCE(kb_sock(r->sk)->taker, NULL);
	put_pid(r->taker);
	r->taker = NULL;
	r->lonely = false;
	WRITE_ONCE(r->orphaned, false);
	return NEXT_OFFER;
}

/* Does what is due, if the socket lets it. Called without locks. */
/* NOLINTNEXTLINE(misc-no-recursion): once; a verdict is the end */
static void step(struct kb_request *r)
{
	unsigned long left = r->expires - jiffies;
	enum next next;
	bool taken;
	int err;

	if (!trylock(r->sk)) {
		watch(r, HZ / 10);
		return;
	}
	next = look(r);
	taken = r->taker;
	release_sock(r->sk);

	switch (next) {
	case NEXT_NOTHING:
		break;
	case NEXT_WAIT:
		watch(r, taken ? min_t(unsigned long, left, HZ) : left);
		break;
	case NEXT_OFFER:
		watch(r, left);
		err = offer(r);
		if (err)
			kb_request_end(r, -err, "no agent is left in this network namespace");
		break;
	case NEXT_FORGET:
		forget(r);
		break;
	}
}

static void on_time(struct work_struct *work)
{
	struct kb_request *r = container_of(to_delayed_work(work), struct kb_request, work);

	step(r);
	kb_request_put(r);
}

/* ---- agents ---- */

/*
 * kb_request_take() - give the socket of @r to the current process
 *
 * From here on this process alone may use the connection. Returns the socket's file, with
 * a reference; -ESTALE: @r is over; -EBUSY: not at this moment.
 */
struct file *kb_request_take(struct kb_request *r)
{
	struct sock *sk = r->sk;
	struct file *file = NULL;

	if (!trylock(sk))
		return ERR_PTR(-EBUSY);
	/* A file that is being closed has no references; its memory is there until
	 * close() gets the lock.
	 */
	if (!r->over && sk->sk_socket && sk->sk_socket->file)
		file = kb_get_file(sk->sk_socket);
	if (file) {
		r->taker = get_pid(task_tgid(current));
		r->position[0] = kb_ktls_position(sk, KEYBLOB_DIR_TX);
		r->position[1] = kb_ktls_position(sk, KEYBLOB_DIR_RX);
		WRITE_ONCE(kb_sock(sk)->taker, r->taker);
	}
	release_sock(sk);
	if (!file)
		return ERR_PTR(-ESTALE);
	watch(r, HZ);
	return file;
}

/* Are both keys there? Without the socket lock: once there, they stay. */
static bool has_keys(const struct sock *sk)
{
	const struct kb_sock *kb;
	bool ret;

	rcu_read_lock();
	kb = rcu_dereference_sk_user_data(sk);
	ret = kb && READ_ONCE(kb->tx.ready) && READ_ONCE(kb->rx.ready);
	rcu_read_unlock();
	return ret;
}

/*
 * kb_request_done() - the agent has answered
 *
 * @outcome (kmalloc) is owned from here on, on success. -EINVAL: it says that all is well
 * but the keys are not there; -ESTALE: @r is over, nobody waits.
 */
int kb_request_done(struct kb_request *r, struct kb_outcome *outcome)
{
	if (READ_ONCE(r->over))
		return -ESTALE;
	if (!outcome->error && !has_keys(r->sk))
		return -EINVAL;
	if (cmpxchg(&r->verdict, NULL, outcome))
		return -ESTALE;
	step(r);
	return 0;
}

/* kb_request_end() - end @r for a reason of the kernel's, unless it has ended */
/* NOLINTNEXTLINE(misc-no-recursion): see step() */
void kb_request_end(struct kb_request *r, int error, const char *reason)
{
	struct kb_outcome *outcome = outcome_new(error, reason);

	if (cmpxchg(&r->verdict, NULL, outcome))
		kfree(outcome);
	else
		step(r);
}

/*
 * kb_request_release() - whoever had taken @r has not, any more
 *
 * It is on no list. Where the connection is as it was, it is offered anew; otherwise it is
 * over.
 */
void kb_request_release(struct kb_request *r)
{
	WRITE_ONCE(r->orphaned, true);
	watch(r, 0);
}

/* ---- the socket ---- */

static bool is_text(const char *s, size_t size)
{
	size_t len = strnlen(s, size);
	size_t i;

	for (i = 0; i < len; i++)
		if (!isprint(s[i]) || !isascii(s[i]))
			return false;
	return true;
}

/* RFC 7301 section 3.1: names of 1 to 255 bytes, each with its length before it. */
static bool is_name_list(const u8 *list, size_t len)
{
	size_t i = 0;

	while (i < len && list[i])
		i += 1 + list[i];
	return i == len;
}

/* kb_handshake_read() - read and check the option's value. 0, -EINVAL, -E2BIG or -EFAULT. */
int kb_handshake_read(struct keyblob_handshake *what, sockptr_t optval,
		      unsigned int optlen)
{
	int ret;

	if (optlen < KEYBLOB_HANDSHAKE_SIZE_MIN)
		return -EINVAL;
	if (optlen > PAGE_SIZE)
		return -E2BIG;
	memset(what, 0, sizeof(*what));
	if (copy_from_sockptr(what, optval, min_t(size_t, optlen, sizeof(*what))))
		return -EFAULT;
	if (optlen > sizeof(*what)) {
		ret = check_zeroed_sockptr(optval, sizeof(*what), optlen - sizeof(*what));
		if (ret <= 0)
			return ret ?: -E2BIG;
	}
	if (what->flags || what->reserved || what->timeout_ms > KEYBLOB_HANDSHAKE_MS_MAX)
		return -EINVAL;
	if (what->role != KEYBLOB_ROLE_CLIENT && what->role != KEYBLOB_ROLE_SERVER)
		return -EINVAL;
	if (what->role == KEYBLOB_ROLE_CLIENT ? !what->peer_name[0] : what->peer_name[0])
		return -EINVAL;
	if (!is_text(what->peer_name, sizeof(what->peer_name)) ||
	    !is_text(what->identity, sizeof(what->identity)))
		return -EINVAL;
	if (what->alpn_len > sizeof(what->alpn) || !is_name_list(what->alpn, what->alpn_len))
		return -EINVAL;
	return 0;
}

/* May a handshake begin? Under the socket lock. */
static int may_begin(struct sock *sk)
{
	const struct kb_sock *kb = kb_sock(sk);

	switch (kb->handshake) {
	case KEYBLOB_HANDSHAKE_UNDER_WAY:
		return -EALREADY;
	case KEYBLOB_HANDSHAKE_FAILED:
		return -ENOTCONN;
	}
	if (kb->tx.ready || kb->rx.ready)
		return -EISCONN;
	if (sk->sk_state != TCP_ESTABLISHED)
		return -ENOTCONN;
	return kb_ktls_offloads(sk) ? -EOPNOTSUPP : 0;
}

/* Makes the socket what it was @before, unless @r is over. */
static bool withdraw(struct kb_request *r, u8 before)
{
	struct sock *sk = r->sk;
	bool over;

	lock_sock(sk);
	over = r->over;
	if (!over) {
		detach(r);
		WRITE_ONCE(kb_sock(sk)->handshake, before);
		sk->sk_state_change(sk);
	}
	release_sock(sk);
	if (!over)
		forget(r);
	return !over;
}

/*
 * kb_handshake_begin() - ask agents for a handshake on behalf of @who
 *
 * Without the socket lock. 0: it is under way. Otherwise a negative errno of keyblob.h, and
 * nothing has changed.
 */
int kb_handshake_begin(struct sock *sk, const struct keyblob_handshake *what,
		       const struct kb_asker *who)
{
	struct kb_sock *kb = kb_sock(sk);
	struct kb_request *r;
	u8 before;
	int err;

	r = request_new(sk, what, who);
	if (!r)
		return -ENOMEM;
	/* Who is sending has decided for plain TCP already. */
	err = kb_stream_hold(sk);
	if (err)
		goto out;
	lock_sock(sk);
	before = kb->handshake;
	err = may_begin(sk);
	if (!err) {
		refcount_inc(&r->refs);
		kb->request = r;
		WRITE_ONCE(kb->handshake, KEYBLOB_HANDSHAKE_UNDER_WAY);
	}
	release_sock(sk);
	kb_stream_release(sk);
	if (err)
		goto out;

	watch(r, r->expires - jiffies);
	err = offer(r);
	if (err && !withdraw(r, before))
		err = 0;	/* the deadline was faster: that is how it ended */
out:
	kb_request_put(r);
	return err;
}

/* How the handshake ended, for who has waited. */
static int tell(struct sock *sk)
{
	struct kb_sock *kb = kb_sock(sk);
	int err = 0;

	lock_sock(sk);
	switch (kb->handshake) {
	case KEYBLOB_HANDSHAKE_FAILED:
		err = -kb->outcome->error;
		sock_error(sk);
		kb->told = true;
		break;
	case KEYBLOB_HANDSHAKE_DONE:
		kb->told = true;
		break;
	default:
		err = -EBUSY;	/* another's, and it could not even begin */
	}
	release_sock(sk);
	return err;
}

static bool is_under_way(const struct kb_sock *kb)
{
	/* Pairs with conclude(). */
	return smp_load_acquire(&kb->handshake) == KEYBLOB_HANDSHAKE_UNDER_WAY;
}

/*
 * kb_handshake_wait() - wait for the end of the handshake that is, or was, under way
 *
 * 0, or the negative errno with which it ended; -EINPROGRESS: it is under way after @timeo
 * jiffies; -ERESTARTSYS, -EINTR: a signal, it goes on.
 */
int kb_handshake_wait(struct sock *sk, long timeo)
{
	const struct kb_sock *kb = kb_sock(sk);
	long left;

	left = wait_event_interruptible_timeout(*sk_sleep(sk), !is_under_way(kb), timeo);
	if (left < 0)
		return sock_intr_errno(timeo);
	return left ? tell(sk) : -EINPROGRESS;
}

/*
 * kb_handshake_set() - the option on a connected socket
 *
 * The result of a handshake that ended while nobody waited is told to the call that
 * comes then: so a call that a signal interrupted can be restarted.
 */
int kb_handshake_set(struct sock *sk, const struct keyblob_handshake *what)
{
	const struct kb_sock *kb = kb_sock(sk);
	bool nonblock = kb_is_nonblock(sk);
	struct kb_asker who;
	int err;

	kb_asker_current(&who);
	err = kb_handshake_begin(sk, what, &who);
	kb_asker_put(&who);
	if (err == -EALREADY && !nonblock)
		err = 0;
	else if ((err == -EISCONN || err == -ENOTCONN) && !READ_ONCE(kb->told) &&
		 READ_ONCE(kb->handshake) >= KEYBLOB_HANDSHAKE_DONE)
		return tell(sk);
	return err ?: kb_handshake_wait(sk, sock_sndtimeo(sk, nonblock));
}

static bool is_decided(const struct kb_sock *kb)
{
	return READ_ONCE(kb->handshake) >= KEYBLOB_HANDSHAKE_DONE || !kb_handshake_bars(kb);
}

/*
 * kb_handshake_pass() - for a reader or a sender whom kb_handshake_bars()
 *
 * 0: try again. -EAGAIN, a signal's error, or @failed where the handshake has failed.
 */
int kb_handshake_pass(struct sock *sk, int flags, long timeo, int failed)
{
	const struct kb_sock *kb = kb_sock(sk);
	long left;

	if (READ_ONCE(kb->handshake) == KEYBLOB_HANDSHAKE_FAILED)
		return sock_error(sk) ?: failed;
	if (flags & MSG_DONTWAIT)
		return -EAGAIN;
	left = wait_event_interruptible_timeout(*sk_sleep(sk), is_decided(kb), timeo);
	if (left < 0)
		return sock_intr_errno(timeo);
	return left ? 0 : -EAGAIN;
}

/* kb_handshake_poll() - poll() for a process whom kb_handshake_bars() */
__poll_t kb_handshake_poll(struct file *file, struct socket *sock, poll_table *wait)
{
	const __poll_t over = EPOLLIN | EPOLLRDNORM | EPOLLRDHUP | EPOLLOUT | EPOLLWRNORM |
			      EPOLLHUP;
	const struct sock *sk = sock->sk;

	sock_poll_wait(file, sock, wait);
	if (READ_ONCE(kb_sock(sk)->handshake) != KEYBLOB_HANDSHAKE_FAILED)
		return 0;
	return over | (READ_ONCE(sk->sk_err) ? EPOLLERR : 0);
}

/*
 * kb_handshake_fail() - a handshake that was set could not even begin
 *
 * Without the socket lock. What TCP says of the connection goes before @error.
 */
void kb_handshake_fail(struct sock *sk, int error, const char *reason)
{
	struct kb_outcome *outcome = outcome_new(error, reason);
	struct kb_sock *kb = kb_sock(sk);

	lock_sock(sk);
	if (!kb->outcome && !kb->request) {
		outcome->error = sk->sk_err ?: error;
		conclude(sk, outcome);
		outcome = NULL;
	}
	release_sock(sk);
	kfree(outcome);
}

/* kb_handshake_cancel() - the socket is being closed. Without the socket lock. */
void kb_handshake_cancel(struct sock *sk)
{
	struct kb_request *r;

	if (likely(!READ_ONCE(kb_sock(sk)->request)))
		return;
	lock_sock(sk);
	r = kb_sock(sk)->request;
	if (r)
		detach(r);
	release_sock(sk);
	if (r)
		forget(r);
}

/* kb_handshake_status() - its part of KEYBLOB_INFO. Under the socket lock. */
void kb_handshake_status(const struct kb_sock *kb, struct keyblob_status *status)
{
	const struct kb_outcome *o = kb->outcome;

	status->handshake = kb->handshake;
	if (!o)
		return;
	status->error = o->error;
	status->cipher_suite = o->cipher_suite;
	status->has_alert = o->has_alert;
	status->alert = o->alert;
	status->resumed = o->resumed;
	strscpy(status->reason, o->texts + o->text[KB_REASON], sizeof(status->reason));
	strscpy(status->alpn, o->texts + o->text[KB_ALPN], sizeof(status->alpn));
	strscpy(status->server_name, o->texts + o->text[KB_SERVER_NAME],
		sizeof(status->server_name));
	strscpy(status->peer_name, o->texts + o->text[KB_PEER_NAME],
		sizeof(status->peer_name));
	strscpy(status->group, o->texts + o->text[KB_GROUP], sizeof(status->group));
}

int __init kb_handshake_init(void)
{
	/* What was taken first is offered first again. */
	steps = alloc_ordered_workqueue("keyblob", 0);
	return steps ? 0 : -ENOMEM;
}

void kb_handshake_exit(void)
{
	destroy_workqueue(steps);
}
