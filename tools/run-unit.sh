#!/bin/sh
# Runs unit test programs; prints a line each and the output of what failed.
# Ends with "unit: N passed, N failed, N skipped" (programs' own test cases
# counted). A program that ends well before its last test has failed.
passed=0
failed=0
skipped=0

# lines PATTERN: how many lines of the output
lines() {
	printf '%s\n' "$out" | grep -c "$1"
}

for t in "$@"; do
	out=$(timeout 300 "$t" 2>&1)
	rc=$?
	ok=$(lines '^\[ *OK \]')
	skip=$(lines '^\[ *SKIPPED *\] [A-Za-z0-9_]*$')
	# cmocka names each failed test when it fails and once more at the end.
	bad=$(printf '%s\n' "$out" | grep '^\[ *FAILED *\] [A-Za-z0-9_]*$' |
		sort -u | grep -c .)
	began=$(lines '^\[ RUN ')
	told=$(printf '%s\n' "$out" |
		awk '/^\[=+\] Running [0-9]+ test/ { n += $3 } END { print n + 0 }')
	if [ $rc -ne 0 ] || [ "$told" -eq 0 ] || [ "$began" -lt "$told" ]; then
		[ "$bad" -gt 0 ] || bad=1
		printf '%s\n' "$out"
		echo "FAILED $(basename "$t") (status $rc," \
			"$began of $told tests began)"
	else
		printf '%s\n' "$out" | grep '^golden:'
		echo "ok $(basename "$t") $ok"
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
	skipped=$((skipped + skip))
done
echo "unit: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
