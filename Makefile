# fdfs-suite: one Makefile, GNU make. `make help` lists the targets.
#
# Objects go to $(BUILD); variants (sanitizers, coverage, clang) have a build
# directory each. Sources are found by folder: adding a file needs no edit.

SAN      ?=
BUILD    ?= build$(if $(SAN),/$(subst $(comma),-,$(SAN)))
comma    := ,
CC       ?= cc
AR       ?= ar
PREFIX   ?= /usr/local
# V=1 shows the commands.
Q        := $(if $(V),,@)
say       = $(if $(V),,@printf '  %-4s %s\n' $(1) $(2))
PYTHON   ?= /usr/bin/python3
WERROR   ?=

LAYERS   := base proto net meta
PROGRAMS := fdfs-trackerd fdfs-storaged fdfs-top fdfs-meta fdfs

PKGS_net     := libevent_core
PKGS_base    := libdeflate libmd
PKGS_meta    := sqlite3
PKGS_tui     := ncursesw
PKGS_cli     := smartcols
PKGS         := $(PKGS_net) $(PKGS_base) $(PKGS_meta) $(PKGS_tui) $(PKGS_cli)

PKG_CFLAGS   := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS_common  := $(shell pkg-config --libs $(PKGS_base) $(PKGS_net) $(PKGS_meta) 2>/dev/null) -lpthread -lm
LIBS_tui     := $(shell pkg-config --libs $(PKGS_tui) 2>/dev/null)
LIBS_cli     := $(shell pkg-config --libs $(PKGS_cli) 2>/dev/null)

OPT      ?= -O2
WARN     := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wwrite-strings -Wvla \
	-Wformat=2 -Wundef -Wconversion -Wsign-conversion
HARDEN   := -fstack-protector-strong -fstack-clash-protection -fPIE \
	$(if $(SAN),,-D_FORTIFY_SOURCE=2)
CFLAGS_ALL := -std=gnu11 -D_GNU_SOURCE $(OPT) -g $(WARN) -fno-common $(HARDEN) \
	$(if $(WERROR),-Werror) $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer) \
	-I. -I$(BUILD)/gen $(PKG_CFLAGS) $(CFLAGS)
LDFLAGS_ALL := -pie -Wl,-z,relro,-z,now $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)

# A finding ends the program, under any sanitizer.
export UBSAN_OPTIONS ?= halt_on_error=1:print_stacktrace=1

src = $(sort $(wildcard $(1)/*.c))
obj = $(patsubst %.c,$(BUILD)/%.o,$(1))

CLI_META_SRC := $(filter-out cli/fdfs_%.c,$(call src,cli))
CLI_FDFS_SRC := $(filter-out cli/meta_%.c cli/cmd_%.c,$(call src,cli))
SCHEMA_SQL   := $(sort $(wildcard schema/*/*.sql))

ARCHIVES := $(foreach l,$(LAYERS),$(BUILD)/lib$(l).a)
# Link order: a layer stands before those it uses.
LINK_ARCHIVES := $(foreach l,net meta proto base,$(BUILD)/lib$(l).a)
BINS     := $(addprefix $(BUILD)/bin/,$(PROGRAMS))

all: $(BINS)

# --- generated -----------------------------------------------------------
$(BUILD)/gen/schema_sql.h: $(SCHEMA_SQL) $(wildcard schema/*.sql) tools/embed-schema.sh
	@mkdir -p $(@D)
	$(call say,SQL,$@)
	$(Q)sh tools/embed-schema.sh $(SCHEMA_SQL) > $@.tmp && mv $@.tmp $@

$(BUILD)/meta/migrate.o: $(BUILD)/gen/schema_sql.h

# --- objects and archives ------------------------------------------------
$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

define layer_archive
$(BUILD)/lib$(1).a: $(call obj,$(call src,$(1)))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(call say,AR,$$@)
	$$(Q)$(AR) rcs $$@ $$^
endef
$(foreach l,$(LAYERS) trackerd storaged tui cli,$(eval $(call layer_archive,$(l))))

# --- programs ------------------------------------------------------------
define program
$(BUILD)/bin/$(1): $(call obj,$(2)) $(LINK_ARCHIVES)
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$(CC) $(LDFLAGS_ALL) -o $$@ $$^ $(LIBS_common) $(3)
endef
$(eval $(call program,fdfs-trackerd,$(call src,trackerd)))
$(eval $(call program,fdfs-storaged,$(call src,storaged)))
$(eval $(call program,fdfs-top,$(call src,tui),$(LIBS_tui)))
$(eval $(call program,fdfs-meta,$(CLI_META_SRC),$(LIBS_cli)))
$(eval $(call program,fdfs,$(CLI_FDFS_SRC),$(LIBS_cli)))

# --- unit tests: linked only with the archives below their module ---------
UNIT_SRC := $(call src,test/unit)
UNIT_BIN := $(patsubst test/unit/%.c,$(BUILD)/test/unit/%,$(UNIT_SRC))
# A test says which layers it needs in a line "LAYERS: proto base".
unit_layers = $(or $(shell sed -n 's/.*LAYERS: *\([a-z ]*[a-z]\).*/\1/p' $(1) | head -n 1),$(LAYERS))

define unit_test
$(BUILD)/test/unit/$(1): $(BUILD)/test/unit/$(1).o $(foreach l,$(call unit_layers,test/unit/$(1).c),$(BUILD)/lib$(l).a)
	$$(call say,LINK,$$@)
	$$(Q)$(CC) $(LDFLAGS_ALL) -o $$@ $$^ $(LIBS_common) $(LIBS_tui) $(LIBS_cli) -lcmocka
endef
$(foreach t,$(UNIT_SRC),$(eval $(call unit_test,$(basename $(notdir $(t))))))

unit-bins: $(UNIT_BIN)

unit: $(UNIT_BIN)
	sh tools/run-unit.sh $(UNIT_BIN)

# --- fuzz: libFuzzer with clang; replay of the corpora with any compiler ---
FUZZ_SRC     := $(call src,test/fuzz)
FUZZ_TARGETS := $(patsubst test/fuzz/fuzz_%.c,%,$(filter test/fuzz/fuzz_%,$(FUZZ_SRC)))
REPLAY_BIN   := $(patsubst %,$(BUILD)/test/fuzz/replay_%,$(FUZZ_TARGETS))
FUZZ_SECONDS ?= 60

$(BUILD)/test/fuzz/replay_%: $(BUILD)/test/fuzz/fuzz_%.o $(BUILD)/test/fuzz/replay_main.o $(LINK_ARCHIVES)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_common)

