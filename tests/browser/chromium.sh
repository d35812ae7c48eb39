#!/bin/sh
# Makes sure that the browser tests have a browser: finds Chromium, or installs Debian's where that is allowed.
set -eu
for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    echo "Chromium is missing: installing Debian's package"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null
    exit 0
fi
echo "The browser tests need Chromium: run 'sudo apt-get install chromium' (or put chromium on PATH), then 'make test' again." >&2
exit 1
