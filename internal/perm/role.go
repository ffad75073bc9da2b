// Package perm knows what each kind of client may do at the broker: the one
// place from which deployments/nats/tram-users.conf and the tables of
// docs/security.md are written, and by which a process checks itself when it
// starts. A test runs the whole relay under exactly these permissions.
package perm

import (
	"slices"
	"strings"

	"github.com/tramhq/tram/internal/broker"
)

// A Role is one kind of client: what it must be able to do, and nothing else.
type Role struct {
	Name string // of the user; its inbox is _INBOX_<name>
	Who  string // one line for people

	Publish   []Grant
	Subscribe []Grant
	Deny      []Grant // not to be published to, although Publish matches it

	// Answers lets it publish to the reply subject of what it receives.
	Answers bool
}

// A Grant is a subject, with * and > as NATS has them, and what it is for.
type Grant struct {
	Subject string
	For     string
}

// Inbox is where a client of r receives answers. A user of its own prefix
// cannot read the answers that others get.
func (r Role) Inbox() string { return "_INBOX_" + r.Name }

// Variable is what the configuration calls r; its nkey has _NKEY after that.
func (r Role) Variable() string { return "TRAM_" + strings.ToUpper(r.Name) }

// Roles returns all roles, with a service called shop for the two that there is
// one of for each service.
func Roles() []Role {
	return []Role{
		Producer("shop", "caresoft/hotline", "momo/shop"), Downstream("shop"),
		Dispatcher(), Collector(), Operator(), Setup(),
	}
}

// Find returns the role called name.
func Find(name string) (Role, bool) {
	all := Roles()
	i := slices.IndexFunc(all, func(r Role) bool { return r.Name == name })
	if i < 0 {
		return Role{}, false
	}
	return all[i], true
}

// userInfo is where the server tells a client what it may do.
const userInfo = "$SYS.REQ.USER.INFO"

// self is what each process needs to check itself.
func self() []Grant { return grants("ask the broker what it may do", userInfo) }

func grants(purpose string, subjects ...string) []Grant {
	var all []Grant
	for _, s := range subjects {
		all = append(all, Grant{s, purpose})
	}
	return all
}

// known lets it see that streams are there and how far they go.
func known(purpose string, streams ...string) []Grant {
	return each(purpose, "$JS.API.STREAM.INFO.", streams...)
}

// last lets it read single messages of streams, from their leaders.
func last(purpose string, streams ...string) []Grant {
	return each(purpose, "$JS.API.STREAM.MSG.GET.", streams...)
}

// read lets it read batches, too, from any replica.
func read(purpose string, streams ...string) []Grant {
	return append(last(purpose, streams...), each(purpose, "$JS.API.DIRECT.GET.", streams...)...)
}

// feed lets it follow what matches filter, by consumers that end with it.
func feed(purpose, stream, filter string) []Grant {
	return grants(purpose,
		"$JS.API.CONSUMER.CREATE."+stream+".*."+filter,
		"$JS.API.CONSUMER.MSG.NEXT."+stream+".*",
		"$JS.API.CONSUMER.DELETE."+stream+".*",
	)
}

// feedAny lets a feed follow all that is in a stream, or what matches one of several
// filters: the server has neither in the request's subject.
func feedAny(purpose, stream string) []Grant {
	return grants(purpose, "$JS.API.CONSUMER.CREATE."+stream+".*")
}

// share lets it take part in one durable consumer. Acknowledgements come in two
// forms, of which the server chooses one.
func share(purpose, stream, durable string) []Grant {
	return grants(purpose,
		"$JS.API.CONSUMER.INFO."+stream+"."+durable,
		"$JS.API.CONSUMER.CREATE."+stream+"."+durable,
		"$JS.API.CONSUMER.MSG.NEXT."+stream+"."+durable,
		"$JS.ACK."+stream+"."+durable+".>",
		"$JS.ACK.*.*."+stream+"."+durable+".>",
	)
}

func each(purpose, prefix string, names ...string) []Grant {
	var all []Grant
	for _, n := range names {
		all = append(all, Grant{prefix + n, purpose})
	}
	return all
}

func bucket(name string) string { return "KV_" + name }

// accountTokens turns provider/account into the two tokens of a subject.
func accountTokens(account string) string { return strings.Replace(account, "/", ".", 1) }

// all is every stream, those of the buckets among them.
func all() []string { return broker.Names() }
