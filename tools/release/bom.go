package main

import (
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// A bom is a bill of materials as CycloneDX 1.6 has it: https://cyclonedx.org.
type bom struct {
	Schema       string       `json:"$schema"`
	Format       string       `json:"bomFormat"`
	SpecVersion  string       `json:"specVersion"`
	SerialNumber string       `json:"serialNumber"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Timestamp time.Time `json:"timestamp"` // of the commit
	Component component `json:"component"`
}

type component struct {
	Type    string `json:"type"`
	Ref     string `json:"bom-ref"`
	Name    string `json:"name"`
	Version string `json:"version"`
	PURL    string `json:"purl"`
	Hashes  []hash `json:"hashes,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn,omitempty"`
}

// billOfMaterials returns what the programs of one build were linked from, as
// they tell it themselves: not what go.mod allows, which is more.
func billOfMaterials(infos []*buildinfo.BuildInfo, made time.Time) ([]byte, error) {
	modules := map[string]*debug.Module{}
	for _, info := range infos {
		for _, m := range info.Deps {
			if m.Replace != nil {
				return nil, fmt.Errorf("module %s is replaced: a release is made of published modules", m.Path)
			}
			modules[m.Path] = m
		}
	}
	b := bom{
		Schema: "http://cyclonedx.org/schema/bom-1.6.schema.json", Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata: metadata{made.UTC(), componentOf("application", infos[0].Main.Path, infos[0].Main.Version)},
	}
	all := dependency{Ref: b.Metadata.Component.Ref}
	for _, path := range slices.Sorted(maps.Keys(modules)) {
		m := modules[path]
		c := componentOf("library", m.Path, m.Version)
		sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:"))
		if err != nil || len(sum) != sha256.Size {
			return nil, fmt.Errorf("module %s has the sum %q, want h1: and a SHA-256", m.Path, m.Sum)
		}
		c.Hashes = []hash{{"SHA-256", hex.EncodeToString(sum)}} // of its files, as go.sum has it
		b.Components = append(b.Components, c)
	}
	b.Components = append(b.Components, componentOf("library", "std", strings.TrimPrefix(infos[0].GoVersion, "go")))
	for _, c := range b.Components {
		all.DependsOn = append(all.DependsOn, c.Ref)
		b.Dependencies = append(b.Dependencies, dependency{Ref: c.Ref})
	}
	b.Dependencies = append([]dependency{all}, b.Dependencies...)
	b.SerialNumber = serialNumber(infos)
	data, err := json.MarshalIndent(b, "", "  ")
	return append(data, '\n'), err
}

func componentOf(kind, path, version string) component {
	purl := "pkg:golang/" + strings.ToLower(path) + "@" + strings.ReplaceAll(version, "+", "%2B")
	return component{Type: kind, Ref: purl, Name: path, Version: version, PURL: purl}
}

// serialNumber names a build: a random UUID would make equal builds differ.
func serialNumber(infos []*buildinfo.BuildInfo) string {
	h := sha256.New()
	for _, info := range infos {
		fmt.Fprintln(h, cmp.Or(info.Path, info.Main.Path), info)
	}
	id := h.Sum(nil)[:16]
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // version 8: made by one's own rule
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}
