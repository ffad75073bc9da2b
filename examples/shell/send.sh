#!/usr/bin/env bash
# Publishes a send to tram and waits for its end, with nothing but bash and a
# socket: what any language does that has neither a NATS client nor msgpack.
#
#   ./send.sh order-17-shipped 0900000001 "Your order is on its way."
#
# Prints the stream's acknowledgement and then each state of the send. The id is
# made of your own key: publishing it again does nothing.
set -euo pipefail
export LC_ALL=C # ${#text} counts bytes

if (($# != 3)); then
	echo "usage: send.sh <id> <phone> <text of at most 255 bytes>" >&2
	exit 2
fi
id=$1 phone=$2 text=$3 source=/acme/shop
server=${NATS_URL:-nats://127.0.0.1:4222}
server=${server#nats://}

# text writes a msgpack str: 0xd9, its length in one byte, the bytes.
text() {
	((${#1} <= 255)) || { echo "send.sh: a text has ${#1} bytes, at most 255 are allowed here" >&2; exit 2; }
	printf "\\xd9\\x$(printf %02x ${#1})%s" "$1"
}

# map writes the head of a msgpack map of up to 15 pairs; the pairs follow it.
map() { printf "\\x8$1"; }

body=$(
	map 2
	text recipient
	map 2
	text kind && text phone
	text value && text "$phone"
	text content
	map 2
	text kind && text text
	text text && text "$text"
)

headers=$(printf '%s\r\n' NATS/1.0 \
	"ce-specversion: 1.0" "ce-id: $id" "ce-source: $source" "ce-type: io.github.tramhq.send.v1" \
	"Nats-Msg-Id: $source/$id" "Nats-Expected-Stream: TRAM_REQUESTS" x)
headers=${headers%x$'\r'}$'\r\n' # the x has kept the line break that $() takes away

exec 3<>"/dev/tcp/${server%:*}/${server##*:}"
inbox=_INBOX.$RANDOM$RANDOM$RANDOM
{
	printf 'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n'
	printf 'SUB %s 1\r\n' "$inbox"
	printf 'SUB tram.delivery.caresoft.hotline.* 2\r\n' # live: who must miss nothing reads the stream TRAM_EVENTS
	printf 'HPUB tram.send.caresoft.hotline.normal %s %d %d\r\n' "$inbox" ${#headers} $((${#headers} + ${#body}))
	printf '%s%s\r\n' "$headers" "$body"
} >&3

while IFS=$' \r' read -r -t 30 -u 3 verb subject sid rest; do
	case $verb in
	PING) printf 'PONG\r\n' >&3 ;;
	-ERR) echo "send.sh: the broker says $subject $sid $rest" >&2 && exit 1 ;;
	MSG) # the acknowledgement; the rest of the line is the length
		read -r -u 3 ack
		echo "${ack%$'\r'}"
		if [[ $ack == *'"error"'* ]]; then exit 1; fi
		if [[ $ack == *'"duplicate"'* ]]; then exit 0; fi # its end was told before
		;;
	HMSG) # a delivery, or the broker's word that nobody answers
		if [[ $sid == 1 ]]; then echo "send.sh: there are no streams: run tram setup" >&2 && exit 1; fi
		rest=${rest%$'\r'}
		head -c $((${rest##* } + 2)) <&3 | grep -aF "$id" >/dev/null || continue # of another send
		state=${subject##*.}
		echo "$state"
		case $state in
		deferred) ;;
		accepted) exit 0 ;;
		*) exit 5 ;;
		esac
		;;
	esac
done
echo "send.sh: no end within 30 seconds" >&2
exit 1
