#!/bin/sh
# The demo cluster: demo.sh start | stop | status. Two trackers, a group of two
# storages that hold the same files, and a group of one, on loopback addresses,
# below build/demo, with files of this source tree in them.
base=$PWD/build/demo
bin=$PWD/build/bin
tracker=127.88.0.1:22122
trackers="tracker1 tracker2"
storages="storage1 storage2 storage3"

say() {
	printf '%s\n' "$*"
}

# tracker_conf NAME ADDRESS
tracker_conf() {
	cat <<EOF
bind_addr = $2
port = 22122
base_path = $base/$1
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
tracker_server = 127.88.0.2:22122
heart_beat_interval = 5
stat_report_interval = 10

[meta]
indexed_keys = author, kind
EOF
}

write_confs() {
	for s in $storages; do
		mkdir -p "$base/$s/disk0" "$base/$s/disk1" || return 1
	done
	mkdir -p "$base/tracker1" "$base/tracker2" || return 1
	tracker_conf tracker1 127.88.0.1 >"$base/tracker1.conf"
	tracker_conf tracker2 127.88.0.2 >"$base/tracker2.conf"
	storage_conf storage1 127.88.0.11 group1 >"$base/storage1.conf"
	storage_conf storage2 127.88.0.12 group1 >"$base/storage2.conf"
	storage_conf storage3 127.88.0.13 group2 >"$base/storage3.conf"
	cat >"$base/client.conf" <<EOF
tracker_server = $tracker
tracker_server = 127.88.0.2:22122
base_path = $base
EOF
}

running() {
	"$bin/fdfs-trackerd" "$base/tracker1.conf" status >/dev/null 2>&1
}

start_daemons() {
	for t in $trackers; do
		"$bin/fdfs-trackerd" "$base/$t.conf" start || return 1
	done
	for s in $storages; do
		"$bin/fdfs-storaged" "$base/$s.conf" start || return 1
	done
}

stop_daemons() {
	for s in $storages; do
		[ -f "$base/$s.conf" ] &&
			"$bin/fdfs-storaged" "$base/$s.conf" stop 2>/dev/null
	done
	for t in $trackers; do
		[ -f "$base/$t.conf" ] &&
			"$bin/fdfs-trackerd" "$base/$t.conf" stop 2>/dev/null
	done
}

# Do the trackers agree on a leader?
led() {
	"$bin/fdfs-meta" -t $tracker status 2>/dev/null |
		grep -q 'leader [0-9]'
}

# Until every storage takes uploads and a tracker leads; at most half a minute.
wait_ready() {
	i=0
	while [ $i -lt 300 ]; do
		up=$("$bin/fdfs" -t $tracker list storages --csv 2>/dev/null |
			grep -c ACTIVE)
		[ "$up" -ge 3 ] && led && return 0
		i=$((i + 1))
		sleep 0.1
	done
	say "no leader, or not every storage is ACTIVE; see $base/*/logs" >&2
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

The demo cluster runs below build/demo: tracker $tracker and a second one,
group1 of two storages, group2 of one.
  look     build/bin/fdfs-top -t $tracker --db build/demo/storage1/meta
  status   build/bin/fdfs-meta -t $tracker status
  sync     build/bin/fdfs-meta --db build/demo/storage1/meta lag
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
			--db "$base/storage2/meta" --db "$base/storage3/meta"
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
