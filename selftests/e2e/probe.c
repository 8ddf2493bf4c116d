// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a process that was taken over would try, tried from inside a confined one. Linked
 * with the agent's own objects and --wrap=confine,--wrap=seccomp_install, so that it runs
 * in place of confine(): confines, then tries, and writes for each try the line
 *
 *	probe KIND NAME RESULT		KIND: worker, signer, token-signer; RESULT: OK or errno
 *
 * and last "probe KIND done PID". From the environment:
 *
 *	PROBE		"unconfined": a control, nothing is given up; "unfiltered": without the
 *			system call filter, so that the other layers show; "abort": confined,
 *			and then abort(); "bare": confined, and nothing is tried
 *	PROBE_PEER	another process, of the same user
 *	PROBE_KEY	a file that root alone may read
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/bpf.h>
#include <linux/genetlink.h>
#include <linux/io_uring.h>
#include <linux/keyblob_netlink.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "confine.h"
#include "seccomp.h"

int __real_confine(enum confinement confinement, const struct config *config);
int __wrap_confine(enum confinement confinement, const struct config *config);
int __real_seccomp_install(enum confinement confinement);
int __wrap_seccomp_install(enum confinement confinement);

/* Found, and opened, before the process is confined. */
static struct {
	pid_t parent, peer;
	const char *key;
	int tcp;		/* not connected */
	int netlink;		/* as a worker has one */
	uint16_t family;	/* the module's, on it */
	int root;		/* the old root directory */
} before;

/* For the tries: 0, or errno. */
static int result_of(long ret)
{
	return ret < 0 ? errno : 0;
}

static int descriptor(int fd)
{
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static const struct sockaddr_in nobody = {
	.sin_family = AF_INET,
	.sin_port = 0x0100,	/* port 1 */
	.sin_addr.s_addr = 0x0100007f,
};

/*
 * Files.
 */

static int open_file(void)
{
	return descriptor(open("/etc/passwd", O_RDONLY));
}

static int open_key(void)
{
	return descriptor(open(before.key, O_RDONLY));
}

static int open_below_old_directory(void)
{
	return descriptor(openat(before.root, "etc/passwd", O_RDONLY));
}

static int open_root(void)
{
	return descriptor(open("/", O_RDONLY | O_DIRECTORY));
}

static int create_file(void)
{
	return descriptor(open("probe", O_WRONLY | O_CREAT, 0600));
}

static int create_directory(void)
{
	return result_of(mkdirat(before.root, "tmp/probe", 0700));
}

static int remove_file(void)
{
	return result_of(unlinkat(before.root, "tmp/probe", AT_REMOVEDIR));
}

static int change_root(void)
{
	return result_of(fchdir(before.root) || chroot(".") ? -1 : 0);
}

static int mount_something(void)
{
	return result_of(mount("none", "/mnt", "tmpfs", 0, NULL) || umount("/mnt") ? -1 : 0);
}

static int memory_file(void)
{
	return descriptor(memfd_create("probe", 0));
}

/*
 * Sockets.
 */

static int socket_inet(void)
{
	return descriptor(socket(AF_INET, SOCK_STREAM, 0));
}

static int socket_unix(void)
{
	return descriptor(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int socket_netlink(void)
{
	return descriptor(socket(AF_NETLINK, SOCK_RAW, 0));
}

static int connect_tcp(void)
{
	return result_of(connect(before.tcp, (const void *)&nobody, sizeof(nobody)));
}

static int connect_by_sendto(void)
{
	return result_of(sendto(before.tcp, "", 1, MSG_FASTOPEN | MSG_NOSIGNAL,
			     (const void *)&nobody, sizeof(nobody)));
}

static int connect_by_sendmsg(void)
{
	struct iovec iov = { "", 1 };
	struct msghdr msg = {
		.msg_name = (void *)&nobody,
		.msg_namelen = sizeof(nobody),
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};

	return result_of(sendmsg(before.tcp, &msg, MSG_FASTOPEN | MSG_NOSIGNAL));
}

static int bind_tcp(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET };

	return result_of(bind(before.tcp, (void *)&any, sizeof(any)));
}

static int listen_tcp(void)
{
	return result_of(listen(before.tcp, 1));
}

/* A message of generic netlink, and what the kernel answers in its place: 0 or an errno. */
struct netlink_message {
	struct nlmsghdr header;
	struct genlmsghdr genl;
	char attributes[4096];
};

static int ask_netlink(struct netlink_message *msg)
{
	const struct nlmsgerr *error = NLMSG_DATA(&msg->header);

	if (send(before.netlink, msg, msg->header.nlmsg_len, 0) < 0 ||
	    recv(before.netlink, msg, sizeof(*msg), MSG_DONTWAIT) < 0)
		return errno;
	return msg->header.nlmsg_type == NLMSG_ERROR ? -error->error : 0;
}

static uint16_t find_family(void)
{
	static const char name[] = KEYBLOB_FAMILY_NAME;
	struct netlink_message msg = {
		.header = { NLMSG_LENGTH(GENL_HDRLEN + NLA_HDRLEN + sizeof(name)), GENL_ID_CTRL,
			    NLM_F_REQUEST },
		.genl = { CTRL_CMD_GETFAMILY, 1 },
	};
	struct nlattr *nla = (void *)msg.attributes;
	uint16_t family = 0;

	nla->nla_len = NLA_HDRLEN + sizeof(name);
	nla->nla_type = CTRL_ATTR_FAMILY_NAME;
	memcpy(nla + 1, name, sizeof(name));
	if (ask_netlink(&msg))
		return 0;
	while (nla->nla_type != CTRL_ATTR_FAMILY_ID && nla->nla_len)
		nla = (void *)((char *)nla + NLA_ALIGN(nla->nla_len));
	memcpy(&family, nla + 1, sizeof(family));
	return family;
}

/* What makes a netlink socket an agent's is the supervisor's alone. */
static int register_agent(void)
{
	struct netlink_message msg = {
		.header = { NLMSG_LENGTH(GENL_HDRLEN), before.family, NLM_F_REQUEST | NLM_F_ACK },
		.genl = { KEYBLOB_GENL_AGENT_REGISTER, KEYBLOB_FAMILY_VERSION },
	};

	return ask_netlink(&msg);
}

static int other_socket_option(void)
{
	return result_of(setsockopt(before.tcp, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)));
}

static int other_tcp_option(void)
{
	return result_of(setsockopt(before.tcp, SOL_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)));
}

