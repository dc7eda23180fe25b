#!/bin/sh
# Runs unit test programs; prints a line each and the output of what failed.
# Ends with "unit: N passed, N failed, N skipped" (programs' own test cases
# counted). A program that ends well before its last test does has failed.
passed=0
failed=0
skipped=0

# names WORD: how many tests the output says that of. cmocka says what failed
# or was skipped when it happens and once more at the end.
names() {
	printf '%s\n' "$out" | grep "^\[ *$1 *\] [A-Za-z0-9_]*\$" |
		sort -u | grep -c .
}

for t in "$@"; do
	out=$(timeout 300 "$t" 2>&1)
	rc=$?
	ok=$(printf '%s\n' "$out" | grep -c '^\[ *OK \]')
	skip=$(names SKIPPED)
	bad=$(names FAILED)
	ended=$((ok + skip + bad))
	told=$(printf '%s\n' "$out" |
		awk '/^\[=+\] Running [0-9]+ test/ { n += $3 } END { print n + 0 }')
	if [ $rc -ne 0 ] || [ "$told" -eq 0 ] || [ $ended -lt "$told" ]; then
		[ "$bad" -gt 0 ] || bad=1
		printf '%s\n' "$out"
		echo "FAILED $(basename "$t") (status $rc," \
			"$ended of $told tests ended)"
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
