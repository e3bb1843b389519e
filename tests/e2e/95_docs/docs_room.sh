#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The shell in which the commands of a page run (docs_pages.py starts it, as the first process of namespaces of its own).
#
#     unshare --net --mount --pid --fork --kill-child --mount-proc docs_room.sh TREE WEIR
#
# What pages write to /etc, /srv, /var and to the tree stays here: those are copy-on-write; /run, /tmp and bpffs are
# empty. `weir` is the program WEIR. Reads lines "NUMBER BASE64", runs each command in this one shell, and answers with
# the line "<RS>NUMBER STATUS", where STATUS is that of the first part that failed. A command that ends in & is done when
# something new listens, and, if it is weir, answers on its control socket.
set -u
tree=$1 weir=$2
ready_seconds=30
failed=0
room=/mnt
[[ $tree != /mnt/* ]] || room=/media

make_room() {
	local dir
	mount -t tmpfs -o mode=755 tmpfs "$room" && mkdir -p "$room/bin" "$room/weir" "$room/.cow" || return
	for dir in /etc /srv /var; do
		copy_on_write "$dir" "$dir" || return
	done
	copy_on_write "$tree" "$room/weir" && mount -t bpf bpf /sys/fs/bpf || return
	mount -t tmpfs -o mode=755 tmpfs /run || return
	case $tree in
	/tmp/*) copy_on_write /tmp /tmp || return ;;
	*) mount -t tmpfs -o mode=1777 tmpfs /tmp || return ;;
	esac
	mkdir -p "$room/weir/build" && ln -sf "$weir" "$room/weir/build/weir" || return
	ln -s "$weir" "$room/bin/weir" && ip link set lo up && cd "$room/weir" || return
}

copy_on_write() {
	local name
	name=$(basename "$2")
	mkdir "$room/.cow/$name" "$room/.cow/$name.work" && chmod --reference="$1" "$room/.cow/$name" &&
		mount -t overlay overlay -o "lowerdir=$1,upperdir=$room/.cow/$name,workdir=$room/.cow/$name.work" "$2"
}

listeners() {
	ss -Hltnx | wc -l
}

# wait_ready COUNT PID COMMAND: more than COUNT sockets listen, and weir answers if it is that
wait_ready() {
	local end=$((SECONDS + ready_seconds)) control
	control=$(grep -o -- '--control [^ ]*' <<<"$3") # not <(...): that would be the page's $!
	# shellcheck disable=SC2086 # two words or none
	while kill -0 "$2" 2>/dev/null; do
		if [ "$(listeners)" -gt "$1" ] && { [[ $3 != *"weir run"* ]] || weir status $control >/dev/null 2>&1; }; then
			return 0
		fi
		[ "$SECONDS" -lt "$end" ] || break
		sleep 0.05
	done
	echo "nothing listens"
	return 1
}

# what a page must not leave: it shows how to end what it starts
leftovers() {
	[ -z "$(ls -A /sys/fs/bpf/weir 2>/dev/null)" ] || echo "/sys/fs/bpf/weir is not empty: the page ends no weir"
	weir status 2>/dev/null && echo "weir still runs"
	true
}

make_room || { printf '\036room 1\n'; exit 1; }
export PATH=$room/bin:$PATH HOME=/tmp LC_ALL=C.UTF-8 TERM=dumb NO_PROXY='*' no_proxy='*'
export -n tree weir room
unset MAKEFLAGS MAKELEVEL MFLAGS
printf '\036room 0\n'

set -E
trap 'failed=$?' ERR
while read -r number text; do
	count=$(listeners)
	failed=0
	base64 -d <<<"$text" >"$room/.command"
	# shellcheck disable=SC1091
	. "$room/.command" </dev/null
	command=$(<"$room/.command")
	if [[ $command =~ \&[[:space:]]*$ ]] && [ "$failed" = 0 ]; then
		wait_ready "$count" "$!" "$command" || failed=1
	fi
	printf '\036%s %s\n' "$number" "$failed"
done
