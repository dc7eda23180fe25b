#!/bin/sh
# Runs the tests: test.sh quick (make test) | all (make check). Everything
# runs even when something fails; ends with "N passed, N failed, N skipped".
mode=$1
PYTHON=${PYTHON:-/usr/bin/python3}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# run NAME COMMAND...: shows and keeps what it prints, and its status.
run() {
	name=$1
	shift
	{
		"$@" 2>&1
		echo $? >"$dir/$name.status"
	} | tee "$dir/$name"
}

# A runner's own last words: "12 passed, 1 failed".
words() {
	grep -E "$2" "$dir/$1" | tail -n 1
}

what=quick
[ "$mode" = all ] && what=all
run unit make --no-print-directory unit
run replay make --no-print-directory replay
run e2e env PYTHON="$PYTHON" sh test/e2e/run.sh "$what" -rs

words unit '^unit: ' >"$dir/words"
words e2e '[0-9]+ (passed|failed|skipped|errors?)\>.* in [0-9]' >>"$dir/words"

sum() {
	grep -oE "[0-9]+ ($1)" "$dir/words" |
		awk '{ n += $1 } END { print n + 0 }'
}
passed=$(sum passed)
failed=$(sum 'failed|errors?')
skipped=$(sum skipped)

# What ended badly without having said how many tests failed counts as one.
for name in unit replay e2e; do
	[ "$(cat "$dir/$name.status")" -eq 0 ] && continue
	case $name in
	unit) said=$(words unit '^unit: .* [1-9][0-9]* failed') ;;
	replay) said= ;;
	e2e) said=$(words e2e '[1-9][0-9]* (failed|errors?)\>.* in [0-9]') ;;
	esac
	[ -n "$said" ] && continue
	echo "$name: failed"
	failed=$((failed + 1))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
