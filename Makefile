# SPDX-License-Identifier: GPL-2.0-only
# make			the module and all of user space, in build/
# make demo		the main job, on real input, in a throwaway guest
# make check		the tests, in a guest with kernel KERNEL
# make check-matrix	the same for every kernel, and for one that checks all it does
# make bench		the same work by keyblob and by what people would use instead: what it costs
# make check-mutants	are bugs that are planted on purpose caught?
# make fuzz		what parses bytes from elsewhere, each for FUZZ_SECONDS; see selftests/fuzz/run
# make coverage		what of kmod/ and userspace/ the tests reach, in build/coverage
# make lint		style and static analysis
# make install		DESTDIR and PREFIX as usual; the module goes to the running kernel
# make clean
#
# With KEYLOG=1, a build for debugging in build/keylog, whose agent writes the secrets of
# all connections to the file that SSLKEYLOGFILE names.

PREFIX	?= /usr/local
SBINDIR	?= $(PREFIX)/sbin
BINDIR	?= $(PREFIX)/bin
LIBDIR	?= $(PREFIX)/lib
INCDIR	?= $(PREFIX)/include
MANDIR	?= $(PREFIX)/share/man
UNITDIR	?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
SYSCONFDIR ?= /etc

# What the module is built against by default: the running kernel's headers, or else
# any that are installed, or else those of the tests' default kernel.
KERNEL	?= 6.1
KDIR	?= $(or $(wildcard /lib/modules/$(shell uname -r)/build), \
	   $(lastword $(sort $(wildcard /usr/src/linux-headers-*-amd64))), \
	   $(shell scripts/kernel $(KERNEL) --headers))

FUZZ_SECONDS ?= 300

VERSION	:= 0.1
SONAME	:= libkeyblob.so.0
B	:= build$(if $(KEYLOG),/keylog)

CFLAGS	?= -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong
KB_CFLAGS := -std=gnu11 -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes -Wshadow \
	     $(if $(WERROR),-Werror) -D_GNU_SOURCE -DKEYBLOB_VERSION='"$(VERSION)"' \
	     $(if $(KEYLOG),-DKEYBLOBD_KEYLOG) -Iuapi -Iuserspace/lib -MMD -MP $(CFLAGS)

AGENT_PKGS := openssl libevent_core libnl-3.0 libnl-genl-3.0 libseccomp libcap-ng inih libsystemd p11-kit-1
AGENT_CFLAGS = $(shell pkg-config --cflags $(AGENT_PKGS))
AGENT_LIBS = $(shell pkg-config --libs $(AGENT_PKGS))

