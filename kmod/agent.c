// SPDX-License-Identifier: GPL-2.0-only
/*
 * Agents of a network namespace, the queue of requests that wait for one, and what each has
 * taken. handshake.c puts requests in and takes them out, genl.c speaks for the agents.
 *
 * kb_net.lock is over all lists, counts and kb_request.link and .agent. It is never held
 * across a call into handshake.c. A request is on a list, and that list has a reference,
 * until it is withdrawn; so who comes back from such a call looks at the list again.
 */
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "agent.h"
#include "genl.h"
#include "handshake.h"
#include "main.h"

#define KB_AGENTS_MAX	1024	/* in a network namespace */

struct kb_agent {
	struct list_head link;
	const struct sock *sk;		/* to compare, nothing else */
	u32 portid;
	bool standby;
	bool retired;			/* ends what it has taken, nothing else */
	bool deaf;			/* announce() could not reach it just now */
	u32 announced;			/* requests told of since it last found none */
	u32 n_taken;
	struct list_head taken;
};

struct kb_net {
	struct net *net;
	struct delayed_work reminder;	/* of announce() */
	struct mutex lock;		/* over everything below */
	struct list_head agents;	/* who was told last is last */
	struct list_head queue;
	u32 n_agents;
	u32 n_retired;			/* of these */
	u32 n_waiting;			/* in @queue */
	u64 last_id;
};

static unsigned int net_id;

static struct kb_net *kb_net(struct net *net)
{
	return net_generic(net, net_id);
}

static struct kb_agent *find_portid(struct kb_net *kn, u32 portid)
{
	struct kb_agent *agent;

	list_for_each_entry(agent, &kn->agents, link)
		if (agent->portid == portid)
			return agent;
	return NULL;
}

static struct kb_agent *find_agent(struct kb_net *kn, const struct sock *sk, u32 portid)
{
	struct kb_agent *agent = find_portid(kn, portid);

	return agent && agent->sk == sk ? agent : NULL;
}

static struct kb_agent *least_busy(struct kb_net *kn)
{
	struct kb_agent *agent, *best = NULL;

	list_for_each_entry(agent, &kn->agents, link) {
		if (agent->standby || agent->retired || agent->deaf)
			continue;
		if (!best || agent->n_taken + agent->announced < best->n_taken + best->announced)
			best = agent;
	}
	return best;
}

/*
 * Tell one agent that a request waits. It takes all there are, so that it need not be told
 * again before it has found none. Where none could be reached, for want of memory or of
 * room in its socket, it is tried again.
 */
static void announce(struct net *net, struct kb_net *kn)
{
	struct kb_agent *agent;
	bool deaf = false;

	list_for_each_entry(agent, &kn->agents, link)
		agent->deaf = false;
	while ((agent = least_busy(kn))) {
		list_move_tail(&agent->link, &kn->agents);
		if (agent->announced || !kb_genl_ready(net, agent->portid)) {
			agent->announced++;
			return;
		}
		agent->deaf = true;
		deaf = true;
	}
	if (deaf)
		schedule_delayed_work(&kn->reminder, HZ / 10);
}

static void remind(struct work_struct *work)
{
	struct kb_net *kn = container_of(to_delayed_work(work), struct kb_net, reminder);

	mutex_lock(&kn->lock);
	if (kn->n_waiting)
		announce(kn->net, kn);
	mutex_unlock(&kn->lock);
}

static bool is_root(const struct net *net, kuid_t uid)
{
	return uid_eq(uid, GLOBAL_ROOT_UID) || uid_eq(uid, make_kuid(net->user_ns, 0));
}

/* May another request of @uid wait? Half of the queue is for the others. */
static bool has_room(const struct net *net, const struct kb_net *kn, kuid_t uid)
{
	const u32 max = kb_handshakes_max();
	struct kb_request *r;
	u32 own = 0;

	if (kn->n_waiting >= max)
		return false;
	if (kn->n_waiting < max / 2 || is_root(net, uid))
		return true;
	list_for_each_entry(r, &kn->queue, link)
		own += uid_eq(r->who.cred->euid, uid);
	return own < max / 2;
}

/* By age: one that an agent had taken before is older than others. */
static void enqueue(struct kb_net *kn, struct kb_request *r)
{
	struct kb_request *next;

	if (!r->id)
		r->id = ++kn->last_id;
	list_for_each_entry_reverse(next, &kn->queue, link)
		if (next->id < r->id)
			break;
	/* After that one, or where the list begins. */
	list_add(&r->link, &next->link);
	r->agent = NULL;
	kn->n_waiting++;
}

