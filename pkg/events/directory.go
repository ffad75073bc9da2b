package events

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// DirectoryBucket is the key-value bucket in which the relay publishes the
// [Contract] of each account, under the key <provider>.<account>, in the same
// encoding as the bodies of events.
const DirectoryBucket = "TRAM_ACCOUNTS"

// ErrNotSetUp says that the broker does not have the relay's streams.
var ErrNotSetUp = errors.New("streams are not set up: run `tram setup`")

// contractAge is how long a [Directory] trusts a contract it has read.
const contractAge = time.Minute

// A Directory looks up the contracts of accounts, keeping each for a minute.
// It is safe for concurrent use.
type Directory struct {
	js jetstream.JetStream

	mu    sync.Mutex
	kv    jetstream.KeyValue // opened when first needed
	cache map[string]cachedContract
}

type cachedContract struct {
	Contract
	read time.Time
}

// NewDirectory returns the directory of the relay that js leads to.
func NewDirectory(js jetstream.JetStream) *Directory {
	return &Directory{js: js, cache: make(map[string]cachedContract)}
}

// Contract returns the contract of an account. The error is an
// [*InvalidError] that lists the known ones if there is no such account, and
// [ErrNotSetUp] if there is no directory. When the broker cannot be asked, a
// contract that was read before is taken to be still true.
func (d *Directory) Contract(ctx context.Context, provider, account string) (Contract, error) {
	key := provider + "." + account
	d.mu.Lock()
	known, ok := d.cache[key]
	d.mu.Unlock()
	if ok && time.Since(known.read) < contractAge {
		return known.Contract, nil
	}
	c, err := d.read(ctx, provider, account)
	if _, gone := errors.AsType[*InvalidError](err); err != nil && ok && !gone {
		return known.Contract, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		delete(d.cache, key)
		return Contract{}, err
	}
	d.cache[key] = cachedContract{c, time.Now()}
	return c, nil
}

// Accounts returns all accounts that there are, as <provider>/<account>, sorted.
// The error is [ErrNotSetUp] if there is no directory.
func (d *Directory) Accounts(ctx context.Context) ([]string, error) {
	kv, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	all, err := keys(ctx, kv)
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	for i, k := range all {
		all[i] = strings.Replace(k, ".", "/", 1)
	}
	slices.Sort(all)
	return all, nil
}

func (d *Directory) read(ctx context.Context, provider, account string) (Contract, error) {
	if !ValidName(provider) || !ValidName(account) {
		return Contract{}, UnknownAccount("", provider, account, nil)
	}
	key := provider + "." + account
	kv, err := d.open(ctx)
	if err != nil {
		return Contract{}, err
	}
	entry, err := kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		known, _ := keys(ctx, kv) // without them the error is shorter, and right all the same
		return Contract{}, UnknownAccount("", provider, account, known)
	}
	if err != nil {
		return Contract{}, fmt.Errorf("read contract of %s: %w", key, err)
	}
	c, err := DecodeContract(entry.Value())
	if err != nil {
		return Contract{}, fmt.Errorf("read contract of %s: %w", key, err)
	}
	return c, nil
}

func (d *Directory) open(ctx context.Context) (jetstream.KeyValue, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kv != nil {
		return d.kv, nil
	}
	kv, err := d.js.KeyValue(ctx, DirectoryBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, ErrNotSetUp
	}
	if err != nil {
		return nil, fmt.Errorf("open directory: %w", err)
	}
	d.kv = kv
	return kv, nil
}

func keys(ctx context.Context, kv jetstream.KeyValue) ([]string, error) {
	l, err := kv.ListKeys(ctx)
	if err != nil {
		return nil, err
	}
	var all []string
	for k := range l.Keys() {
		all = append(all, k)
	}
	return all, nil
}

// PutContract publishes the contract of an account in the directory.
func PutContract(ctx context.Context, js jetstream.JetStream, c Contract) error {
	kv, err := js.KeyValue(ctx, DirectoryBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return ErrNotSetUp
	}
	if err != nil {
		return fmt.Errorf("open directory: %w", err)
	}
	b, err := EncodeContract(c)
	if err != nil {
		return err
	}
	if _, err := kv.Put(ctx, c.Provider+"."+c.Account, b); err != nil {
		return fmt.Errorf("put contract of %s.%s: %w", c.Provider, c.Account, err)
	}
	return nil
}

// DeleteContract takes an account that is no more out of the directory. It is
// what the relay calls; those who publish only read it.
func DeleteContract(ctx context.Context, js jetstream.JetStream, provider, account string) error {
	kv, err := js.KeyValue(ctx, DirectoryBucket)
	if err == nil {
		err = kv.Delete(ctx, provider+"."+account)
	}
	if err != nil {
		return fmt.Errorf("delete contract of %s.%s: %w", provider, account, err)
	}
	return nil
}

// EncodeContract writes a contract as the directory stores it.
func EncodeContract(c Contract) ([]byte, error) {
	b, err := encodeBody(contractLayout, &c)
	if err == nil && len(b) > MaxBody {
		err = bodyFault(ReasonOversize, "has %d bytes, at most %d are allowed", len(b), MaxBody)
	}
	return b, err
}

// DecodeContract is the reverse of [EncodeContract].
func DecodeContract(b []byte) (Contract, error) {
	var c Contract
	f, err := decodeBody(b, contractLayout, &c, apart)
	if err != nil {
		return Contract{}, err
	}
	if f != nil {
		return Contract{}, &DecodeError{ReasonMalformed, f}
	}
	return c, nil
}

// UnknownAccount returns the [*InvalidError] for a request to an account that
// is not among the known ones, which are written <provider>.<account>.
//
// kind is that of the request, or "" if there is none.
func UnknownAccount(kind Kind, provider, account string, known []string) error {
	var providers, accounts []string
	for _, k := range known {
		p, acct, _ := strings.Cut(k, ".")
		providers = append(providers, p)
		if p == provider {
			accounts = append(accounts, acct)
		}
	}
	var f faults
	if len(accounts) == 0 {
		f.add("provider", "%s is not configured%s", cmp.Or(plain(provider), "this provider"), told(providers))
	} else {
		f.add("account", "%s has no %s%s", provider, cmp.Or(plain(account), "such account"), told(accounts))
	}
	return &InvalidError{kind, f}
}

func told(names []string) string {
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return ": there is " + enumerate(slices.Compact(names))
}
