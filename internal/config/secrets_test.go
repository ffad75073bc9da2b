package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tramhq/tram/pkg/channels"
)

func TestParse_secretFiles(t *testing.T) {
	write := func(text string) string {
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return "TRAM_SECRET_SHOP_MAIN_TOKEN_FILE=" + file
	}
	for text, want := range map[string]channels.Secret{"abcd": "abcd", "abcd\n": "abcd", "abcd\r\n": "abcd", " a b \n": " a b "} {
		c, err := parse(t, minimal, write(text))
		if err != nil || c.Accounts[0].Secrets["token"] != want {
			t.Errorf("%q: got %v, error %v", text, c, err)
		}
	}
	for _, test := range []struct {
		environ []string
		want    string
	}{
		{[]string{write(canary), env[0]}, "TRAM_SECRET_SHOP_MAIN_TOKEN and TRAM_SECRET_SHOP_MAIN_TOKEN_FILE are both set: keep one"},
		{[]string{write(canary + "\n\n")}, "TRAM_SECRET_SHOP_MAIN_TOKEN holds a line break or another control character"},
		{[]string{write("\n")}, "TRAM_SECRET_SHOP_MAIN_TOKEN_FILE names an empty file"},
		{[]string{write("abc\n")}, "accounts[0] has a token of 3 characters in TRAM_SECRET_SHOP_MAIN_TOKEN: one of fewer than 4 cannot be told from other words"},
		{[]string{"TRAM_SECRET_SHOP_MAIN_TOKEN_FILE=nowhere"}, "TRAM_SECRET_SHOP_MAIN_TOKEN_FILE cannot be used: open nowhere"},
	} {
		if got := faultsOf(t, minimal, test.environ...); len(got) != 1 || !strings.Contains(got[0], test.want) {
			t.Errorf("got %q, want one fault with %q", got, test.want)
		}
	}
}

// chooser is a shop whose accounts without a page need no token.
type chooser struct{ shop }

func (chooser) SecretsOf(a *channels.Account) []string {
	if a.Setting("page_id", "") == "none" {
		return nil
	}
	return []string{"token"}
}

func TestParse_chosenSecrets(t *testing.T) {
	providers := []channels.Provider{chooser{shops[0].(shop)}}
	file := "accounts: [{provider: shop, name: main, settings: {page_id: none}}]"
	if _, err := Parse("", []byte(file), nil, providers); err != nil {
		t.Error(err)
	}
	if _, err := Parse("", []byte(minimal), nil, providers); err == nil || !strings.Contains(err.Error(), "needs its token") {
		t.Errorf("got %v", err)
	}
}

func TestParse_brokerSecrets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(canary+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := parse(t, "", "NATS_TOKEN_FILE="+file, "TRAM_BROKER_TOKEN_FILE="+file)
	if err != nil || c.NATS.TokenFile != file || c.NATS.Token != "" || c.Broker.Token.Reveal() != canary {
		t.Errorf("got %+v, %v", c, err)
	}
	if got := faultsOf(t, "", "NATS_PASSWORD="+canary); !slices.Equal(got, []string{"NATS_PASSWORD is set without NATS_USER"}) {
		t.Errorf("got %q", got)
	}
}
