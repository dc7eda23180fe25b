#!/bin/sh
# Installs what is missing with apt: packages.sh build | test
# Nothing is asked of the network when everything is there.
build='gcc make pkg-config libc6-dev libevent-dev libsqlite3-dev libncurses-dev
libdeflate-dev libmd-dev libsmartcols-dev sqlite3'
test='libcmocka-dev python3-minimal python3-pytest tmux nodejs npm iproute2'
check='git clang clang-tidy clang-format cppcheck shellcheck mandoc universal-ctags
libclang-rt-14-dev'

case $1 in
build) want=$build ;;
test) want="$build $test" ;;
check) want="$build $test $check" ;;
*)
	echo "usage: packages.sh build|test|check" >&2
	exit 2
	;;
esac

# Node.js may have come from elsewhere than apt.
have() {
	case $1 in
	nodejs) command -v node >/dev/null 2>&1 && return 0 ;;
	npm) command -v npm >/dev/null 2>&1 && return 0 ;;
	esac
	dpkg-query -W -f '${Status}' "$1" 2>/dev/null |
		grep -q 'ok installed'
}

missing=
for p in $want; do
	have "$p" || missing="$missing $p"
done
[ -z "$missing" ] && exit 0

if ! command -v apt-get >/dev/null 2>&1; then
	echo "These packages are missing and there is no apt-get:$missing" >&2
	echo "Install them (or their like) and try again." >&2
	exit 1
fi
sudo=
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null 2>&1; then
		echo "Missing:$missing" >&2
		echo "As root: apt-get install$missing" >&2
		exit 1
	fi
	sudo=sudo
fi
echo "Installing:$missing"
log=$(mktemp)
# shellcheck disable=SC2086
if ! { $sudo env DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
		--no-install-recommends $missing; } >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "apt-get could not install:$missing (log: $log)" >&2
	exit 1
fi
rm -f "$log"
