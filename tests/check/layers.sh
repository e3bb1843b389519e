#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# A folder of userspace/ includes itself and the layers below it; only dataplane talks to libbpf.
# shellcheck source=tests/check/case.sh
. "$(dirname "$0")/case.sh"

# One layer a line, lowest first. Folders of one layer do not include each other.
layers='
	common
	http config ipc metrics route
	dataplane
	cache
	upstream
	handlers
	admin
	supervisor worker cli
'

# FOLDER HEADER: what a folder may include against the order, and why.
exceptions='
	route config/config.h
	supervisor worker/worker.h
	cli supervisor/supervisor.h
'
# route config/config.h: the table is built from the prefixes of the configuration
# supervisor worker/worker.h: how the supervisor starts a pool slot
# cli supervisor/supervisor.h: `weir run` becomes the supervisor

include_downwards() {
	grep -rnoE '^#include ("[^"]+"|<bpf/[^>]+>)' "$1/userspace" --include='*.[ch]' |
		awk -F: -v tree="$1/userspace/" -v layers="$layers" -v exceptions="$exceptions" '
		BEGIN {
			n = split(layers, line, "\n")
			for (i = 1; i <= n; i++) {
				m = split(line[i], folder, /[ \t]+/)
				for (j = 1; j <= m; j++)
					if (folder[j] != "")
						level[folder[j]] = i
			}
			n = split(exceptions, line, "\n")
			for (i = 1; i <= n; i++) {
				sub(/^[ \t]+/, "", line[i])
				allowed[line[i]] = 1
			}
		}
		{
			from = substr($1, length(tree) + 1)
			sub(/\/.*/, "", from)
			header = $3
			gsub(/^#include ["<]|[">]$/, "", header)
			to = header
			sub(/\/.*/, "", to)
			where = $1 ":" $2 ": "
			if (header == "weir.skel.h" || header ~ /^bpf\//) {
				if (from != "dataplane")
					print where header " is for dataplane alone"
				next
			}
			if (header !~ /\// || to == "weir" || to == from)
				next
			if (!(from in level))
				print where from " has no layer in layers.sh"
			else if (!(to in level))
				print where header " belongs to no layer"
			else if (header ~ /_priv\.h$/)
				print where header " stays inside " to
			else if (level[to] >= level[from] && !((from " " header) in allowed))
				print where from " may not include " header
		}'
}

passes layers_include_downwards include_downwards .

wrong userspace/common/upward.c <<<'#include "cache/cache.h"'
finds include_of_a_higher_layer_is_refused include_downwards 'common may not include cache/cache.h'
wrong userspace/http/sideways.c <<<'#include "config/config.h"'
finds include_of_a_sibling_is_refused include_downwards 'http may not include config/config.h'
wrong userspace/worker/direct.c <<<'#include <bpf/bpf.h>'
finds libbpf_outside_of_dataplane_is_refused include_downwards 'bpf/bpf.h is for dataplane alone'
wrong userspace/handlers/nosy.c <<<'#include "cache/cache_priv.h"'
finds private_header_outside_of_its_folder_is_refused include_downwards 'stays inside cache'