static int signals_from_socket(void)
{
	return result_of(fcntl(before.tcp, F_SETOWN, getpid()));
}

/*
 * Programs and processes.
 */

static int execute(void)
{
	char *argv[] = { "true", NULL };

	return result_of(execv("/bin/true", argv));
}

static void *nothing(void *arg)
{
	return arg;
}

static int make_thread(void)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, nothing, NULL);

	if (!err)
		pthread_join(thread, NULL);
	return err;
}

static int trace(pid_t pid)
{
	return result_of(ptrace(PTRACE_SEIZE, pid, NULL, NULL));
}

/* An address that the parent has, too: EFAULT in another program is as good as success. */
static int read_memory(pid_t pid)
{
	char byte;
	struct iovec to = { &byte, 1 }, from = { &before, 1 };
	int err = result_of(process_vm_readv(pid, &to, 1, &from, 1, 0));

	return err == EFAULT ? 0 : err;
}

static int write_memory(pid_t pid)
{
	char byte = 0;
	struct iovec from = { &byte, 1 }, to = { NULL, 1 };
	int err = result_of(process_vm_writev(pid, &from, 1, &to, 1, 0));

	return err == EFAULT ? 0 : err;
}

static int open_memory(pid_t pid)
{
	char path[40];

	snprintf(path, sizeof(path), "proc/%d/mem", (int)pid);
	return descriptor(openat(before.root, path, O_RDWR));
}

static int trace_parent(void)
{
	return trace(before.parent);
}

static int trace_peer(void)
{
	return trace(before.peer);
}

static int read_memory_of_parent(void)
{
	return read_memory(before.parent);
}

static int read_memory_of_peer(void)
{
	return read_memory(before.peer);
}

static int write_memory_of_parent(void)
{
	return write_memory(before.parent);
}

static int write_memory_of_peer(void)
{
	return write_memory(before.peer);
}

static int open_memory_of_parent(void)
{
	return open_memory(before.parent);
}

static int open_memory_of_peer(void)
{
	return open_memory(before.peer);
}

static int signal_parent(void)
{
	return result_of(kill(before.parent, 0));
}

static int signal_peer(void)
{
	return result_of(kill(before.peer, 0));
}

