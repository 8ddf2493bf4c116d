# SPDX-License-Identifier: GPL-2.0-only
# What the Makefiles of the directories here have in common. Before it is included, INCLUDES
# may have more options of the compiler.

OUT	?= ../../build/selftests
# tools/testing/selftests of a kernel source tree, for kselftest_harness.h
KSFT	?= $(shell ../../scripts/kernel 6.12 --source)/tools/testing/selftests

CFLAGS	?= -O2 -g
WARNINGS := -Wall -Wextra -Wno-sign-compare -Wno-unused-parameter \
	   -Wno-missing-field-initializers $(if $(WERROR),-Werror)
NL_CFLAGS := $(shell pkg-config --cflags libnl-genl-3.0)
NL_LIBS	:= $(shell pkg-config --libs libnl-genl-3.0)
KB_CFLAGS = -std=gnu11 $(WARNINGS) -D_GNU_SOURCE -MMD -MP -I../../uapi -I.. -I. $(INCLUDES) $(CFLAGS)
