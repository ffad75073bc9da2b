// Command keys makes what the servers and users of a cluster prove themselves
// with, for deployments/nats: an authority, a certificate for the servers, and an
// nkey for each user of tram-users.conf.
//
//	keys directory host-or-address…
//
// What is there already is not made again, so that a certificate can be renewed
// by removing it, and a user's key changed by removing that.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/tramhq/tram/internal/perm"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: keys directory host-or-address…")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "keys:", err)
		os.Exit(1)
	}
}

func run(dir string, hosts []string) error {
	if err := os.MkdirAll(filepath.Join(dir, "users"), 0o700); err != nil {
		return err
	}
	if err := certificates(dir, hosts); err != nil {
		return err
	}
	return users(dir, perm.Roles())
}

// users makes users/<name>.nk for each role, and tram-nkeys.conf of them all.
func users(dir string, roles []perm.Role) error {
	var public strings.Builder
	for _, r := range roles {
		file := filepath.Join(dir, "users", r.Name+".nk")
		seed, err := os.ReadFile(file)
		if os.IsNotExist(err) {
			seed, err = newSeed(file)
		}
		if err != nil {
			return err
		}
		pair, err := nkeys.FromSeed(seed)
		if err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
		key, err := pair.PublicKey()
		if err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
		fmt.Fprintf(&public, "%s_NKEY: %s\n", r.Variable(), key)
	}
	return os.WriteFile(filepath.Join(dir, "tram-nkeys.conf"), []byte(public.String()), 0o600)
}

func newSeed(file string) ([]byte, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return nil, err
	}
	seed, err := pair.Seed()
	if err != nil {
		return nil, err
	}
	return seed, os.WriteFile(file, seed, 0o600)
}

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	serverLife    = 365 * 24 * time.Hour
)

// certificates makes ca.pem with its key, and server.pem, which it has signed,
// for clients and for the other servers, with the key that is for all of them.
func certificates(dir string, hosts []string) error {
	ca, caKey, err := load(dir, "ca")
	if os.IsNotExist(err) {
		ca, caKey, err = issue(dir, "ca", &x509.Certificate{
			Subject: pkix.Name{CommonName: "tram broker authority"}, NotAfter: time.Now().Add(authorityLife),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}, nil, nil)
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "server.pem")); err == nil {
		return nil
	}
	server := &x509.Certificate{
		Subject: pkix.Name{CommonName: "tram broker"}, NotAfter: time.Now().Add(serverLife), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			server.IPAddresses = append(server.IPAddresses, ip)
		} else {
			server.DNSNames = append(server.DNSNames, host)
		}
	}
	_, _, err = issue(dir, "server", server, ca, caKey)
	return err
}

// issue makes a key and a certificate like template, signed by ca, or by itself
// where that is nil.
func issue(dir, name string, template, ca *x509.Certificate, caKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if ca == nil {
		ca, caKey = template, key
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, nil, err
	}
	template.NotBefore = time.Now().Add(-time.Hour) // clocks of other hosts may be behind
	der, err := x509.CreateCertificate(rand.Reader, template, ca, &key.PublicKey, caKey)
	if err != nil {
		return nil, nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	for file, block := range map[string]*pem.Block{
		name + ".pem":     {Type: "CERTIFICATE", Bytes: der},
		name + "-key.pem": {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			return nil, nil, err
		}
	}
	return load(dir, name)
}

func load(dir, name string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	certificate, err := block(filepath.Join(dir, name+".pem"))
	if err != nil {
		return nil, nil, err
	}
	private, err := block(filepath.Join(dir, name+"-key.pem"))
	if err != nil {
		return nil, nil, err
	}
	c, err := x509.ParseCertificate(certificate)
	if err != nil {
		return nil, nil, err
	}
	k, err := x509.ParsePKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	key, ok := k.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, fmt.Errorf("%s-key.pem holds a key of another kind", name)
	}
	return c, key, nil
}

func block(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	b, _ := pem.Decode(data)
	if b == nil {
		return nil, fmt.Errorf("%s holds no PEM", file)
	}
	return b.Bytes, nil
}