int kb_agents_offer(struct net *net, struct kb_request *r)
{
	struct kb_net *kn = kb_net(net);
	int err = 0;

	mutex_lock(&kn->lock);
	if (kn->n_agents == kn->n_retired) {
		err = -ESRCH;
	} else if (!has_room(net, kn, r->who.cred->euid)) {
		err = -EBUSY;
	} else {
		refcount_inc(&r->refs);
		enqueue(kn, r);
		announce(net, kn);
	}
	mutex_unlock(&kn->lock);
	return err;
}

/* Off its list; that reference is the caller's now. */
static void unlink(struct kb_net *kn, struct kb_request *r)
{
	list_del_init(&r->link);
	if (r->agent)
		r->agent->n_taken--;
	else
		kn->n_waiting--;
	r->agent = NULL;
}

void kb_agents_withdraw(struct net *net, struct kb_request *r)
{
	struct kb_net *kn = kb_net(net);
	bool listed;

	mutex_lock(&kn->lock);
	listed = !list_empty(&r->link);
	if (listed)
		unlink(kn, r);
	mutex_unlock(&kn->lock);
	if (listed)
		kb_request_put(r);
}

/* ---- for genl.c ---- */

int kb_agent_register(struct net *net, const struct sock *sk, u32 portid, bool standby)
{
	struct kb_net *kn = kb_net(net);
	struct kb_agent *agent;
	int err;

	agent = kzalloc(sizeof(*agent), GFP_KERNEL_ACCOUNT);
	if (!agent)
		return -ENOMEM;
	INIT_LIST_HEAD(&agent->taken);
	agent->sk = sk;
	agent->portid = portid;
	agent->standby = standby;

	mutex_lock(&kn->lock);
	err = -EALREADY;
	if (find_portid(kn, portid))
		goto err_unlock;
	err = -EBUSY;
	if (kn->n_agents >= KB_AGENTS_MAX)
		goto err_unlock;
	kn->n_agents++;
	list_add(&agent->link, &kn->agents);
	if (kn->n_waiting && !standby)
		announce(net, kn);
	mutex_unlock(&kn->lock);
	return 0;

err_unlock:
	mutex_unlock(&kn->lock);
	kfree(agent);
	return err;
}

/* Takes the first request off @list, or returns NULL. The list's reference is the caller's. */
static struct kb_request *pop(struct kb_net *kn, struct list_head *list)
{
	struct kb_request *r;

	mutex_lock(&kn->lock);
	r = list_first_entry_or_null(list, struct kb_request, link);
	/* An agent that came meanwhile takes what is in the queue. */
	if (list == &kn->queue && kn->n_agents != kn->n_retired)
		r = NULL;
	if (r)
		unlink(kn, r);
	mutex_unlock(&kn->lock);
	return r;
}

/* No agent is left: nobody waits for the next one. */
static void empty_queue(struct kb_net *kn)
{
	struct kb_request *r;

	while ((r = pop(kn, &kn->queue))) {
		kb_request_end(r, ESRCH, "no agent is left in this network namespace");
		kb_request_put(r);
	}
}

void kb_agent_unregister(struct net *net, u32 portid)
{
	struct kb_net *kn = kb_net(net);
	struct kb_agent *agent;
	struct kb_request *r;
	bool last = false;

	mutex_lock(&kn->lock);
	agent = find_portid(kn, portid);
	if (agent) {
		list_del(&agent->link);
		kn->n_agents--;
		kn->n_retired -= agent->retired;
		last = kn->n_agents == kn->n_retired;
	}
	mutex_unlock(&kn->lock);
	if (!agent)
		return;

	while ((r = pop(kn, &agent->taken))) {
		kb_request_release(r);
		kb_request_put(r);
	}
	if (last)
		empty_queue(kn);
	/* And what it was told of, perhaps. */
	mutex_lock(&kn->lock);
	if (kn->n_waiting)
		announce(net, kn);
	mutex_unlock(&kn->lock);
	kfree(agent);
}

int kb_agent_retire(struct net *net, const struct sock *sk, u32 portid)
{
	struct kb_net *kn = kb_net(net);
	struct kb_agent *agent;
	bool last = false;

	mutex_lock(&kn->lock);
	agent = find_agent(kn, sk, portid);
	if (agent && !agent->retired) {
		agent->retired = true;
		kn->n_retired++;
		last = kn->n_agents == kn->n_retired;
		/* What it was told of, perhaps. */
		if (kn->n_waiting)
			announce(net, kn);
	}
	mutex_unlock(&kn->lock);
	if (last)
		empty_queue(kn);
	return agent ? 0 : -EPERM;
}

/* The oldest request goes to the list of the agent, with a reference for the caller. */
static struct kb_request *next_request(struct kb_net *kn, const struct sock *sk, u32 portid)
{
	struct kb_agent *agent;
	struct kb_request *r;

