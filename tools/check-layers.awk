# awk -f tools/check-layers.awk tools/layers.txt $(git ls-files '*.c' '*.h')
FILENAME == ARGV[1] {
	if ($0 !~ /^(#|$)/) {
		k = $1
		sub(/:$/, "", k)
		allow[k] = " " substr($0, length($1) + 1) " "
	}
	next
}
/^[ \t]*#[ \t]*include[ \t]/ {
	split(FILENAME, at, "/")
	inc = $2
	if (inc ~ /^"/) {
		gsub(/"/, "", inc)
		split(inc, to, "/")
		# Without a folder: made by the build, for the one who asks.
		ok = to[1] == at[1] || inc == "schema_sql.h" || \
		    index(allow[at[1]], " " to[1] " ")
	} else {
		ok = !(inc in allow) || index(allow[inc], " " at[1] "/ ") || \
		    index(allow[inc], " " FILENAME " ")
	}
	if (!ok) {
		print FILENAME ":" FNR ": " at[1] " must not include " inc
		bad = 1
	}
}
END { exit bad }
