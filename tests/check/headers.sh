#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Each header that kernel and user space share compiles alone, for the host and for BPF.
# shellcheck source=tests/check/case.sh
. "$(dirname "$0")/case.sh"

flags="-std=gnu11 -Wall -Wextra -Wshadow -Werror -fsyntax-only -x c -"

compile_alone() {
	local header include
	for header in "$1"/include/weir/*.h; do
		include="#include \"weir/$(basename "$header")\""
		# shellcheck disable=SC2086
		gcc -I"$1/include" $flags <<<"$include" || echo "$header: does not compile alone with gcc"
		# shellcheck disable=SC2086
		clang -target bpf -I"$1/include" -I. $flags <<<"$include" ||
			echo "$header: does not compile alone with clang -target bpf"
	done
}

# Structs of the contract hold fixed-width types only: no bool, long, pointer, bitfield or enum member.
use_fixed_width() {
	awk '
		FNR == 1 { inside = 0 }
		/^struct weir_[a-z_]* \{/ { inside = 1; next }
		/^\}/ { inside = 0 }
		inside { sub(/\/\*.*/, "") }
		inside && (/\*/ || /:[ 0-9]/ || /^[ \t]*(bool|int|long|short|unsigned|char \*|size_t|enum) /) {
			printf "%s:%d: %s\n", FILENAME, FNR, $0
		}' "$1"/include/weir/*.h
}

passes headers_compile_alone compile_alone .
passes headers_use_fixed_width use_fixed_width .

wrong include/weir/needy.h <<<'struct weir_needy { __u32 a; };'
finds header_without_its_include_is_refused compile_alone needy.h
wrong include/weir/loose.h <<<$'struct weir_loose {\n\tunsigned long a;\n};'
finds header_with_a_long_is_refused use_fixed_width loose.h
