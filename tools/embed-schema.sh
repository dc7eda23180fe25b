#!/bin/sh
# Turns schema/<database>/NNNN_name.sql into rows of one C table:
#   { "storage", 1, "0001_initial", "text..." },
# Usage: embed-schema.sh FILE... > schema_sql.h
echo '/* Made by tools/embed-schema.sh from schema/. */'
for f in "$@"; do
	db=$(basename "$(dirname "$f")")
	name=$(basename "$f" .sql)
	number=${name%%_*}
	printf '{ "%s", %d, "%s",\n' "$db" "$(expr "$number" + 0)" "$name"
	sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/"/' -e 's/$/\\n"/' "$f"
	echo '},'
done