	mutex_lock(&kn->lock);
	agent = find_agent(kn, sk, portid);
	if (!agent || agent->standby) {
		r = ERR_PTR(-EPERM);
	} else if (agent->retired || list_empty(&kn->queue)) {
		agent->announced = 0;
		r = ERR_PTR(-EAGAIN);
	} else {
		r = list_first_entry(&kn->queue, struct kb_request, link);
		refcount_inc(&r->refs);
		list_move_tail(&r->link, &agent->taken);
		r->agent = agent;
		agent->n_taken++;
		kn->n_waiting--;
		/* Told of one at the least, until it finds none. */
		if (agent->announced > 1)
			agent->announced--;
	}
	mutex_unlock(&kn->lock);
	return r;
}

struct kb_request *kb_agent_accept(struct net *net, const struct sock *sk, u32 portid,
				   struct file **file)
{
	struct kb_net *kn = kb_net(net);
	struct kb_request *r;

	/* The agent stays: who calls has its socket open. */
	for (;;) {
		r = next_request(kn, sk, portid);
		if (IS_ERR(r))
			return r;
		*file = kb_request_take(r);
		if (!IS_ERR(*file))
			return r;
		kb_agents_withdraw(net, r);
		if (PTR_ERR(*file) == -EBUSY)
			kb_request_release(r);
		kb_request_put(r);
	}
}

void kb_agent_give_back(struct net *net, struct kb_request *r)
{
	struct kb_net *kn = kb_net(net);

	mutex_lock(&kn->lock);
	if (r->agent)
		r->agent->announced = 0;	/* it is to be told again */
	mutex_unlock(&kn->lock);
	kb_agents_withdraw(net, r);
	kb_request_release(r);
}

/* Request @id of those that the agent has taken, with a reference. */
static struct kb_request *taken_request(struct kb_net *kn, const struct sock *sk, u32 portid,
					u64 id)
{
	struct kb_request *r, *found = ERR_PTR(-ENOENT);
	struct kb_agent *agent;

	mutex_lock(&kn->lock);
	agent = find_agent(kn, sk, portid);
	if (!agent) {
		found = ERR_PTR(-EPERM);
		goto out;
	}
	list_for_each_entry(r, &agent->taken, link) {
		if (r->id == id) {
			refcount_inc(&r->refs);
			found = r;
			break;
		}
	}
out:
	mutex_unlock(&kn->lock);
	return found;
}

int kb_agent_done(struct net *net, const struct sock *sk, u32 portid, u64 id,
		  struct kb_outcome *outcome)
{
	struct kb_request *r = taken_request(kb_net(net), sk, portid, id);
	int err;

	if (IS_ERR(r))
		return PTR_ERR(r);
	err = kb_request_done(r, outcome);
	if (!err || err == -ESTALE)
		kb_agents_withdraw(net, r);
	kb_request_put(r);
	return err == -ESTALE ? -ENOENT : err;
}

void kb_agent_count(struct net *net, struct kb_agent_counts *counts)
{
	struct kb_net *kn = kb_net(net);
	const struct kb_agent *agent;

	mutex_lock(&kn->lock);
	counts->agents = kn->n_agents;
	counts->waiting = kn->n_waiting;
	counts->taken = 0;
	list_for_each_entry(agent, &kn->agents, link)
		counts->taken += agent->n_taken;
	mutex_unlock(&kn->lock);
}

/* ---- namespaces ---- */

static int __net_init net_begin(struct net *net)
{
	struct kb_net *kn = kb_net(net);

	kn->net = net;
	INIT_DELAYED_WORK(&kn->reminder, remind);
	mutex_init(&kn->lock);
	INIT_LIST_HEAD(&kn->agents);
	INIT_LIST_HEAD(&kn->queue);
	return 0;
}

/*
 * Requests hold the namespace, and by their sockets the module. Agents hold the namespace
 * alone: those that have nothing to do are told of the next module by the family's coming.
 */
static void __net_exit net_end(struct net *net)
{
	struct kb_net *kn = kb_net(net);
	struct kb_agent *agent, *next;

	cancel_delayed_work_sync(&kn->reminder);
	WARN_ON_ONCE(!list_empty(&kn->queue));
	list_for_each_entry_safe(agent, next, &kn->agents, link) {
		WARN_ON_ONCE(!list_empty(&agent->taken));
		kfree(agent);
	}
}

static struct pernet_operations net_ops = {
	.init	= net_begin,
	.exit	= net_end,
	.id	= &net_id,
	.size	= sizeof(struct kb_net),
};

int __init kb_agent_init(void)
{
	return register_pernet_subsys(&net_ops);
}

void kb_agent_exit(void)
{
	unregister_pernet_subsys(&net_ops);
}
