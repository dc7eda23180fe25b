#!/bin/sh
# A file has at most 600 lines, a function 60 (style: the design asks for a
# new noun there). Tests may be longer. Needs universal-ctags.
bad=0
for f in $(git ls-files '*.c' '*.h' | grep -v '^test/'); do
	n=$(wc -l <"$f")
	if [ "$n" -gt 600 ]; then
		echo "$f: $n lines, 600 allowed"
		bad=1
	fi
done
functions=$(git ls-files '*.c' | grep -v '^test/' |
	xargs ctags -x --_xformat='%{input}:%n %N %{end}' --kinds-C=f)
if [ -z "$functions" ]; then
	echo "check-sizes: ctags tells no functions; install universal-ctags"
	exit 1
fi
long=$(printf '%s\n' "$functions" |
	awk '{ split($1, at, ":"); n = $3 - at[2] + 1
		if (n > 60) print $1 " " $2 ": " n " lines, 60 allowed" }')
if [ -n "$long" ]; then
	echo "$long"
	bad=1
fi
exit $bad
