package config

import (
	"fmt"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// minSecret is the length in bytes from which on a secret is looked for in
// everything that comes back from a provider.
const minSecret = 4

// brokerSecrets fetches the secrets of the broker.
func (v *validator) brokerSecrets(c *Config, env environment) {
	c.Broker.Token, _ = env.secret("TRAM_BROKER_TOKEN", &v.faults)
	c.NATS.Password, c.NATS.PasswordFile = env.rotating("NATS_PASSWORD", &v.faults)
	c.NATS.Token, c.NATS.TokenFile = env.rotating("NATS_TOKEN", &v.faults)
}

// accountSecrets fetches the secrets of all accounts. Two accounts must not
// share a variable: the names a-b and a_b would, and one of them would be
// called with the other's credential.
func (v *validator) accountSecrets(c *Config, providers map[string]channels.Provider, env environment) {
	users := map[string]string{}
	for i := range c.Accounts {
		a := &c.Accounts[i]
		p := providers[a.Provider]
		if p == nil || !events.ValidName(a.Name) {
			continue
		}
		a.Secrets = map[string]channels.Secret{}
		for _, name := range channels.SecretsOf(p, a.Channel()) {
			variable := secretVariable(a.Provider, a.Name, name)
			key := fmt.Sprintf("accounts[%d]", i)
			if other, taken := users[variable]; taken {
				if other != a.Provider+"/"+a.Name { // else unique says it better
					v.add(key, "reads its %s from %s, and so does %s: rename one of them", name, variable, other)
				}
				continue
			}
			users[variable] = a.Provider + "/" + a.Name
			secret, found := env.secret(variable, &v.faults)
			if !found {
				v.add(key, "needs its %s: set %s, or %s_FILE to a file that holds it", name, variable, variable)
			} else if n := len(secret.Reveal()); n > 0 && n < minSecret {
				v.add(key, "has a %s of %d characters in %s: one of fewer than %d cannot be told from other words, to keep it out of what is stored", name, n, variable, minSecret)
			}
			a.Secrets[name] = secret
		}
	}
}
