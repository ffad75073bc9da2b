package channels

import (
	"maps"
	"sync"
)

// A Memo keeps what a provider package makes of an account's settings, such as a
// compiled template, so that it is made once and not for each call. The zero
// Memo is empty and ready. It is safe for concurrent use, and as pure as make is:
// an account whose settings have changed is made anew.
type Memo[T any] struct {
	known sync.Map // memoKey → *memo[T]
}

type memoKey struct{ provider, account string }

type memo[T any] struct {
	baseURL  string
	settings map[string]string
	value    T
}

// Of returns what make returns for a. An error is not kept.
func (m *Memo[T]) Of(a *Account, make func(*Account) (T, error)) (T, error) {
	key := memoKey{a.Provider, a.Name}
	if k, ok := m.known.Load(key); ok {
		k := k.(*memo[T])
		if k.baseURL == a.BaseURL && maps.Equal(k.settings, a.Settings) {
			return k.value, nil
		}
	}
	v, err := make(a)
	if err != nil {
		return v, err
	}
	m.known.Store(key, &memo[T]{a.BaseURL, maps.Clone(a.Settings), v})
	return v, nil
}
