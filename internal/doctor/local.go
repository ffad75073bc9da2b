package doctor

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tramhq/tram/internal/config"
)

// Config tells whether a configuration could be read: c from file, which is "" for
// the environment alone, or err.
func Config(file string, c *config.Config, err error) []Finding {
	f := findings{check: CheckConfig}
	if bad, ok := errors.AsType[*config.Error](err); ok {
		for _, fault := range bad.Faults {
			f.add(Fail, file, "correct it: README.md has every setting", "%s", fault)
		}
		return f.all
	}
	switch {
	case err != nil:
		f.add(Fail, file, "name a file that can be read with --config", "%v", err)
	case file == "":
		f.add(Warn, "", "give the file that the dispatchers have with --config, to look at the accounts and the streams, too", "only the environment was read, which names no accounts")
	default:
		f.add(OK, file, "", "%s is valid: %d accounts, %d groups", file, len(c.Accounts), len(c.Groups))
	}
	return f.all
}

// Files looks at the files that the configuration and the environment name: whether
// they can be read and have something in them, and whether others can read what is
// secret.
func Files(c *config.Config, environ []string) []Finding {
	f := findings{check: CheckFiles}
	public := map[string]string{"nats.ca": c.NATS.CA, "nats.cert": c.NATS.Cert}
	secret := map[string]string{"nats.creds": c.NATS.Creds, "nats.nkey": c.NATS.NKey, "nats.key": c.NATS.Key}
	for _, entry := range environ {
		name, file, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "TRAM_SECRET_") && strings.HasSuffix(name, "_FILE") ||
			slices.Contains([]string{"NATS_PASSWORD_FILE", "NATS_TOKEN_FILE", "TRAM_BROKER_TOKEN_FILE"}, name) {
			secret[name] = file
		}
	}
	n := 0
	for _, files := range []map[string]string{public, secret} {
		for _, setting := range slices.Sorted(maps.Keys(files)) {
			if files[setting] != "" {
				n++
				f.file(setting, files[setting])
			}
		}
	}
	for _, setting := range slices.Sorted(maps.Keys(secret)) {
		info, err := os.Stat(secret[setting])
		if err == nil && info.Mode().Perm()&0o004 != 0 {
			f.add(Warn, filepath.Base(secret[setting]), "chmod o-r it, or mount it with mode 0440", "everybody on this machine can read the file of %s", setting)
		}
	}
	return f.done("%s can be read", count(n, "file"))
}

func (f *findings) file(setting, name string) {
	data, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.add(Fail, filepath.Base(name), "put it there, or correct "+setting, "there is no file of %s", setting)
	case err != nil:
		f.add(Fail, filepath.Base(name), "let the user of this process read it", "the file of %s cannot be read: %v", setting, errors.Unwrap(err))
	case strings.TrimSpace(string(data)) == "":
		f.add(Fail, filepath.Base(name), "put the credential into it", "the file of %s is empty", setting)
	}
}
