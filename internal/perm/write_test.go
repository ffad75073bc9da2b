package perm

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// WriteConfig writes roles as a NATS server takes them: a file to include in the
// server's own, which expects the users' public nkeys in tram-nkeys.conf beside it.
func WriteConfig(w io.Writer, roles []Role) error {
	var b strings.Builder
	b.WriteString(configHead)
	for _, r := range roles {
		fmt.Fprintf(&b, "\n# %s\n%s = {\n", r.Who, r.Variable())
		b.WriteString("  publish: {\n")
		writeList(&b, "allow", r.Publish)
		if len(r.Deny) > 0 {
			writeList(&b, "deny", r.Deny)
		}
		b.WriteString("  }\n  subscribe: {\n")
		writeList(&b, "allow", append([]Grant{{r.Inbox() + ".>", "receive answers"}}, r.Subscribe...))
		b.WriteString("  }\n")
		if r.Answers { // a dispatcher with thousands of lanes answers in many parts
			b.WriteString("  allow_responses: { max: 1000, expires: \"1m\" }\n")
		}
		b.WriteString("}\n")
	}
	b.WriteString("\nauthorization {\n  users: [\n")
	for _, r := range roles {
		fmt.Fprintf(&b, "    { nkey: $%s_NKEY, permissions: $%s }\n", r.Variable(), r.Variable())
	}
	b.WriteString("  ]\n}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

const configHead = `# The users of tram and what each may do, to be included in the configuration of
# every NATS server: include "tram-users.conf"
#
# Written from internal/perm, and tested as it is. Do not change it here:
#   go test ./internal/perm -update
# For another service copy its producer or downstream block under another name,
# and write the service's name and its accounts into it.
#
# Public nkeys of the users: TRAM_DISPATCHER_NKEY: U… and so on, a line for each.
include "tram-nkeys.conf"
`

func writeList(b *strings.Builder, name string, list []Grant) {
	fmt.Fprintf(b, "    %s: [\n", name)
	for _, g := range byPurpose(list) {
		fmt.Fprintf(b, "      # %s\n", g.purpose)
		for _, s := range g.subjects {
			fmt.Fprintf(b, "      %q\n", s)
		}
	}
	b.WriteString("    ]\n")
}

// WriteTables writes roles as tables for people.
func WriteTables(w io.Writer, roles []Role) error {
	var b strings.Builder
	for _, r := range roles {
		fmt.Fprintf(&b, "\n### %s\n\n%s%s. Its inbox is `%s`.", r.Name, strings.ToUpper(r.Who[:1]), r.Who[1:], r.Inbox())
		if r.Answers {
			b.WriteString(" It may answer what it is asked (`allow_responses`).")
		}
		b.WriteString("\n\n| to | it may | subjects |\n| --- | --- | --- |\n")
		for _, part := range []struct {
			verb string
			list []Grant
		}{{"publish", r.Publish}, {"subscribe", r.Subscribe}, {"**not** publish", r.Deny}} {
			for _, g := range byPurpose(part.list) {
				fmt.Fprintf(&b, "| %s | %s | `%s` |\n", g.purpose, part.verb, strings.Join(g.subjects, "` `"))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

type group struct {
	purpose  string
	subjects []string
}

// byPurpose gathers the subjects of each purpose, in the order of the first of
// each, and every subject once.
func byPurpose(list []Grant) []group {
	var all []group
	seen := map[string]bool{}
	for _, g := range list {
		if seen[g.Subject] {
			continue
		}
		seen[g.Subject] = true
		i := slices.IndexFunc(all, func(o group) bool { return o.purpose == g.For })
		if i < 0 {
			all = append(all, group{purpose: g.For})
			i = len(all) - 1
		}
		all[i].subjects = append(all[i].subjects, g.Subject)
	}
	return all
}
