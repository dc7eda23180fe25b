#!/bin/sh
# Runs the tests: test.sh quick (make test) | all (make check). Everything
# runs even when something fails; ends with "N passed, N failed, N skipped".
mode=$1
PYTHON=${PYTHON:-/usr/bin/python3}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

make --no-print-directory unit 2>&1 | tee "$dir/unit"
make --no-print-directory replay 2>&1 | tee "$dir/replay"
grep -q '^make.*Error' "$dir/replay" && echo 'unit: 0 passed, 1 failed' >>"$dir/unit"

what=quick
[ "$mode" = all ] && what=all
PYTHON=$PYTHON sh test/e2e/run.sh "$what" -rs 2>&1 | tee "$dir/e2e"

# "12 passed, 1 failed" out of either runner's last words.
sum() {
	cat "$dir/unit" "$dir/e2e" | grep -E '^(unit:|=+ |[0-9]+ (passed|failed))' |
		grep -oE "[0-9]+ $1" | awk '{ n += $1 } END { print n + 0 }'
}
passed=$(sum passed)
failed=$(sum failed)
errors=$(sum 'errors?')
skipped=$(sum skipped)
grep -qE '(passed|failed|skipped).* in ' "$dir/e2e" || errors=$((errors + 1))
echo "$passed passed, $((failed + errors)) failed, $skipped skipped"
[ $((failed + errors)) -eq 0 ]
