#!/bin/sh
# Runs unit test programs; prints a line each and the output of what failed.
# Ends with "unit: N passed, N failed" (programs' own test cases counted).
passed=0
failed=0
for t in "$@"; do
	out=$(timeout 300 "$t" 2>&1)
	rc=$?
	ok=$(printf '%s\n' "$out" | grep -c '^\[ *OK \]')
	# cmocka names each failed test when it fails and once more at the end.
	bad=$(printf '%s\n' "$out" | grep '^\[ *FAILED *\] [A-Za-z0-9_]*$' |
		sort -u | grep -c .)
	if [ $rc -ne 0 ]; then
		[ "$bad" -gt 0 ] || bad=1
		printf '%s\n' "$out"
		echo "FAILED $(basename "$t") (status $rc)"
	else
		printf '%s\n' "$out" | grep '^golden:'
		echo "ok $(basename "$t") $ok"
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
done
echo "unit: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