replay: $(REPLAY_BIN)
	@for t in $(FUZZ_TARGETS); do \
		$(BUILD)/test/fuzz/replay_$$t test/fuzz/corpus/$$t || exit 1; done

fuzz: tools/fuzz.sh
	sh tools/fuzz.sh $(FUZZ_SECONDS) $(FUZZ_TARGETS)

# --- what the end-to-end tests let fail: system calls, and a network -------
FAULT_LIB := $(BUILD)/test/fault/fail.so
STOCK71_LIB := $(BUILD)/test/fault/stock71.so
SWITCH := $(BUILD)/test/fault/switch

$(FAULT_LIB) $(STOCK71_LIB): $(BUILD)/test/fault/%.so: test/fault/%.c
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -fPIC -shared -o $@ $<

$(SWITCH): test/fault/switch.c
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -o $@ $<

fault-lib: $(FAULT_LIB) $(STOCK71_LIB) $(SWITCH)

# --- benchmarks ----------------------------------------------------------
BENCH_LOAD := $(sort $(wildcard test/bench/load*.c))

$(BUILD)/bench/lag: $(BUILD)/test/bench/lag.o
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^

$(BUILD)/bench/load: $(call obj,$(BENCH_LOAD))
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_common)

$(BUILD)/bench/micro: $(BUILD)/test/bench/micro.o $(LINK_ARCHIVES)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_common)

bench-bins: $(BUILD)/bench/load $(BUILD)/bench/micro $(BUILD)/bench/lag

bench: all bench-bins
	$(PYTHON) test/bench/run.py $(BENCH_ARGS)

# --- what people type ----------------------------------------------------
packages:
	@sh tools/packages.sh build

test-packages:
	@sh tools/packages.sh test

run: packages
	@$(MAKE) --no-print-directory -j"$$(nproc)" all
	@sh tools/demo.sh start

stop:
	@sh tools/demo.sh stop

test: test-packages
	@$(MAKE) --no-print-directory -j"$$(nproc)" all unit-bins fault-lib bench-bins
	@$(MAKE) --no-print-directory test-all

test-all: all unit-bins fault-lib bench-bins
	@sh tools/test.sh quick

check: test-packages
	@sh tools/check.sh

check-layers:
	@awk -f tools/check-layers.awk tools/layers.txt \
		$(foreach l,$(LAYERS) trackerd storaged tui cli,$(wildcard $(l)/*.[ch]))

check-sizes:
	@sh tools/check-sizes.sh

check-format:
	@clang-format --dry-run --Werror $$(git ls-files '*.c' '*.h')

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

lint: $(BUILD)/gen/schema_sql.h
	@BUILD=$(BUILD) sh tools/lint.sh

golden: unit-bins
	GOLDEN_ACCEPT=1 sh tools/run-unit.sh $(UNIT_BIN)

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/man/man8 \
		$(DESTDIR)$(PREFIX)/share/man/man5 \
		$(DESTDIR)$(PREFIX)/share/doc/fdfs-suite/conf
	install -m 755 $(BINS) $(DESTDIR)$(PREFIX)/bin
	for s in 1 5 8; do \
		for f in docs/*.$$s; do \
			[ ! -f "$$f" ] || install -m 644 "$$f" \
				$(DESTDIR)$(PREFIX)/share/man/man$$s || exit 1; \
		done; done
	install -m 644 conf/* $(DESTDIR)$(PREFIX)/share/doc/fdfs-suite/conf

clean:
	rm -rf build

help:
	@echo 'make            build the five programs into build/bin'
	@echo 'make run        demo cluster on loopback with files in it, and the console'
	@echo 'make stop       stop the demo cluster'
	@echo 'make test       install what tests need, build, run the tests'
	@echo 'make check      everything that must pass before a change lands'
	@echo 'make bench      load scenarios; beside a stock FastDFS when installed'
	@echo 'make fuzz       every fuzz target for FUZZ_SECONDS ($(FUZZ_SECONDS))'
	@echo 'make lint format check-layers check-sizes check-format'
	@echo 'make golden     accept changed expectations (review the diff)'
	@echo 'make install    to PREFIX ($(PREFIX)), staged by DESTDIR'
	@echo 'make SAN=address,undefined unit    sanitizer variants'

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

.PHONY: all unit unit-bins fault-lib replay fuzz bench bench-bins packages test-packages \
	run stop test test-all check check-layers check-sizes check-format format \
	lint golden install clean help
.DELETE_ON_ERROR:
