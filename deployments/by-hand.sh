#!/usr/bin/env bash
# by-hand.sh does what by-hand.md says, step by step, and then takes it all down
# again: a cluster of three brokers with TLS and users, two dispatchers, two
# collectors and the sandbox, on this machine and without Docker.
#
#   deployments/by-hand.sh          in a fresh clone; needs Go and bash
#   PORT=5000 deployments/by-hand.sh   with other ports than 4221 to 4272
set -euo pipefail
cd "$(dirname "$0")/.."
PORT=${PORT:-4220}

say() { printf '\n== %s (after %d s)\n' "$*" "$SECONDS"; }

# patiently repeats a command until it succeeds, for a minute at most.
patiently() {
  local end=$((SECONDS + 60))
  until "$@" >"$DIR/tried" 2>&1; do
    ((SECONDS < end)) || { cat "$DIR/tried"; echo "in vain: $*" >&2; return 1; }
    sleep 0.3
  done
  cat "$DIR/tried"
}

take_down() {
  local code=$?
  trap - EXIT
  local left
  left=$(jobs -p)
  [[ -z $left ]] || kill $left 2>/dev/null || true
  wait || true
  if ((code != 0)); then tail -n 20 "$DIR"/*.log >&2; fi
  rm -rf "$DIR"
  exit "$code"
}

say "1. programs"
DIR=$(mktemp -d)
trap take_down EXIT
CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o "$DIR/bin/" ./cmd/... ./deployments/keys github.com/nats-io/nats-server/v2
export PATH="$DIR/bin:$PATH"

say "2. keys and certificates"
mkdir "$DIR/nats"
cp deployments/nats/cluster.conf deployments/nats/tram-users.conf "$DIR/nats/"
keys "$DIR/nats" 127.0.0.1 localhost

say "3. three servers"
export TRAM_ROUTE_1=nats-route://127.0.0.1:$((PORT + 11))
export TRAM_ROUTE_2=nats-route://127.0.0.1:$((PORT + 12))
export TRAM_ROUTE_3=nats-route://127.0.0.1:$((PORT + 13))
for n in 1 2 3; do
  (
    cd "$DIR/nats"
    export TRAM_NODE=n$n TRAM_STORE="$DIR/n$n" TRAM_LISTEN=127.0.0.1:$((PORT + n))
    export TRAM_CLUSTER_LISTEN=127.0.0.1:$((PORT + 10 + n)) TRAM_MONITOR=127.0.0.1:$((PORT + 20 + n))
    GOGC=400 GOMEMLIMIT=1GiB exec nats-server -c cluster.conf 2>"$DIR/nats-$n.log"
  ) &
done

say "4. who is who"
export NATS_URL="tls://127.0.0.1:$((PORT + 1)),tls://127.0.0.1:$((PORT + 2)),tls://127.0.0.1:$((PORT + 3))"
export NATS_CA="$DIR/nats/ca.pem"
cat >"$DIR/bin/as" <<END
#!/bin/sh
# as user command…
user=\$1
shift
NATS_NKEY="$DIR/nats/users/\$user.nk" NATS_INBOX_PREFIX="_INBOX_\$user" exec "\$@"
END
chmod +x "$DIR/bin/as"

say "5. accounts, at the sandbox"
tram sandbox --listen 127.0.0.1:$((PORT + 31)) 2>"$DIR/sandbox.log" >&2 &
cat >"$DIR/tram.yaml" <<END
streams:
  replicas: 3
log:
  format: json
accounts:
  - provider: caresoft
    name: hotline
    base_url: http://127.0.0.1:$((PORT + 31))/caresoft
    settings: {domain: sandbox, oa_id: "1600190000000000001"}
  - provider: momo
    name: shop
    base_url: http://127.0.0.1:$((PORT + 31))/momo
    settings: {business_page_id: "130035"}
END
printf sandbox-caresoft-token >"$DIR/hotline"
printf sandbox-momo-token >"$DIR/shop"
export TRAM_SECRET_CARESOFT_HOTLINE_TOKEN_FILE="$DIR/hotline"
export TRAM_SECRET_MOMO_SHOP_TOKEN_FILE="$DIR/shop"

say "6. streams"
patiently as setup tram setup --config "$DIR/tram.yaml"

say "7. two dispatchers, two collectors"
dispatchers=()
for n in 1 2; do
  TRAM_OPS_LISTEN=127.0.0.1:$((PORT + 40 + n)) as dispatcher dispatcher --config "$DIR/tram.yaml" 2>"$DIR/dispatcher-$n.log" &
  dispatchers+=($!)
  TRAM_OPS_LISTEN=127.0.0.1:$((PORT + 50 + n)) as collector collector --config "$DIR/tram.yaml" 2>"$DIR/collector-$n.log" &
done

say "8. a send and a report, to their ends"
patiently as operator tram send caresoft/hotline --phone 0900000001 --text "Hello" --id first
as operator tram send caresoft/hotline --phone 0900000001 --text "Hello" --id second --wait
as operator tram report momo/shop momo.messages_report --preset DAY_AGO_30 --filter condition_id=NO_ACTIVITIES_30 --wait | tail -n 1
as operator tram status

say "9. a service publishes, to its own accounts alone"
as producer_shop tram send caresoft/hotline --phone 0900000001 --text "Hello" --id third
if as producer_shop tram send pancake/page --contact-id 1 --text "Hello" 2>"$DIR/refused"; then exit 1; fi
cat "$DIR/refused"

say "10. a dispatcher dies, and the other one takes over"
kill -9 "${dispatchers[0]}"
wait "${dispatchers[0]}" 2>"$DIR/killed" || true
as operator tram send caresoft/hotline --phone 0900000001 --text "Hello again" --id fourth --wait
patiently sh -c 'as operator tram status | grep -E "^[A-Za-z0-9]{22} .* 64 "'

say "11. nobody else was refused anything"
if grep "Violation" "$DIR"/dispatcher-*.log "$DIR"/collector-*.log; then exit 1; fi
say "done"
