#!/bin/sh
# Turns schema/<database>/NNNN_name.sql into rows of one C table:
#   { "storage", 1, "0001_initial", "text..." },
# Usage: embed-schema.sh FILE... > schema_sql.h
echo '/* Made by tools/embed-schema.sh from schema/. */'
for f in "$@"; do
	db=$(basename "$(dirname "$f")")
	name=$(basename "$f" .sql)
	number=${name%%_*}
	# Leading zeros would make it octal.
	while [ "${number#0}" != "$number" ]; do number=${number#0}; done
	printf '{ "%s", %d, "%s",\n' "$db" "$number" "$name"
	sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/"/' -e 's/$/\\n"/' "$f"
	echo '},'
done
