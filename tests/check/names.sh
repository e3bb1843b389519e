#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Names of files, and of what the kernel keeps: BPF programs and maps.
# shellcheck source=tests/check/case.sh
. "$(dirname "$0")/case.sh"

# Words join with '_'; a name says what is inside. Inputs of fuzzers and results of benchmarks are data.
name_files_well() {
	(
		cd "$1" || exit
		find bpf include userspace tests bench \( -name __pycache__ -o -name .pytest_cache -o -path bench/results \
			-o -path tests/fuzz/corpus -o -path tests/fuzz/regression \) -prune -o -print 2>/dev/null |
			grep -E -- '-[^/]*$|/(utils?|misc|helpers?)(\.[a-z]+)?$|/server\.h$' | sed 's/$/: not a name for a file here/'
	)
}

# The kernel keeps 15 characters of a name; bpftool and people find ours by the prefix.
name_bpf_objects_well() {
	local name
	grep -PzohI 'SEC\("(?!\.maps|license|\.rodata)[^"]+"\)\s+(static )?int \K\w+|\}\s*\K\w+(?=\s+SEC\("\.maps"\))' \
		"$1"/bpf/*.c 2>/dev/null | tr '\0' '\n' | while read -r name; do
		case $name in
		weir_*) [ ${#name} -le 15 ] || echo "$name: longer than 15 characters" ;;
		*) echo "$name: does not start with weir_" ;;
		esac
	done
}

passes files_are_named_well name_files_well .
passes bpf_objects_are_named_well name_bpf_objects_well .

wrong userspace/common/byte-order.c <<<''
finds dash_in_a_file_name_is_refused name_files_well 'common/byte-order.c'
wrong userspace/common/util.c <<<''
finds util_is_refused name_files_well 'common/util.c'
wrong bpf/names.bpf.c <<'EOF'
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
} weir_a_very_long_name SEC(".maps");

SEC("xdp")
int nameless(struct xdp_md *ctx)
{
}
EOF
finds long_map_name_is_refused name_bpf_objects_well 'weir_a_very_long_name: longer'
finds program_without_prefix_is_refused name_bpf_objects_well 'nameless: does not start'
