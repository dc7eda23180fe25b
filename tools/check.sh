#!/bin/sh
# Everything that must pass before a change lands. Each part says its name and
# how long it took; all parts run; the last line counts.
jobs=$(nproc)
bad=0
report=$(mktemp)
out=$(mktemp)
trap 'rm -f "$report" "$out"' EXIT

sh tools/packages.sh check || exit 1

part() {
	name=$1
	shift
	start=$(date +%s)
	echo "== $name"
	if "$@"; then
		word=ok
	else
		word=FAILED
		bad=$((bad + 1))
	fi
	echo "$word $name ($(($(date +%s) - start)) s)" | tee -a "$report"
}

build() {
	make -j"$jobs" --no-print-directory WERROR=1 BUILD=build/werror all \
		unit-bins bench-bins >/dev/null
}
clang_build() {
	make -j"$jobs" --no-print-directory CC=clang WERROR=1 \
		BUILD=build/clang all unit-bins bench-bins >/dev/null
}
sanitized() {
	set -- --no-print-directory SAN="$1" BUILD="build/san-$2" OPT=-O1
	make -j"$jobs" "$@" unit-bins >/dev/null || return 1
	make "$@" unit >"$out" 2>&1 && make "$@" replay >>"$out" 2>&1
	status=$?
	# All of it when something failed: the reports are in there.
	if [ $status -eq 0 ]; then grep "^unit: " "$out"; else cat "$out"; fi
	return $status
}
tests() {
	make -j"$jobs" --no-print-directory all unit-bins fault-lib bench-bins \
		>/dev/null &&
		KILL_ROUNDS="${KILL_ROUNDS:-100}" sh tools/test.sh all
}

part layers make --no-print-directory check-layers
part sizes make --no-print-directory check-sizes
part format make --no-print-directory check-format
part 'build gcc -Werror' build
part 'build clang -Werror' clang_build
part lint make --no-print-directory lint
part 'unit and replay under ASan and UBSan' sanitized address,undefined asan
part 'unit and replay under TSan' sanitized thread tsan
part tests tests

echo
cat "$report"
[ $bad -eq 0 ]
