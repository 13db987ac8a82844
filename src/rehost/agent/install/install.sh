#!/bin/sh
# Installs the rehost agent on this server. Usage: sh install.sh CODE [--disk /dev/NAME]...
# Made by the control plane at @ENDPOINT@ for itself: its address, its certificate authority and the checksum of the
# agent's file are below.
set -eu

endpoint='@ENDPOINT@'
sha256='@SHA256@'

fail() {
	echo "rehost: $1" >&2
	exit 1
}

# In a function that is called last, so that a download of this text that breaks off does nothing.
install_agent() {
	code=${1:-}
	[ -n "$code" ] || fail "an activation code is missing: on the control plane, rehost code create prints one"
	shift
	[ "$(id -u)" = 0 ] || fail "this has to run as root"
	[ "$(uname -m)" = '@MACHINE@' ] || fail "the control plane has the agent for @MACHINE@, this server is $(uname -m)"
	for program in tail gzip tar mktemp sha256sum; do
		command -v "$program" >/dev/null || fail "the program $program is missing: install it, then run this again"
	done

	folder=$(mktemp -d)
	trap 'rm -rf "$folder"' EXIT
	cat >"$folder/ca.crt" <<'CERTIFICATE'
@CA@
CERTIFICATE
	echo "rehost: downloading the agent (@MEGABYTES@ MB) from $endpoint"
	download "$folder/rehost-agent"
	echo "$sha256  $folder/rehost-agent" | sha256sum -c >/dev/null 2>&1 ||
		fail "the download is damaged (its checksum is another one): run this again"
	sh "$folder/rehost-agent" install --endpoint "$endpoint" --ca "$folder/ca.crt" --code "$code" "$@"
}

# The certificate is for the name "rehost", whatever address the control plane is reached at. Programs that are too
# old to be told so download without that check: the checksum above decides in any case.
download() {
	if command -v curl >/dev/null; then
		status=0
		curl -fsS --retry 3 --cacert "$folder/ca.crt" --connect-to 'rehost:@PORT@:@HOST@:@PORT@' \
			-o "$1" 'https://rehost:@PORT@/agent/rehost-agent' || status=$?
		if [ "$status" = 2 ]; then
			status=0
			curl -fsSk --retry 3 -o "$1" "$endpoint/agent/rehost-agent" || status=$?
		fi
	elif command -v wget >/dev/null; then
		status=0
		wget -q --no-check-certificate -O "$1" "$endpoint/agent/rehost-agent" || status=$?
	else
		fail "neither curl nor wget is here: install one of them, then run this again"
	fi
	[ "$status" = 0 ] || fail "the agent could not be downloaded from $endpoint (exit code $status)"
}

install_agent "$@"
