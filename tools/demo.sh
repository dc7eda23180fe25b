#!/bin/sh
# The demo cluster: demo.sh start | stop | status. One tracker and a storage in
# each of two groups on loopback addresses, below build/demo, with files of
# this source tree in them.
base=$PWD/build/demo
bin=$PWD/build/bin
tracker=127.88.0.1:22122

say() {
	printf '%s\n' "$*"
}

tracker_conf() {
	cat <<EOF
bind_addr = 127.88.0.1
port = 22122
base_path = $base/tracker
store_lookup = 0
reserved_storage_space = 1%
check_active_interval = 20
EOF
}

# storage_conf NAME ADDRESS GROUP
storage_conf() {
	cat <<EOF
group_name = $3
bind_addr = $2
port = 23000
base_path = $base/$1
store_path_count = 2
store_path0 = $base/$1/disk0
store_path1 = $base/$1/disk1
subdir_count_per_path = 16
tracker_server = $tracker
heart_beat_interval = 5
stat_report_interval = 10

[meta]
indexed_keys = author, kind
EOF
}

write_confs() {
	for s in storage1 storage2; do
		mkdir -p "$base/$s/disk0" "$base/$s/disk1" || return 1
	done
	mkdir -p "$base/tracker" || return 1
	tracker_conf >"$base/tracker.conf"
	storage_conf storage1 127.88.0.11 group1 >"$base/storage1.conf"
	storage_conf storage2 127.88.0.12 group2 >"$base/storage2.conf"
	cat >"$base/client.conf" <<EOF
tracker_server = $tracker
base_path = $base
EOF
}

running() {
	"$bin/fdfs-trackerd" "$base/tracker.conf" status >/dev/null 2>&1
}

start_daemons() {
	"$bin/fdfs-trackerd" "$base/tracker.conf" start || return 1
	"$bin/fdfs-storaged" "$base/storage1.conf" start || return 1
	"$bin/fdfs-storaged" "$base/storage2.conf" start
}

stop_daemons() {
	[ -f "$base/tracker.conf" ] || return 0
	for s in storage1 storage2; do
		"$bin/fdfs-storaged" "$base/$s.conf" stop 2>/dev/null
	done
	"$bin/fdfs-trackerd" "$base/tracker.conf" stop 2>/dev/null
}

# Until both groups take uploads; at most ten seconds.
wait_ready() {
	i=0
	while [ $i -lt 100 ]; do
		up=$("$bin/fdfs" -t $tracker list storages --csv 2>/dev/null |
			grep -c ACTIVE)
		[ "$up" -ge 2 ] && return 0
		i=$((i + 1))
		sleep 0.1
	done
	say "the storages did not become ACTIVE; see $base/*/logs" >&2
	return 1
}

upload_files() {
	for f in README.md ARCHITECTURE.md LICENSE Makefile docs/*.[158] \
		conf/*.conf schema/*/*.sql; do
		[ -f "$f" ] || continue
		case $f in
		docs/*) kind=manual ;;
		conf/*) kind=configuration ;;
		schema/*) kind=schema ;;
		*) kind=project ;;
		esac
		"$bin/fdfs" -t $tracker put "$f" --meta kind=$kind \
			--meta author=fdfs-suite >>"$base/ids.txt" || return 1
	done
}

hints() {
	id=$(head -n 1 "$base/ids.txt")
	cat <<EOF

The demo cluster runs below build/demo: tracker $tracker, two groups.
  look     build/bin/fdfs-top -t $tracker --db build/demo/storage1/meta
  status   build/bin/fdfs-meta -t $tracker status
  find     build/bin/fdfs-meta --db build/demo/storage1/meta find --meta kind=manual
  upload   build/bin/fdfs -t $tracker put FILE
  get      build/bin/fdfs -t $tracker cat $id
  SQL      sqlite3 -readonly build/demo/storage1/meta/catalogue.db 'select id, name, size, created from files'
  stop     make stop
EOF
}

case $1 in
start)
	if ! running; then
		write_confs || exit 1
		start_daemons || exit 1
	fi
	wait_ready || exit 1
	[ -s "$base/ids.txt" ] || upload_files || exit 1
	if [ -t 0 ] && [ -t 1 ]; then
		"$bin/fdfs-top" -t $tracker --db "$base/storage1/meta" \
			--db "$base/storage2/meta"
	else
		"$bin/fdfs-meta" -t $tracker status
	fi
	hints
	;;
stop)
	stop_daemons
	say "the demo cluster is stopped; its files stay in build/demo"
	;;
status)
	"$bin/fdfs-meta" -t $tracker status
	;;
*)
	say "usage: demo.sh start|stop|status" >&2
	exit 2
	;;
esac
