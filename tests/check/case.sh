# SPDX-License-Identifier: GPL-2.0
# Sourced by the checks of this folder. Each check is a function that takes the root of a tree and
# prints what it finds wrong; finding nothing is success. Results are lines that tests/run.py counts.

cd "$(dirname "$0")/../.." || exit 1
sample=$(mktemp -d) || exit 1
trap 'rm -rf "$sample"' EXIT

# passes NAME CHECK TREE: nothing wrong must be found.
passes() {
	local found
	found=$("$2" "$3" 2>&1)
	if [ -z "$found" ]; then
		echo "ok $1"
	else
		printf '%s\n' "$found" | sed 's/^/    /'
		echo "not ok $1"
	fi
}

# finds NAME CHECK TEXT: in the sample tree the check must find something that holds TEXT.
finds() {
	local found
	found=$("$2" "$sample" 2>&1)
	case $found in
	*"$3"*) echo "ok $1" ;;
	*) printf '    found in the wrong sample: %s\nnot ok %s\n' "${found:-nothing}" "$1" ;;
	esac
}

# wrong FILE: makes a file of the sample tree from standard input.
wrong() {
	mkdir -p "$sample/$(dirname "$1")"
	cat >"$sample/$1"
}
