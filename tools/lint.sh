#!/bin/sh
# clang-tidy, cppcheck, shellcheck and the manual pages. Silent when clean.
bad=0
gen=${BUILD:-build}/gen
flags="-std=gnu11 -D_GNU_SOURCE -I. -I$gen
$(pkg-config --cflags libevent_core sqlite3 ncursesw smartcols libdeflate libmd)"
srcs=$(git ls-files '*.c' | grep -v '^test/')

# One file a run: over several, the analyser mistakes a va_list of the second.
# shellcheck disable=SC2016,SC2086
printf '%s\n' $srcs | xargs -P "$(nproc)" -n 1 sh -c '
	out=$(clang-tidy --quiet "$2" -- $1 2>&1) && exit
	printf "%s\n" "$out" | grep -v "^[0-9]* warnings* generated"
	exit 1' sh "$flags" || bad=1

# shellcheck disable=SC2086
cppcheck --quiet --std=c11 --enable=warning,portability \
	--inline-suppr --error-exitcode=1 --suppress=missingIncludeSystem \
	--suppress=uninitvar:proto/msg.c -D_GNU_SOURCE -I. -I"$gen" \
	-j "$(nproc)" $srcs || bad=1

git ls-files '*.sh' .ci/run | xargs shellcheck || bad=1
for m in docs/*.[1-8]; do
	[ -f "$m" ] || continue
	mandoc -Tlint -Wwarning "$m" || bad=1
done
exit $bad
