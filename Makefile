# SPDX-License-Identifier: MIT
# labctl. `make` builds build/release/labctl; `make help` lists the targets.

FLAVOUR ?= release
B := build/$(FLAVOUR)
PREFIX ?= /usr/local
CFLAGS ?= -O2 -g
PYTHON ?= /usr/bin/python3
VERSION := $(shell cat VERSION)

PKGS := libcurl jansson libmnl libnftables libcap sqlite3 libmicrohttpd hiredis gnutls
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null | sed 's/-I/-isystem /g')
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null)

WARN := -Wall -Wextra -Wshadow -Wformat=2 -Wwrite-strings -Wstrict-prototypes \
	-Wmissing-prototypes -Wvla -Wundef -Wcast-qual -Wnull-dereference \
	-Wimplicit-fallthrough=5 -Wjump-misses-init
WARN_CLANG := $(filter-out -Wimplicit-fallthrough=5 -Wjump-misses-init,$(WARN)) -Wimplicit-fallthrough
# What every object needs stands apart from CFLAGS: `make CFLAGS=...` must not drop it.
IS_CLANG := $(findstring clang,$(shell $(CC) --version 2>/dev/null))
LAB_CFLAGS = -std=gnu17 -D_GNU_SOURCE -Ilabctl $(PKG_CFLAGS) $(if $(IS_CLANG),$(WARN_CLANG),$(WARN)) \
	-fstack-protector-strong $(FLAVOUR_CFLAGS) $(if $(WERROR),-Werror)
ifeq ($(FLAVOUR),asan)
FLAVOUR_CFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -O1
FLAVOUR_LDFLAGS := -fsanitize=address,undefined
else ifeq ($(FLAVOUR),fuzz)
FLAVOUR_CFLAGS := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -O1
FLAVOUR_LDFLAGS := -fsanitize=address,undefined
else ifeq ($(FLAVOUR),cov)
FLAVOUR_CFLAGS := --coverage -O0
FLAVOUR_LDFLAGS := --coverage
else
FLAVOUR_CFLAGS := -D_FORTIFY_SOURCE=2
endif

