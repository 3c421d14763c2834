#!/usr/bin/env bash
# scripts/screenshots.sh PAGE.html OUT: OUT-desktop.png and OUT-phone.png of a page, by headless Chromium.
set -euo pipefail
page=$(realpath "$1")
for shot in desktop:1280,1700 phone:390,1400; do
  chromium --headless=new --no-sandbox --disable-gpu --hide-scrollbars --no-first-run --disable-sync \
    --use-angle=swiftshader --enable-unsafe-swiftshader --disable-background-networking \
    --user-data-dir="$(mktemp -d)" --virtual-time-budget=8000 \
    --window-size="${shot#*:}" --screenshot="$(realpath -m "$2")-${shot%:*}.png" "file://$page"
done
