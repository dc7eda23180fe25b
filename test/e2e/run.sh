#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the end-to-end tests: run.sh [quick|all] [pytest arguments].
#   quick  what `make test` runs, about three minutes (the default)
#   all    everything; KILL_ROUNDS, FDFS_BIG=1, FDFS_UPLOAD_SIZE widen it
# FDFS_BIN names the directory of the programs (default build/bin).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
what=${1:-quick}
[ $# -eq 0 ] || shift
case $what in
quick) set -- -m 'not slow' "$@" ;;
all) ;;
*)
	echo "run.sh: quick or all, not '$what'" >&2
	exit 2
	;;
esac
exec "${PYTHON:-/usr/bin/python3}" -m pytest -q -p no:cacheprovider \
	--rootdir "$here" "$@" "$here"