static int signal_thread_of_peer(void)
{
	return result_of(syscall(SYS_tgkill, before.peer, before.peer, 0));
}

static int take_descriptor_of_parent(void)
{
	int pidfd = syscall(SYS_pidfd_open, before.parent, 0);

	return pidfd < 0 ? errno : descriptor(syscall(SYS_pidfd_getfd, pidfd, 0, 0));
}

static int limit_of_peer(void)
{
	struct rlimit limit;

	return result_of(prlimit(before.peer, RLIMIT_NOFILE, NULL, &limit));
}

static int priority_of_peer(void)
{
	return result_of(setpriority(PRIO_PROCESS, before.peer, 10));
}

static int processors_of_peer(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	return result_of(sched_setaffinity(before.peer, sizeof(set), &set));
}

static int signals_from_ioctl(void)
{
	return result_of(ioctl(before.tcp, FIOSETOWN, &(int){ getpid() }));
}

/*
 * Powers.
 */

static int become_root(void)
{
	return result_of(setuid(0));
}

static int become_group_of_root(void)
{
	return result_of(setgid(0));
}

static int join_groups(void)
{
	return result_of(setgroups(1, &(gid_t){ 0 }));
}

static int new_user_namespace(void)
{
	return result_of(unshare(CLONE_NEWUSER));
}

static int new_mount_namespace(void)
{
	return result_of(unshare(CLONE_NEWNS));
}

static int become_dumpable(void)
{
	return result_of(prctl(PR_SET_DUMPABLE, 1));
}

static int raise_limit(void)
{
	return result_of(setrlimit(RLIMIT_NPROC, &(struct rlimit){ 9, 9 }));
}

static int other_personality(void)
{
	return result_of(syscall(SYS_personality, 0x0400000 /* READ_IMPLIES_EXEC */));
}

/*
 * Code.
 */

static int executable_memory(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page == MAP_FAILED ? errno : 0;
}

static int memory_made_executable(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page == MAP_FAILED ? ENOMEM : result_of(mprotect(page, 4096, PROT_READ | PROT_EXEC));
}

/*
 * The kernel's inside.
 */

static int io_uring(void)
{
	struct io_uring_params params = { 0 };

	return descriptor(syscall(SYS_io_uring_setup, 1, &params));
}

static int bpf_map(void)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY,
		.key_size = 4,
		.value_size = 4,
		.max_entries = 1,
	};

	return descriptor(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)));
}

static int keyring(void)
{
	return result_of(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1));
}

static int add_a_key(void)
{
	return result_of(syscall(SYS_add_key, "user", "probe", "x", 1, KEY_SPEC_PROCESS_KEYRING));
}

static int load_module(void)
{
	int err = result_of(syscall(SYS_init_module, NULL, 0, ""));

	return err == EPERM ? err : 0;
}

static int performance_events(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
	};

	return descriptor(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
}

static int user_faults(void)
{
	return descriptor(syscall(SYS_userfaultfd, 0));
}

static int shared_memory(void)
{
	int id = shmget(IPC_PRIVATE, 4096, 0600);

	return id < 0 ? errno : result_of(shmctl(id, IPC_RMID, NULL));
}

static int terminal_input(void)
{
	int err = result_of(ioctl(STDERR_FILENO, TIOCSTI, "x"));

	return err == ENOTTY ? 0 : err;
}

#ifdef __x86_64__
/* Kernels have these switched on or off: their ENOSYS shows that they were asked. */
static int x32_call(void)
{
	int err = result_of(syscall(0x40000000 | SYS_getppid));

	return err == ENOSYS ? 0 : err;
}

static int i386_call(void)
{
	long ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(64 /* getppid */)
			 : "memory", "r8", "r9", "r10", "r11");
	return ret == -ENOSYS || ret >= 0 ? 0 : -ret;
}
#endif

/*
 * What has to go on.
 */

/* More than the usual limit on locked memory; too much is refused in order. */
static int needs_memory(void)
{
	const size_t size = 64 << 20, too_much = 1UL << 60;
	char *memory = malloc(size), *more;
	void *volatile none;
	int err = 0;

	if (!memory)
		return errno;
	memset(memory, 1, size);
	more = realloc(memory, 2 * size);
	if (more)
		memory = more;
	else
		err = errno;
	free(memory);
	none = malloc(too_much);
	if (none)
		err = EFBIG;
	free(none);
	return err;
}

