#!/bin/sh
# Starts the interpreter of this folder by its own loader and with its own libraries, wherever the folder lies.
home=$(cd -P -- "${0%/*}/.." && pwd -P) || exit 1
unset LD_PRELOAD LD_LIBRARY_PATH
# The server's OpenSSL configuration is for the server's OpenSSL.
export OPENSSL_CONF=/dev/null
exec "$home/lib/rehost-agent.ld.so" --inhibit-cache --library-path "$home/lib" --argv0 "$home/bin/python3" \
	"$home/bin/python" -I -S -B -X utf8 @MODULE@"$@"