# Only labctl/main.c stays out of the library, which tests and fuzzers link too.
SRCS := $(filter-out labctl/main.c,$(wildcard labctl/*/*.c labctl/*/*/*.c))
OBJS := $(SRCS:labctl/%.c=$B/%.o)
UNIT := $(patsubst tests/unit/%.c,$B/unit/%,$(wildcard tests/unit/*.c))
V ?= 0
Q := $(if $(filter 1,$V),,@)
say = $(if $(filter 1,$V),,@printf '  %-6s %s\n' $(1) $(2))

all: $B/labctl ## build/release/labctl (the default)

help:
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 16

# A changed flag rebuilds everything.
$B/flags: FORCE
	@mkdir -p $B
	@echo '$(CC) $(LAB_CFLAGS) $(CFLAGS) $(LDFLAGS)' | cmp -s - $@ || \
		echo '$(CC) $(LAB_CFLAGS) $(CFLAGS) $(LDFLAGS)' > $@
$B/version.h: FORCE
	@mkdir -p $B
	@printf '#define LABCTL_VERSION "%s"\n#define LABCTL_PREFIX "%s"\n' '$(VERSION)' '$(PREFIX)' | cmp -s - $@ || \
		printf '#define LABCTL_VERSION "%s"\n#define LABCTL_PREFIX "%s"\n' '$(VERSION)' '$(PREFIX)' > $@

# curl's option type checks speak only when its header does not count as a system header.
$B/docker/http.o $B/docker/transfer.o: LAB_CFLAGS += $(if $(IS_CLANG),,-O1 -Wsystem-headers -Werror=attribute-warning \
	-Wno-format-nonliteral)

$B/netport/api_docs.o: labctl/netport/docs.html
$B/lab/starter.o: starters/starter.py starters/starter.c

$B/%.o: labctl/%.c $B/flags $B/version.h
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LAB_CFLAGS) $(CFLAGS) -I$B -MMD -MP -c -o $@ $<

$B/liblabctl.a: $(OBJS)
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$B/labctl: $B/main.o $B/liblabctl.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(FLAVOUR_LDFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$B/unit/%: tests/unit/%.c $B/liblabctl.a $B/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LAB_CFLAGS) $(CFLAGS) -I$B -Itests/unit -MMD -MP -o $@ $< $B/liblabctl.a $(FLAVOUR_LDFLAGS) $(PKG_LIBS) -lcmocka

unit: $(UNIT)

check: ## build and run all tests; as root: everything (sudo make check)
	@tests/run.sh

lint: ## format, layers, headers, cppcheck, shellcheck
	@prove --failures --comments --exec tests/tap.sh $(filter-out tests/lint/tap.sh,$(wildcard tests/lint/*.sh))

asan: ## the unit tests under the address and undefined behaviour sanitizers
	@$(MAKE) --no-print-directory FLAVOUR=asan WERROR=1 all unit
	@prove --failures --comments --exec tests/tap.sh $(filter build/asan/unit/test_%,$(UNIT:$B/%=build/asan/%))

$B/bench/%: tests/bench/%.c $B/liblabctl.a $B/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LAB_CFLAGS) $(CFLAGS) -I$B -MMD -MP -o $@ $< $B/liblabctl.a $(FLAVOUR_LDFLAGS) $(PKG_LIBS)

bench: all $B/bench/floor $B/bench/load $B/bench/takers ## measure against docker-compose and the bare Engine API; the grader's ceiling (needs root)
	@rc=0; $(PYTHON) tests/bench/bench.py --json $B/bench/result.json || rc=1; \
		$(PYTHON) tests/bench/netport.py --json $B/bench/netport.json || rc=1; \
		$(PYTHON) tests/bench/leases.py --json $B/bench/leases.json || rc=1; exit $$rc

bench-netport: all $B/bench/load $B/bench/takers ## measure the REST service beside what it replaces and beside Redis
	@rc=0; $(PYTHON) tests/bench/netport.py --json $B/bench/netport.json || rc=1; \
		$(PYTHON) tests/bench/leases.py --json $B/bench/leases.json || rc=1; exit $$rc

$B/fuzz/%: tests/fuzz/%.c $B/liblabctl.a
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LAB_CFLAGS) $(CFLAGS) -I$B -MMD -MP -o $@ $< $B/liblabctl.a -fsanitize=fuzzer $(FLAVOUR_LDFLAGS) $(PKG_LIBS)

FUZZ_SECONDS ?= 600
fuzz: ## the parsers of requests, FUZZ_SECONDS each, under the sanitizers (needs clang)
	@$(MAKE) --no-print-directory FLAVOUR=fuzz CC=clang build/fuzz/fuzz/fuzz_url build/fuzz/fuzz/fuzz_request
	@mkdir -p build/fuzz/corpus/url build/fuzz/corpus/request
	build/fuzz/fuzz/fuzz_url -max_total_time=$(FUZZ_SECONDS) -max_len=9000 -print_final_stats=1 build/fuzz/corpus/url tests/fuzz/url
	build/fuzz/fuzz/fuzz_request -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=20 -print_final_stats=1 \
		-dict=tests/fuzz/request.dict build/fuzz/corpus/request tests/fuzz/request

soak: soak-netport soak-labs soak-check soak-mutants ## all of these

soak-netport: all $B/bench/load ## the REST service under mixed load for SOAK_SECONDS (default 600)
	@$(PYTHON) tests/netport/soak.py $(or $(SOAK_SECONDS),600)

soak-labs: all ## labs: kills and failures at every step, full disks, lost engines, 20 labs (root; half an hour)
	@TEST_LIMIT=$${TEST_LIMIT:-7200} prove --failures --comments --verbose --exec tests/tap.sh \
		$(filter-out %lib.py $(addprefix %/,flaky.py mutants.py mutate.py oracle.py),$(wildcard tests/soak/*.py))

SOAK_TIMES ?= 50
soak-check: all ## each stage's reference graded SOAK_TIMES times (default 50), idle and loaded: never a false alarm
	@rc=0; for load in "" --loaded; do \
		prove --failures --comments --verbose --exec $(PYTHON) \
			tests/soak/flaky.py :: --times $(SOAK_TIMES) $$load || rc=1; done; exit $$rc

SOAK_MUTANTS ?= 300
soak-mutants: all ## SOAK_MUTANTS faults by rule in each stage's reference (default 300): what a client notices, a check does
	@prove --failures --comments --verbose --exec $(PYTHON) \
		tests/soak/mutants.py :: --sample $(SOAK_MUTANTS) --report $B/mutants.json

fmt: ## format the C sources
	clang-format -i $(shell find labctl tests -name '*.[ch]')

cflags: # for the linters
	@echo '$(LAB_CFLAGS) -I$B'

SHARE := $(DESTDIR)$(PREFIX)/share
COMPLETIONS := bash-completion/completions/labctl zsh/site-functions/_labctl \
	fish/vendor_completions.d/labctl.fish
# Directories are cleared away only as far as nothing else lives in them.
install: all ## into DESTDIR and PREFIX
	install -D -m 755 $B/labctl $(DESTDIR)$(PREFIX)/bin/labctl
	find stages images -type d -exec install -d -m 755 $(SHARE)/labctl/{} \;
	find stages images -type f -perm -100 -exec install -m 755 {} $(SHARE)/labctl/{} \;
	find stages images -type f ! -perm -100 -exec install -m 644 {} $(SHARE)/labctl/{} \;
	for file in $(COMPLETIONS); do \
		mkdir -p $(SHARE)/$${file%/*} && \
		$B/labctl completion $${file%%[-/]*} > $(SHARE)/$$file || exit 1; \
	done

uninstall: ## take back what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/labctl $(COMPLETIONS:%=$(SHARE)/%)
	rm -rf $(SHARE)/labctl

clean: ## remove what was built
	rm -rf build

FORCE:
.PHONY: all help unit check lint asan bench bench-netport fuzz soak soak-netport soak-labs soak-check soak-mutants fmt cflags install uninstall clean FORCE
.DELETE_ON_ERROR:
-include $(OBJS:.o=.d) $B/main.d $(UNIT:=.d)