static int needs_time(void)
{
	struct timespec ts;

	return result_of(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts));
}

static int needs_random(void)
{
	char byte;

	return result_of(syscall(SYS_getrandom, &byte, 1, 0));
}

static const struct {
	const char *name;
	int (*try)(void);
} tries[] = {
#define TRY(name) { #name, name }
	TRY(open_file), TRY(open_key), TRY(open_below_old_directory), TRY(open_root),
	TRY(create_file), TRY(create_directory), TRY(remove_file), TRY(change_root),
	TRY(mount_something), TRY(memory_file),
	TRY(socket_inet), TRY(socket_unix), TRY(socket_netlink), TRY(register_agent),
	TRY(connect_tcp),
	TRY(connect_by_sendto), TRY(connect_by_sendmsg), TRY(bind_tcp), TRY(listen_tcp),
	TRY(other_socket_option), TRY(other_tcp_option), TRY(signals_from_socket),
	TRY(execute), TRY(make_thread), TRY(trace_parent), TRY(trace_peer),
	TRY(read_memory_of_parent), TRY(read_memory_of_peer), TRY(write_memory_of_parent),
	TRY(write_memory_of_peer), TRY(open_memory_of_parent), TRY(open_memory_of_peer),
	TRY(signal_parent), TRY(signal_peer), TRY(signal_thread_of_peer),
	TRY(take_descriptor_of_parent), TRY(limit_of_peer), TRY(priority_of_peer),
	TRY(processors_of_peer), TRY(signals_from_ioctl),
	TRY(become_root), TRY(become_group_of_root), TRY(join_groups), TRY(new_user_namespace),
	TRY(new_mount_namespace), TRY(become_dumpable), TRY(raise_limit), TRY(other_personality),
	TRY(executable_memory), TRY(memory_made_executable),
	TRY(io_uring), TRY(bpf_map), TRY(keyring), TRY(add_a_key), TRY(load_module),
	TRY(performance_events), TRY(user_faults), TRY(shared_memory), TRY(terminal_input),
#ifdef __x86_64__
	TRY(x32_call), TRY(i386_call),
#endif
	TRY(needs_memory), TRY(needs_time), TRY(needs_random),
};

static const char *const kinds[] = {
	[CONFINE_WORKER] = "worker",
	[CONFINE_SIGNER] = "signer",
	[CONFINE_TOKEN_SIGNER] = "token-signer",
};

/* Not by dprintf(3), which wants lseek(2). */
static void tell(enum confinement confinement, const char *name, const char *result)
{
	char line[100];
	int len;

	len = snprintf(line, sizeof(line), "probe %s %s %s\n", kinds[confinement], name, result);
	if (write(STDERR_FILENO, line, len) != len)
		abort();
}

static void tell_result(enum confinement confinement, const char *name, int err)
{
	tell(confinement, name, err ? strerrorname_np(err) : "OK");
}

/* In a child where that is possible, so that one try does not change the next. */
static int apart(int (*try)(void))
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return try();
	if (!pid)
		_exit(try());
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

static int make_process(void)
{
	pid_t pid = fork();

	if (pid < 0)
		return errno;
	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	return 0;
}

static void probe(enum confinement confinement)
{
	char pid[12];

	tell_result(confinement, "make_process", make_process());
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
		tell_result(confinement, tries[i].name, apart(tries[i].try));
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	tell(confinement, "done", pid);
}

static bool mode_is(const char *mode)
{
	const char *set = getenv("PROBE");

	return set && !strcmp(set, mode);
}

int __wrap_seccomp_install(enum confinement confinement)
{
	return mode_is("unfiltered") ? 0 : __real_seccomp_install(confinement);
}

int __wrap_confine(enum confinement confinement, const struct config *config)
{
	const char *peer = getenv("PROBE_PEER"), *key = getenv("PROBE_KEY");

	before.parent = getppid();
	before.peer = peer ? atoi(peer) : before.parent;
	before.key = key ? key : "/etc/shadow";
	before.tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	before.netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	before.family = find_family();
	before.root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (!mode_is("unconfined") && __real_confine(confinement, config))
		return -1;
	if (mode_is("abort"))
		abort();
	if (!mode_is("bare"))
		probe(confinement);
	close(before.tcp);
	close(before.netlink);
	close(before.root);
	return 0;
}
