#!/bin/sh
# rehost-agent @VERSION@ for Linux on @MACHINE@: this text, then a gzip'ed tar with all that the agent needs.
# It brings its own interpreter and C library, and needs only sh, tail, gzip and tar. Try: sh rehost-agent --help
set -eu

fail() {
	echo "rehost-agent: $1" >&2
	exit 1
}

unpack() {
	tail -c +@SKIP@ "$0" | { gzip -dc || : >"$1/FAILED"; } | (cd "$1" && tar -xf -) || : >"$1/FAILED"
	if [ -f "$1/FAILED" ] || [ ! -f "$1/BUNDLE" ]; then
		fail "cannot unpack into $1: is there room for @SIZE@ MB? Is $0 whole?"
	fi
}

[ "$(uname -m)" = "@MACHINE@" ] || fail "this file is for @MACHINE@, this server is $(uname -m)"

folder=${REHOST_AGENT_HOME:-/opt/rehost-agent}
home=$folder/@ID@
if [ ! -f "$home/BUNDLE" ]; then
	case "${REHOST_AGENT_HOME:+install} $* " in
	*install\ * | *\ run\ *)
		umask 022
		mkdir -p "$folder" || fail "cannot make $folder: run it as root, or set REHOST_AGENT_HOME"
		fresh=$(mktemp -d "$folder/.new.XXXXXX")
		trap 'rm -rf "$fresh"' EXIT
		unpack "$fresh"
		chmod 755 "$fresh"
		mv -T "$fresh" "$home" 2>/dev/null || [ -f "$home/BUNDLE" ] || fail "cannot make $home"
		rm -rf "$fresh"
		trap - EXIT
		;;
	*)
		home=$(mktemp -d "${TMPDIR:-/tmp}/rehost-agent.XXXXXX")
		trap 'rm -rf "$home"' EXIT
		trap 'exit 130' INT
		trap 'exit 143' TERM HUP
		unpack "$home"
		status=0
		"$home/bin/rehost-agent" "$@" || status=$?
		exit "$status"
		;;
	esac
fi
exec "$home/bin/rehost-agent" "$@"
