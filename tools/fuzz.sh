#!/bin/sh
# Runs fuzz targets with libFuzzer: fuzz.sh SECONDS TARGET...
# Everything new goes to build/fuzz: inputs that reach new code to
# corpus/TARGET, finds to finds/TARGET-*. Ends with 1 when there is a find.
set -u
seconds=$1
shift
b=build/fuzz
san=address,undefined

mkdir -p "$b/finds"
echo 'int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n);
int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n)
{ return d && n ? 0 : 0; }' > "$b/probe.c"
if ! clang -fsanitize=fuzzer,$san -o "$b/probe" "$b/probe.c" 2> "$b/probe.log"
then
	cat "$b/probe.log"
	echo "fuzz: clang cannot link a fuzzer; install clang and" \
		"libclang-rt-14-dev"
	exit 1
fi

objects=
for t in "$@"; do
	objects="$objects $b/test/fuzz/fuzz_$t.o"
done
# shellcheck disable=SC2086 # a list of names without blanks
make --no-print-directory -s BUILD="$b" CC=clang SAN="fuzzer-no-link,$san" \
	CFLAGS="-fno-sanitize-recover=undefined" \
	$objects "$b/libproto.a" "$b/libbase.a" || exit 1
libs=$(pkg-config --libs libdeflate libmd)

for t in "$@"; do
	# shellcheck disable=SC2086 # flags
	clang -fsanitize=fuzzer,$san -o "$b/fuzz_$t" \
		"$b/test/fuzz/fuzz_$t.o" "$b/libproto.a" "$b/libbase.a" \
		$libs -lpthread -lm || exit 1
done

found=0
for t in "$@"; do
	mkdir -p "$b/corpus/$t"
	echo "fuzz: $t for $seconds s"
	if "$b/fuzz_$t" -max_total_time="$seconds" -max_len=2048 -timeout=10 \
		-rss_limit_mb=1024 -dict=test/fuzz/fuzz.dict \
		-artifact_prefix="$b/finds/$t-" -print_final_stats=1 \
		-verbosity=0 "$b/corpus/$t" "test/fuzz/corpus/$t" \
		> "$b/$t.log" 2>&1
	then
		sed -n 's/^stat::number_of_executed_units: */fuzz: inputs /p' \
			"$b/$t.log"
	else
		tail -n 40 "$b/$t.log"
		echo "fuzz: $t has a find; see $b/finds and $b/$t.log"
		found=1
	fi
done
exit $found
