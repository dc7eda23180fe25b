#!/bin/sh
# Turns schema/<database>/NNNN_name.sql into rows of one C table:
#   { "storage", 1, "0001_initial", "text..." },
# A line "--include FILE" stands for schema/FILE.
# Usage: embed-schema.sh FILE... > schema_sql.h
echo '/* Made by tools/embed-schema.sh from schema/. */'
for f in "$@"; do
	db=$(basename "$(dirname "$f")")
	name=$(basename "$f" .sql)
	number=${name%%_*}
	# Leading zeros would make it octal.
	while [ "${number#0}" != "$number" ]; do number=${number#0}; done
	printf '{ "%s", %d, "%s",\n' "$db" "$number" "$name"
	awk '$1 == "--include" {
			file = "schema/" $2
			while ((getline line < file) > 0)
				print line
			close(file)
			next
		}
		{ print }' "$f" |
		sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/"/' -e 's/$/\\n"/'
	echo '},'
done
