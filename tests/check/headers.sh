#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Each header that kernel and user space share compiles alone, for the host and for BPF; each public one as C and C++.
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

# What is installed for others: no header of ours, C of several ages, and C++.
compile_for_others() {
	local header include language
	for header in "$1"/include/weir_*.h; do
		include="#include \"$(basename "$header")\""
		for language in "c -std=c99" "c -std=c11 -pedantic" "c++ -std=c++11" "c++ -std=c++17 -pedantic"; do
			# shellcheck disable=SC2086
			gcc -I"$1/include" -Wall -Wextra -Wshadow -Werror -fsyntax-only -x $language - <<<"$include" ||
				echo "$header: does not compile alone as $language"
		done
		grep -n '#include "' "$header" /dev/null
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
passes headers_for_others_compile_alone compile_for_others .

wrong include/weir/needy.h <<<'struct weir_needy { __u32 a; };'
finds header_without_its_include_is_refused compile_alone needy.h
wrong include/weir/loose.h <<<$'struct weir_loose {\n\tunsigned long a;\n};'
finds header_with_a_long_is_refused use_fixed_width loose.h
wrong include/weir_new.h <<<'struct weir_new { int class; bool b; };'
finds public_header_that_is_no_cplusplus_is_refused compile_for_others 'does not compile alone as c++'
wrong include/weir_own.h <<<'#include "common/log.h"'
finds public_header_that_needs_ours_is_refused compile_for_others 'common/log.h'