objects	= $(patsubst userspace/%.c,$(B)/%.o,$(wildcard userspace/$(1)/*.c))
LIB_OBJS	:= $(call objects,lib)
AGENT_OBJS	:= $(filter-out $(if $(KEYLOG),,%/keylog.o),$(call objects,agent))
RUN_OBJS	:= $(call objects,preload)
CLI_OBJS	:= $(call objects,cli)
# What the command has in common with the library that it preloads.
CLI_RUN_OBJS	:= $(B)/preload/settings.o $(B)/preload/template.o
EXAMPLES	:= $(patsubst userspace/examples/%.c,$(B)/%,$(wildcard userspace/examples/*.c))

.PHONY: all userspace module demo check check-matrix bench check-mutants fuzz coverage lint install clean deps
all: module userspace

userspace: $(B)/keyblobd $(B)/keyblob $(B)/$(SONAME) $(B)/libkeyblob.a $(B)/libkeyblob.pc \
	$(B)/keyblobd.service $(B)/libkeyblob-run.so $(EXAMPLES)

# ---- the module: built in a shadow of the tree, one per kernel ----

MODULE_SRC := Kbuild $(wildcard kmod/*.[ch] uapi/linux/*.h)

module: $(B)/keyblob.ko

$(B)/keyblob.ko: $(MODULE_SRC)
	+scripts/build-module $(B)/module $(KDIR)
	cp $(B)/module/keyblob.ko $@

$(B)/%/keyblob.ko: $(MODULE_SRC)
	+scripts/root --kernel $* -- scripts/build-module $(B)/$*

# The tests' own module.
$(B)/%/selftests/keyblob_test_nic.ko: $(wildcard selftests/modules/*)
	scripts/root --kernel $* -- sh -c 'exec $(MAKE) -s -C selftests modules KDIR="$$KDIR" OUT=../$(@D)'

# ---- user space ----

$(B)/lib/%.o: userspace/lib/%.c
	@mkdir -p $(@D)
	$(CC) $(KB_CFLAGS) -fPIC -fvisibility=hidden -c -o $@ $<

$(B)/agent/%.o: userspace/agent/%.c
	@mkdir -p $(@D)
	$(CC) $(KB_CFLAGS) $(AGENT_CFLAGS) -c -o $@ $<

$(B)/preload/%.o: userspace/preload/%.c
	@mkdir -p $(@D)
	$(CC) $(KB_CFLAGS) -fPIC -fvisibility=hidden -c -o $@ $<

$(B)/cli/run.o: KB_CFLAGS += -DKEYBLOB_RUN_DIR='"$(LIBDIR)/keyblob"'
$(B)/cli/%.o: userspace/cli/%.c
	@mkdir -p $(@D)
	$(CC) $(KB_CFLAGS) -c -o $@ $<

$(B)/$(SONAME): $(LIB_OBJS) userspace/lib/libkeyblob.map
	$(CC) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=userspace/lib/libkeyblob.map \
		-Wl,-z,defs $(LDFLAGS) -o $@ $(LIB_OBJS)
	ln -sf $(SONAME) $(B)/libkeyblob.so

$(B)/libkeyblob.a: $(LIB_OBJS)
	rm -f $@
	$(AR) rcs $@ $^

$(B)/libkeyblob.pc: userspace/lib/libkeyblob.pc.in Makefile
	sed -e 's,@PREFIX@,$(PREFIX),; s,@LIBDIR@,$(LIBDIR),; s,@INCDIR@,$(INCDIR),; s,@VERSION@,$(VERSION),' \
		$< > $@

$(B)/keyblobd.service: userspace/agent/keyblobd.service Makefile
	sed -e 's,/usr/local/sbin/,$(SBINDIR)/,; s,/usr/local/bin/,$(BINDIR)/,' $< > $@

$(B)/keyblobd: $(AGENT_OBJS)
	$(CC) $(LDFLAGS) -o $@ $^ $(AGENT_LIBS)

$(B)/libkeyblob-run.so: $(RUN_OBJS)
	$(CC) -shared -Wl,-z,defs $(LDFLAGS) -o $@ $^

$(B)/keyblob: $(CLI_OBJS) $(CLI_RUN_OBJS) $(B)/libkeyblob.a
	$(CC) $(LDFLAGS) -o $@ $^

# The examples link the static library, so that they show what they need: libc.
$(EXAMPLES): $(B)/%: userspace/examples/%.c $(B)/libkeyblob.a
	$(CC) $(KB_CFLAGS) $(LDFLAGS) -o $@ $< $(B)/libkeyblob.a

-include $(wildcard $(B)/*/*.d $(B)/*.d)

# ---- use ----

deps:
	scripts/deps

demo: deps
	scripts/demo

check: deps
	scripts/check $(KERNEL)

check-matrix: deps
	scripts/check --all-variants 6.1 6.12 7.3 debug

check-mutants: deps
	selftests/mutants/run

bench: deps
	scripts/bench

fuzz: deps
	$(MAKE) -s -C selftests fuzz
	selftests/fuzz/run --seconds $(FUZZ_SECONDS)

coverage: deps
	scripts/coverage

lint: deps
	scripts/lint

install: all
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR)/pkgconfig \
		$(DESTDIR)$(LIBDIR)/keyblob $(DESTDIR)$(INCDIR)/linux $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man5 \
		$(DESTDIR)$(MANDIR)/man8 $(DESTDIR)$(UNITDIR) $(DESTDIR)$(SYSUSERSDIR) \
		$(DESTDIR)$(SYSCONFDIR)/keyblob
	install $(B)/keyblobd $(DESTDIR)$(SBINDIR)
	install $(B)/keyblob $(DESTDIR)$(BINDIR)
	install -m 644 $(B)/$(SONAME) $(DESTDIR)$(LIBDIR)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libkeyblob.so
	install -m 644 $(B)/libkeyblob-run.so $(DESTDIR)$(LIBDIR)/keyblob
	install -m 644 $(B)/libkeyblob.a $(DESTDIR)$(LIBDIR)
	install -m 644 $(B)/libkeyblob.pc $(DESTDIR)$(LIBDIR)/pkgconfig
	install -m 644 userspace/lib/keyblob.h $(DESTDIR)$(INCDIR)
	install -m 644 uapi/linux/keyblob.h $(DESTDIR)$(INCDIR)/linux
	install -m 644 userspace/cli/*.1 $(DESTDIR)$(MANDIR)/man1
	install -m 644 $(B)/keyblobd.service userspace/agent/keyblobd.socket $(DESTDIR)$(UNITDIR)
	install -m 644 userspace/agent/keyblob.sysusers $(DESTDIR)$(SYSUSERSDIR)/keyblob.conf
	install -m 644 userspace/agent/*.5 $(DESTDIR)$(MANDIR)/man5
	install -m 644 userspace/agent/*.8 $(DESTDIR)$(MANDIR)/man8
	[ -e $(DESTDIR)$(SYSCONFDIR)/keyblob/keyblobd.conf ] || \
		install -m 644 userspace/agent/keyblobd.conf $(DESTDIR)$(SYSCONFDIR)/keyblob
	$(MAKE) -C $(KDIR) M=$(CURDIR)/$(B)/module \
		$(if $(DESTDIR),INSTALL_MOD_PATH=$(DESTDIR)) modules_install

clean:
	rm -rf $(B)
